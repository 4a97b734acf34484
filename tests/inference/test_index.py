"""The index finds nearly all that the exact search finds, with exact scores, and follows the store."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msclnet.core.types import Modality
from msclnet.inference import feature_cache
from msclnet.inference.feature_cache import Image, Store
from msclnet.inference.index import Hits, Index, exact

VISIBLE = Modality.VISIBLE
DIMENSION, PEOPLE, EACH = 32, 300, 20


def drawn(rng: np.random.Generator, people: np.ndarray) -> np.ndarray:
    """Clustered unit vectors: an image of each of some people."""
    centres = np.random.default_rng(0).standard_normal((PEOPLE, DIMENSION))
    rows = centres[people] + 0.7 * rng.standard_normal((len(people), DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path, DIMENSION)
    put(store, "a", drawn(np.random.default_rng(1), np.arange(PEOPLE * EACH) % PEOPLE))
    return store


def put(store: Store, name: str, features: np.ndarray) -> None:
    store.put([Image(f"{name}{i}", 0, 0, VISIBLE, 0.0) for i in range(len(features))], features)


def recall(found: Hits, truth: Hits) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found.rows, truth.rows, strict=True)]))


QUERIES = drawn(np.random.default_rng(2), np.arange(50))


def test_exact_is_the_sorted_product(store: Store) -> None:
    features = store.features(store.rows(VISIBLE))
    products = QUERIES @ features.T
    found = exact(store, QUERIES, VISIBLE, 10)
    assert np.allclose(found.scores, -np.sort(-products, axis=1)[:, :10], atol=1e-6)
    assert np.allclose(np.take_along_axis(products, found.rows, 1), found.scores, atol=1e-6)


def test_the_index_misses_little_and_its_scores_are_exact(store: Store) -> None:
    truth = exact(store, QUERIES, VISIBLE, 10)
    index = Index(store, VISIBLE)
    found = index.search(QUERIES, 10)
    assert recall(found, truth) > 0.95
    assert recall(index.search(QUERIES, 10, probes=1), truth) < recall(found, truth)
    products = np.stack([store.features(rows) @ query for rows, query in zip(found.rows, QUERIES, strict=True)])
    assert np.allclose(found.scores, products, atol=1e-6)
    assert (np.diff(found.scores) <= 0).all()


def test_an_index_follows_the_store_without_being_made_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    Index(store, VISIBLE)
    monkeypatch.setattr("msclnet.inference.index._trained", None)
    store.drop(f"a{i}" for i in range(2000))
    put(store, "b", drawn(np.random.default_rng(3), np.arange(1000) % PEOPLE))
    index = Index(store, VISIBLE)
    assert recall(index.search(QUERIES, 10), exact(store, QUERIES, VISIBLE, 10)) > 0.95
    everything = Index(store, VISIBLE).search(QUERIES[:1], 10_000, probes=10_000)
    assert sorted(row for row in everything.rows[0].tolist() if row >= 0) == store.rows(VISIBLE).tolist()


def test_an_index_that_was_outgrown_or_damaged_is_made_anew(store: Store) -> None:
    file = Index(store, VISIBLE).file
    small = file.stat().st_size
    put(store, "b", drawn(np.random.default_rng(3), np.arange(3 * PEOPLE * EACH) % PEOPLE))
    index = Index(store, VISIBLE)
    truth = exact(store, QUERIES, VISIBLE, 10)
    assert file.stat().st_size > 3 * small
    assert recall(index.search(QUERIES, 10), truth) > 0.95
    file.write_bytes(b"not an index")
    assert recall(Index(store, VISIBLE).search(QUERIES, 10), truth) > 0.95


@pytest.mark.parametrize("images", [1, 2, 4, 5, 8, 9])
@pytest.mark.parametrize("queries", [1, 2])
@pytest.mark.parametrize("top", [1, 2, 50])
@pytest.mark.parametrize("apart", [True, False])
def test_every_shape_with_a_one_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int, queries: int, top: int, apart: bool
) -> None:
    """Also a last block of one image, one result, and images that are all the same."""
    monkeypatch.setattr(feature_cache, "BLOCK", 4)
    features = drawn(np.random.default_rng(3), np.arange(images))
    store = Store(tmp_path, DIMENSION)
    put(store, "a", features if apart else features[:1].repeat(images, 0))
    asked = QUERIES[:queries]
    best = -np.sort(-(asked @ store.features(store.rows(VISIBLE)).T), axis=1)[:, :top]
    for found in (exact(store, asked, VISIBLE, top), Index(store, VISIBLE).search(asked, top)):
        assert found.rows.shape == found.scores.shape == (queries, min(top, images))
        assert np.allclose(found.scores, best, atol=1e-6)
        assert all(len(set(rows)) == len(rows) for rows in found.rows.tolist())


def written(index: Any, file: Path) -> None:
    import faiss

    content = faiss.serialize_index(index).tobytes()
    file.write_bytes(content + hashlib.sha256(content).digest())


@pytest.mark.parametrize("other", ["text", "cut off", "a byte", "another dimension", "another kind"])
def test_a_damaged_index_is_made_anew(store: Store, tmp_path: Path, other: str) -> None:
    import faiss

    truth = Index(store, VISIBLE).search(QUERIES, 10)
    file = store.file("visible", ".faiss")
    match other:
        case "text":
            file.write_bytes(b"no index" * 100)
        case "cut off":
            file.write_bytes(file.read_bytes()[:-1000])
        case "a byte":
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        case "another dimension":
            index = faiss.index_factory(8, "PCA4,IVF1,SQ8")
            index.train(np.random.default_rng(0).random((64, 8), np.float32))
            written(index, file)
        case "another kind":
            written(faiss.IndexFlatL2(DIMENSION), file)
    assert np.array_equal(Index(store, VISIBLE).search(QUERIES, 10).rows, truth.rows)
