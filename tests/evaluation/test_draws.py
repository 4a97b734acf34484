"""Several galleries in one pass: each to the last digit as on its own, with ties, and as the protocols' text reads."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msclnet.core.errors import DataError
from msclnet.core.types import Features
from msclnet.datasets.protocol import Comparison
from msclnet.evaluation import draws, scoring
from msclnet.evaluation.draws import score_draws
from msclnet.evaluation.metrics import Labels, Rule, Scores, score
from msclnet.evaluation.scoring import scored
from tests.evaluation.people import llcm_comparisons, sysu_comparisons, sysu_like
from tests.evaluation.reference import literal
from tests.evaluation.test_metrics import LLCM, REGDB, RULES, SYSU, labels

Known = list[tuple[int, int]]  # the (identity, camera) of every image


def same(one: Scores, other: Scores) -> bool:
    return vars(one) | {"cmc": one.cmc.tolist()} == vars(other) | {"cmc": other.cmc.tolist()}


def apart(distances: torch.Tensor, query: Known, images: Known, held: np.ndarray, rule: Rule) -> Scores:
    """A gallery on its own."""
    chosen = np.flatnonzero(held)
    return score(lambda rows: distances[rows][:, chosen], labels(query), labels([images[i] for i in chosen]), rule)


people = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1, 2, 4, 5])), min_size=1, max_size=140)
asked = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([3, 5, 6])), min_size=1, max_size=12)


@settings(deadline=None)
@given(asked, people, st.integers(0, 2**32 - 1), st.sampled_from([2, 1000]), st.sampled_from([1, 10**6]))
def test_agrees_with_each_gallery_on_its_own_and_with_the_text(
    query: Known, images: Known, seed: int, levels: int, buffer: int
) -> None:
    """Identities of up to three words of bits; with 2 distances to choose from nearly all are tied."""
    rng = np.random.default_rng(seed)
    images = sorted(images, key=lambda image: image[0])
    distances = torch.from_numpy((rng.integers(levels, size=(len(query), len(images))) / levels).astype(np.float32))
    members = rng.random((4, len(images))) < [[1], [0.5], [0.5], [0.1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "BUFFER", buffer)
        for rule, name in RULES.items():
            known = labels(query), labels(images), members, rule
            expected = [
                literal(distances[:, held].numpy(), query, [images[i] for i in np.flatnonzero(held)], name)
                for held in members
            ]
            if not all(expected):
                with pytest.raises(DataError):
                    score_draws(distances.__getitem__, *known)
                continue
            for found, held, text in zip(score_draws(distances.__getitem__, *known), members, expected, strict=True):
                assert same(found, apart(distances, query, images, held, rule))
                np.testing.assert_allclose(found.cmc, text["cmc"], rtol=0, atol=1e-9)
                assert (found.mAP, found.mINP) == pytest.approx((text["mAP"], text["mINP"]), abs=1e-9)
                assert found.queries_without_match == text["unmatched"]


@pytest.mark.parametrize("rule", [REGDB, SYSU, LLCM], ids=RULES.values())
def test_ties_keep_the_order_of_the_images(rule: Rule) -> None:
    """All as near: the second identity's query finds it behind the first's images, of which the galleries hold 2 and 1.

    An identity counts once in the CMC, but for RegDB."""
    images = [(1, 1), (1, 4), (2, 1), (3, 1)]
    members = np.array([[1, 1, 1, 1], [0, 1, 1, 0]], bool)
    both, one = score_draws(torch.ones(1, 4).__getitem__, labels([(2, 6)]), labels(images), members, rule)
    assert (both.mAP, one.mAP) == (1 / 3, 1 / 2)
    assert both.cmc.tolist() == ([0, 0, 1, 1] if rule == REGDB else [0, 1, 1, 1])
    assert one.cmc.tolist() == [0, 1]


def test_a_gallery_without_any_match_is_an_error() -> None:
    members = np.array([[1, 1], [1, 0]], bool)
    message = "none of 1 query images has a match among 1 gallery images; expected"
    with pytest.raises(DataError, match=re.escape(message)):
        score_draws(torch.ones(1, 2).__getitem__, labels([(2, 6)]), labels([(1, 1), (2, 1)]), members, SYSU)


def all_of(features: Features, comparisons: list[Comparison]) -> list[Scores]:
    return [scores for _, scores in scored(features.bn, features, comparisons)]


@pytest.mark.parametrize("seed", range(4))
def test_the_protocols_draws_are_scored_together_and_no_digit_changes(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every mode, number of shots, direction and draw; the features are signs, so the products are exact, with ties."""
    features = sysu_like(seed)
    comparisons = [
        *sysu_comparisons(features, ["all", "indoor"], [1, 10], "community", 10),
        *llcm_comparisons(features, 10),
    ]
    passes: list[int] = []

    def noted(*given: object) -> list[Scores]:
        found = score_draws(*given)  # type: ignore[arg-type]
        passes.append(len(found))
        return found

    monkeypatch.setattr(scoring, "score_draws", noted)
    together = all_of(features, comparisons)
    assert passes == [40, 10, 10], "SYSU-MM01's in one pass, LLCM's in one a direction"
    monkeypatch.setattr(scoring, "SHARED", 0)
    assert all(same(*pair) for pair in zip(together, all_of(features, comparisons), strict=True))
    assert passes == [40, 10, 10]


def test_galleries_in_another_order_are_scored_in_it() -> None:
    """Ties are broken by a gallery's own order; an image that it lists twice counts twice."""
    features = sysu_like(1)
    two = list(sysu_comparisons(features, ["all"], [10], "community", 2))
    flipped = [Comparison(c.setting, c.query, c.gallery[::-1].copy(), c.rule) for c in two]
    twice = [Comparison(c.setting, c.query, np.repeat(c.gallery, 2), c.rule) for c in two]
    for group in (flipped, twice):
        for comparison, scores in zip(group, all_of(features, group), strict=True):
            query, gallery = (
                Labels(torch.from_numpy(features.identities[rows]), torch.from_numpy(features.cameras[rows]))
                for rows in (comparison.query, comparison.gallery)
            )
            known = [list(zip(*(column.tolist() for column in side), strict=True)) for side in (query, gallery)]
            distances = 1 - features.bn[comparison.query] @ features.bn[comparison.gallery].T
            text = literal(distances, *known, "sysu")
            assert text is not None
            assert (scores.mAP, scores.mINP) == pytest.approx((text["mAP"], text["mINP"]), abs=1e-9)
            np.testing.assert_allclose(scores.cmc, text["cmc"], rtol=0, atol=1e-9)
