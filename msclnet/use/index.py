"""The nearest of many features by cosine: exactly, or through a faiss index. ``Q`` queries, ``D`` numbers a feature.

The index is an inverted file of 8-bit codes: k-means divides the space into cells, a search looks at the ``PROBES``
cells nearest to the query and takes candidates by their codes (D bytes an image instead of 4 D); their scores are then
computed from the stored features. So the scores are exact, and an image can only be missed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from msclnet.extras import extra
from msclnet.types import Modality
from msclnet.use.store import Store

if TYPE_CHECKING:
    import faiss

EXACT_BELOW = 50_000  # images: exact search takes a fraction of a second there
PROBES = 32  # cells looked at
CANDIDATES = 8  # times as many as asked for are scored
POINTS = 40  # images a cell k-means sees; faiss asks for 39 or more
REGROWTH = 2  # an index that has so many times the images it was made from, or fewer by that, is made anew


class Hits(NamedTuple):
    """The nearest images of each query, best first: ids int64 and cosines float32, ``[Q, top]`` or fewer columns."""

    ids: np.ndarray
    scores: np.ndarray


def exact(store: Store, queries: np.ndarray, modality: Modality, top: int) -> Hits:
    """Every stored feature of ``modality`` against ``queries`` ``[Q, D]``; a block of them in memory at once.

    Equal scores are in the order of the ids.
    """
    best = Hits(np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32))
    for ids, features in store.blocks(store.ids(modality)):
        found = np.broadcast_to(ids, (len(queries), len(ids)))
        best = _best(np.hstack((best.ids, found)), np.hstack((best.scores, queries @ features.T)), top)
    return best


class Index:
    """A faiss index of the features of one modality in a store, kept in ``file``."""

    def __init__(self, store: Store, modality: Modality, file: Path) -> None:
        """Reads ``file`` and brings it up to date with the store, or makes it; minutes for 10^6 images."""
        with extra("use"):
            import faiss
        self.store = store
        present = store.ids(modality)
        index, held = _read(file)
        if index is None or not len(held) / REGROWTH <= len(present) <= len(held) * REGROWTH:
            index, held = _trained(store, present), np.empty(0, np.int64)
        gone, new = np.setdiff1d(held, present), np.setdiff1d(present, held)
        if len(gone):
            index.remove_ids(gone)
        for ids, features in store.blocks(new):
            index.add_with_ids(features, ids)
        if len(gone) or len(new):
            partial = file.with_name(file.name + ".partial")
            faiss.write_index(index, str(partial))
            partial.replace(file)
        self._index = index

    def search(self, queries: np.ndarray, top: int, probes: int = PROBES) -> Hits:
        """As ``exact``, but an image in a cell that was not looked at is missed."""
        import faiss

        wanted = faiss.SearchParametersIVF(nprobe=min(probes, self._index.nlist))
        _, ids = self._index.search(queries, min(top * CANDIDATES, self._index.ntotal), params=wanted)
        scores = np.full(ids.shape, -np.inf, np.float32)
        for row, query in enumerate(queries):
            found = ids[row] >= 0  # -1: the cells held fewer
            scores[row, found] = self.store.features(ids[row, found]) @ query
        return _best(ids, scores, top)


def _best(ids: np.ndarray, scores: np.ndarray, top: int) -> Hits:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return Hits(np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1))


def _trained(store: Store, ids: np.ndarray) -> faiss.IndexIVF:
    """An empty index whose cells are fitted to a fixed sample of the features."""
    import faiss

    cells = max(1, min(2 ** round(math.log2(math.sqrt(len(ids)))), len(ids) // POINTS))
    sample = np.random.default_rng(0).permutation(ids)[: cells * POINTS]
    index = faiss.index_factory(store.dimension, f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(np.concatenate([features for _, features in store.blocks(np.sort(sample))]))
    return index


def _read(file: Path) -> tuple[faiss.IndexIVF | None, np.ndarray]:
    """The index in ``file`` and the ids it holds; None when there is none, or only a damaged one."""
    import faiss

    try:
        index = faiss.read_index(str(file))
    except RuntimeError:
        return None, np.empty(0, np.int64)
    cells = index.invlists
    held = [faiss.rev_swig_ptr(cells.get_ids(i), cells.list_size(i)).copy() for i in range(index.nlist)]
    return index, np.concatenate([ids for ids in held if len(ids)] or [np.empty(0, np.int64)])
