"""CMC, mAP and mINP: by hand, against a slow reading of the protocols, with ties, in chunks and whole."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msclnet.core.errors import DataError
from msclnet.evaluation import metrics
from msclnet.evaluation.distance import cosine
from msclnet.evaluation.metrics import Labels, Rule, Scores, score
from tests.evaluation.reference import literal

REGDB = Rule()
SYSU = Rule(ignored=((3, 2),), identity_unique=True)
LLCM = Rule(same_camera_ignored=True, identity_unique=True)
RULES = {REGDB: "regdb", SYSU: "sysu", LLCM: "llcm"}


def scored(
    distances: list[list[float]] | np.ndarray,
    query: list[tuple[int, int]],
    gallery: list[tuple[int, int]],
    rule: Rule,
    **options: int,
) -> Scores:
    """``score`` of a matrix and the (identity, camera) of every image."""
    matrix = torch.as_tensor(np.asarray(distances, dtype=np.float32)).reshape(len(query), len(gallery))
    return score(matrix.__getitem__, labels(query), labels(gallery), rule, **options)


def labels(images: list[tuple[int, int]]) -> Labels:
    identities, cameras = torch.tensor(images, dtype=torch.int64).reshape(-1, 2).T
    return Labels(identities, cameras)


def test_a_gallery_by_hand() -> None:
    """Matches at ranks 1, 3 and at 2, 4, 5: AP = (1/1 + 2/3) / 2 and (1/2 + 2/4 + 3/5) / 3, INP = 2/3 and 3/5."""
    gallery = [(1, 1), (2, 1), (1, 1), (2, 1), (2, 1)]
    s = scored([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]], [(1, 6), (2, 6)], gallery, REGDB)
    assert s.cmc.tolist() == [0.5, 1, 1, 1, 1]
    assert s.mAP == pytest.approx(float((Fraction(5, 6) + Fraction(8, 15)) / 2), abs=1e-12)
    assert s.mINP == pytest.approx(float((Fraction(2, 3) + Fraction(3, 5)) / 2), abs=1e-12)
    assert (s.queries, s.queries_without_match, s.gallery) == (2, 0, 5)


def test_sysu_counts_an_identity_once_and_ignores_camera_2_for_camera_3() -> None:
    """List of identity 9's query: 5, 5, 7, 9(cam2), 7, 9(cam1).

    From camera 6 every image counts: 9 comes after the identities 5, 7, so rank 3; AP = (1/4 + 2/6) / 2, INP = 2/6.
    From camera 3 the cam2 images of *every* identity go (here the first of 5, the first 9): 5, 7, 7, 9, so rank 3
    still; AP = INP = 1/4.
    """
    gallery = [(5, 2), (5, 1), (7, 4), (9, 2), (7, 5), (9, 1)]
    far = [[1, 2, 3, 4, 5, 6]]
    six = scored(far, [(9, 6)], gallery, SYSU)
    three = scored(far, [(9, 3)], gallery, SYSU)
    assert six.cmc.tolist() == three.cmc.tolist() == [0, 0, 1, 1, 1, 1]
    assert six.mAP == pytest.approx(float(Fraction(7, 24)), abs=1e-12)
    assert six.mINP == pytest.approx(float(Fraction(1, 3)), abs=1e-12)
    assert three.mAP == three.mINP == 0.25
    assert scored(far, [(9, 3)], gallery, REGDB).cmc.tolist() == [0, 0, 0, 1, 1, 1]


def test_an_ignored_camera_can_hide_an_identity_from_the_cmc() -> None:
    """Identity 5 stands in cam2 alone: a cam3 query meets only 9 and finds it at rank 1."""
    s = scored([[1, 2]], [(9, 3)], [(5, 2), (9, 1)], SYSU)
    assert s.cmc.tolist() == [1, 1]
    assert s.mAP == 1


@pytest.mark.parametrize("rule", list(RULES))
def test_ties_keep_the_order_of_the_gallery(rule: Rule) -> None:
    assert scored([[7, 7, 7]], [(1, 6)], [(1, 1), (2, 1), (3, 1)], rule).mAP == 1
    assert scored([[7, 7, 7]], [(1, 6)], [(2, 1), (3, 1), (1, 1)], rule).mAP == pytest.approx(1 / 3)


def test_queries_without_a_match_are_counted_and_left_out() -> None:
    """Identity 8 is not in the gallery, and 9 only where a cam3 query does not look."""
    s = scored(np.ones((3, 2)), [(8, 6), (9, 3), (1, 6)], [(9, 2), (1, 1)], SYSU)
    assert (s.queries, s.queries_without_match) == (3, 2)
    assert s.cmc.tolist() == [0, 1]
    assert s.mAP == s.mINP == 0.5


@pytest.mark.parametrize(
    ("query", "gallery"),
    [([(8, 6)], [(1, 1), (2, 1)]), ([(1, 3)], [(1, 2)]), ([(1, 6)], []), ([], [(1, 1)])],
    ids=["strangers", "all ignored", "no gallery", "no query"],
)
def test_no_match_at_all_is_an_error(query: list[tuple[int, int]], gallery: list[tuple[int, int]]) -> None:
    message = f"none of {len(query)} query images has a match among {len(gallery)} gallery images; expected"
    with pytest.raises(DataError, match=re.escape(message)):
        scored(np.zeros((len(query), len(gallery))), query, gallery, SYSU)


images = st.tuples(st.integers(0, 6), st.sampled_from([1, 2, 4, 5]))
asked = st.tuples(st.integers(0, 8), st.sampled_from([3, 6]))
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@untimed
@given(
    st.lists(asked, min_size=1, max_size=12),
    st.lists(images, min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
    st.sampled_from([3, 1000]),
    st.sampled_from([1, 70, 10**6]),
    st.sampled_from([1, metrics.LARGE]),
)
def test_agrees_with_the_text(
    query: list[tuple[int, int]], gallery: list[tuple[int, int]], seed: int, levels: int, buffer: int, large: int
) -> None:
    """Random galleries with absent identities; with 3 distances to choose from nearly all are tied.

    The places are counted, as in a large gallery, or looked up in the sorted list.
    """
    with mock.patch.object(metrics, "LARGE", large):
        agrees_with_the_text(query, gallery, seed, levels, buffer)


def agrees_with_the_text(
    query: list[tuple[int, int]], gallery: list[tuple[int, int]], seed: int, levels: int, buffer: int
) -> None:
    distances = np.random.default_rng(seed).integers(levels, size=(len(query), len(gallery))) / levels
    for rule in RULES:
        expected = literal(distances.astype(np.float32), query, gallery, RULES[rule])
        if expected is None:
            with pytest.raises(DataError):
                scored(distances, query, gallery, rule, buffer=buffer)
            continue
        s = scored(distances, query, gallery, rule, buffer=buffer)
        np.testing.assert_allclose(s.cmc, expected["cmc"], rtol=0, atol=1e-9)
        assert s.mAP == pytest.approx(expected["mAP"], abs=1e-9)
        assert s.mINP == pytest.approx(expected["mINP"], abs=1e-9)
        assert s.queries_without_match == expected["unmatched"]


@untimed
@given(st.integers(0, 2**32 - 1))
def test_the_gallerys_order_matters_to_ties_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = [(int(i), 3 + 3 * int(c)) for i, c in rng.integers([[5, 2]], size=(6, 2))]
    gallery = [(int(i), int(c)) for i, c in zip(np.arange(30) % 5, rng.choice([1, 2, 4, 5], 30), strict=True)]
    gallery += [(i, 1) for i in range(5)]
    distances = np.stack([rng.permutation(35) for _ in query])
    shuffled = rng.permutation(35)
    one = scored(distances, query, gallery, SYSU)
    other = scored(distances[:, shuffled], query, [gallery[g] for g in shuffled], SYSU)
    np.testing.assert_array_equal(one.cmc, other.cmc)
    assert (one.mAP, one.mINP) == pytest.approx((other.mAP, other.mINP), abs=1e-12)


def test_only_blocks_within_the_buffer_are_asked_for_and_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seventy queries of a hundred distances: 32 are asked for at once at least, and as many ranked as a buffer has."""
    matrix = torch.rand(70, 100, generator=torch.Generator().manual_seed(0))
    everyone = labels([(i, 1) for i in range(100)])
    some = Labels(everyone.identities[:70], everyone.cameras[:70])
    ranked: list[int] = []
    real = metrics._ranked

    def noted(near: torch.Tensor, *others: Any) -> Any:
        ranked.append(len(near))
        return real(near, *others)

    monkeypatch.setattr(metrics, "_ranked", noted)
    monkeypatch.setattr(metrics, "TOGETHER", 32)
    found = []
    for buffer, asked, at_once in (
        (4000, [40, 30], [40, 30]),
        (2500, [32, 32, 6], [25, 7, 25, 7, 6]),
        (1, None, [1] * 70),
    ):
        shapes: list[int] = []
        ranked.clear()

        def block(rows: torch.Tensor, shapes: list[int] = shapes) -> torch.Tensor:
            shapes.append(len(rows))
            return matrix[rows]

        found.append(score(block, some, everyone, REGDB, buffer=buffer))
        assert sorted(shapes) == sorted(asked or [32, 32, 6])
        assert sorted(ranked) == sorted(at_once)
    assert len({scores.mAP for scores in found}) == 1


def test_the_cmc_ends_at_rank_50() -> None:
    gallery = [(i, 1) for i in range(60)]
    s = scored([list(range(60))] * 2, [(49, 6), (50, 6)], gallery, SYSU)
    assert s.cmc.shape == (50,)
    assert s.cmc[-2:].tolist() == [0, 0.5]


def test_averages_are_exact_over_many_queries() -> None:
    """30,001 queries at rank 3: a float32 sum of their 1/3 is off in the sixth digit."""
    queries = 30_001
    s = scored(np.tile([1, 2, 3], (queries, 1)), [(1, 6)] * queries, [(2, 1), (3, 1), (1, 1)], REGDB)
    assert s.mAP == pytest.approx(1 / 3, abs=1e-14)


def test_cosine_distance_by_hand() -> None:
    query = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    distances = cosine(query, gallery)
    expected = torch.tensor([[0.0, 1.0, 2.0], [0.4, 0.2, 1.6]])
    torch.testing.assert_close(distances(slice(None)), expected)
    torch.testing.assert_close(distances(slice(1, 2)), expected[1:])
    assert distances(slice(None)).dtype == torch.float32
