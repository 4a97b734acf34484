"""Ranked lists: the nearest first, by the protocol's rule, of the best, the worst and random queries."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from msclnet.core.errors import DataError
from msclnet.core.types import Features
from msclnet.datasets.llcm import LLCM
from msclnet.datasets.sysu import SYSU
from msclnet.datasets.table import SETS
from msclnet.evaluation.scoring import split_rows
from msclnet.report.explain.ranked import ranked_lists
from msclnet.report.figures.tables import TOP, RankedImage
from tests.evaluation.people import made_up, sysu_like

TEN_SHOTS = SYSU.Evaluation(modes=("all",), shots=(10,), protocol="community", draws=1)
PEOPLE = [(i, 1) for i in range(6) for _ in range(3)]


def continuous(people: Features, seed: int = 0) -> Features:
    """The same people with features that have no ties."""
    bn = np.random.default_rng(seed).normal(size=people.bn.shape).astype(np.float32)
    return dataclasses.replace(people, bn=bn / np.linalg.norm(bn, axis=1, keepdims=True))


def by_list(places: list[RankedImage]) -> dict[tuple[str, str, int], list[RankedImage]]:
    lists: dict[tuple[str, str, int], list[RankedImage]] = {}
    for place in places:
        lists.setdefault((place.setting, place.group, place.query), []).append(place)
    return lists


def test_a_list_is_the_query_and_its_nearest_in_both_directions() -> None:
    people = continuous(made_up(0, PEOPLE, PEOPLE))
    lists = by_list(ranked_lists(SETS.get("regdb"), "agw", people, SETS.get("regdb").comparisons(people), 2, 0))
    assert list(lists) == [
        (direction, group, number)
        for direction in ("visible-to-infrared", "infrared-to-visible")
        for group in ("best", "worst", "random")
        for number in (1, 2)
    ]
    row_of = {path: row for row, path in enumerate(people.paths)}
    for (direction, _, _), places in lists.items():
        query, *shown = places
        asked, answered = direction.split("-to-")
        assert (query.position, query.similarity, query.modality) == (0, 1.0, asked)
        assert {place.modality for place in shown} == {answered}
        gallery = np.flatnonzero(people.modality == (answered == "infrared"))
        distances = 1 - people.bn[gallery] @ people.bn[row_of[query.path]]
        nearest = gallery[np.argsort(distances)][:TOP]
        assert [place.path for place in shown] == people.paths[nearest].tolist()
        assert [place.match for place in shown] == (people.identities[nearest] == query.identity).astype(int).tolist()


def test_best_and_worst_are_the_extremes_of_the_projects_own_average_precision() -> None:
    """With as many lists as queries the mean of their average precisions is the mAP of the table."""
    people = continuous(made_up(0, PEOPLE, PEOPLE))
    lists = by_list(
        ranked_lists(SETS.get("regdb"), "agw", people, SETS.get("regdb").comparisons(people), len(PEOPLE), 0)
    )
    first = [p[0].average_precision for key, p in lists.items() if key[:2] == ("visible-to-infrared", "best")]
    assert first == sorted(first, reverse=True)
    assert np.mean(first) == pytest.approx(split_rows(people, 1, SETS.get("regdb").comparisons(people))[0]["mAP"])
    few = by_list(ranked_lists(SETS.get("regdb"), "agw", people, SETS.get("regdb").comparisons(people), 2, 0))
    worst = [few["visible-to-infrared", "worst", number][0].average_precision for number in (1, 2)]
    assert worst == pytest.approx(first[:-3:-1])


def test_random_ones_are_neither_and_follow_the_seed() -> None:
    people = continuous(made_up(0, PEOPLE, PEOPLE))

    def drawn(seed: int) -> dict[str, set[str]]:
        lists = by_list(ranked_lists(SETS.get("regdb"), "agw", people, SETS.get("regdb").comparisons(people), 3, seed))
        groups: dict[str, set[str]] = {}
        for (direction, group, _), places in lists.items():
            if direction == "visible-to-infrared":
                groups.setdefault(group, set()).add(places[0].path)
        return groups

    groups = drawn(0)
    assert len(set.union(*groups.values())) == 9
    assert drawn(0) == groups
    assert drawn(1)["random"] != groups["random"]


def test_what_the_rule_hides_is_in_no_list() -> None:
    """SYSU-MM01: a query of camera 3 does not see camera 2."""
    people = continuous(sysu_like(0))
    places = ranked_lists(SETS.get("sysu"), "agw", people, SETS.get("sysu").comparisons(people, TEN_SHOTS), 6, 0)
    seen = {(p[0].camera, place.camera) for p in by_list(places).values() for place in p[1:]}
    assert (3, 2) not in seen
    assert {(3, 1), (6, 2)} <= seen
    assert all(place.identity != 12 for place in places), "the query without a match has no average precision"


def test_no_match_at_all_is_named() -> None:
    people = made_up(0, [(1, 1)], [(2, 1)])
    with pytest.raises(DataError, match=r"agw, visible-to-infrared: no query has a match"):
        ranked_lists(SETS.get("regdb"), "agw", people, SETS.get("regdb").comparisons(people), 1, 0)


def test_llcms_rule_hides_the_querys_identity_in_its_own_camera() -> None:
    places = [(i, c) for i in range(4) for c in (1, 2)]
    people = continuous(made_up(0, places, places))
    for list_ in by_list(
        ranked_lists(
            SETS.get("llcm"), "agw", people, SETS.get("llcm").comparisons(people, LLCM.Evaluation(draws=1)), 2, 0
        )
    ).values():
        query, *shown = list_
        assert len(shown) == len(places) - 1
        assert (query.identity, query.camera) not in {(place.identity, place.camera) for place in shown}
