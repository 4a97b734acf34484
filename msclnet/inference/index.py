"""The nearest of many features by cosine: exactly, or through a faiss index. ``Q`` queries, ``D`` numbers a feature.

The index is an inverted file of 8-bit codes behind a PCA to at most ``REDUCED`` numbers: k-means divides the space into
cells, a search looks at the ``PROBES`` cells nearest to the query and takes candidates by their codes (a byte a number;
a feature has 4 D); their scores are then computed from the stored features. So the scores are exact, and an image can
only be missed.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from msclnet.core.files import atomic_write, sha256
from msclnet.core.optional import extra
from msclnet.core.types import Modality
from msclnet.inference.feature_cache import PRIVATE, Store

if TYPE_CHECKING:
    import faiss

EXACT_BELOW = 1_000_000  # images; an index misses some, so it is for where exact search takes too long
REDUCED = 256  # numbers a code; trained features vary in far fewer directions than they have numbers
CELLS = 4  # times the square root of the number of images
PROBES = 128  # cells looked at
CANDIDATES = 8  # times as many as asked for are scored
POINTS = 40  # images a cell k-means sees; faiss asks for 39 or more
DIGEST = 32  # bytes of a sha256, the last of an index's file


class Hits(NamedTuple):
    """The nearest images of each query, best first, ``[Q, top]`` or fewer columns.

    ``rows`` of the store, int64, -1 where there is none, and cosines, float32.
    """

    rows: np.ndarray
    scores: np.ndarray


def exact(store: Store, queries: np.ndarray, modality: Modality, top: int) -> Hits:
    """Every stored feature of ``modality`` against ``queries`` ``[Q, D]``; a block of them in memory at once."""
    best = Hits(np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32))
    for rows, features in store.blocks(store.rows(modality)):
        scores, places = torch.topk(torch.from_numpy(queries) @ torch.from_numpy(features).T, min(top, len(rows)))
        found = rows[places.numpy()]  # a tensor of one number would be taken for that number
        best = _best(np.hstack((best.rows, found)), np.hstack((best.scores, scores.numpy())), top)
    return best


class Index:
    """A faiss index of the features of one modality, kept beside the store."""

    def __init__(self, store: Store, modality: Modality) -> None:
        """Reads the index and brings it up to date with the store, or makes it; minutes for 10^6 images."""
        with extra("use"):
            import faiss
        self.store = store
        self.file = store.file(modality.name.lower(), ".faiss")
        present = store.rows(modality)
        index, held = _read(self.file, store.dimension)
        if index is None or faiss.extract_index_ivf(index).nlist != _cells(len(present)):
            index, held = _trained(store, present), np.empty(0, np.int64)
        gone, new = np.setdiff1d(held, present), np.setdiff1d(present, held)
        if len(gone):
            index.remove_ids(gone)
        for rows, features in store.blocks(new):
            index.add_with_ids(features, rows)
        if len(gone) or len(new):
            with atomic_write(self.file) as partial:
                partial.chmod(PRIVATE)
                faiss.write_index(index, str(partial))
                digest = sha256(partial)
                with partial.open("ab") as file:
                    file.write(bytes.fromhex(digest))
        self._index = index

    def search(self, queries: np.ndarray, top: int, probes: int = PROBES) -> Hits:
        """As ``exact``, but an image in a cell that was not looked at is missed."""
        import faiss

        cells = faiss.SearchParametersIVF(nprobe=min(probes, faiss.extract_index_ivf(self._index).nlist))
        wanted = faiss.SearchParametersPreTransform(index_params=cells)
        _, rows = self._index.search(queries, min(top * CANDIDATES, self._index.ntotal), params=wanted)
        scores = np.full(rows.shape, -np.inf, np.float32)
        for number, query in enumerate(queries):
            found = rows[number] >= 0  # -1: the cells held fewer
            scores[number, found] = self.store.features(rows[number, found]) @ query
        return _best(rows, scores, top)


def _best(rows: np.ndarray, scores: np.ndarray, top: int) -> Hits:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return Hits(np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1))


def _cells(images: int) -> int:
    """How many an index of so many images has: a power of two, so that it is made anew only once it has outgrown it."""
    return 2 ** max(0, round(math.log2(min(CELLS * math.sqrt(images), images / POINTS))))


def _trained(store: Store, rows: np.ndarray) -> faiss.IndexPreTransform:
    """An empty index whose PCA and cells are fitted to a fixed sample of the features."""
    import faiss

    cells = _cells(len(rows))
    sample = np.sort(np.random.default_rng(0).permutation(rows)[: cells * POINTS])
    reduced = min(REDUCED, store.dimension, len(sample))
    # Between unit vectors L2 ranks as the cosine does, and does not mind that a PCA moves the origin.
    index = faiss.index_factory(store.dimension, f"PCA{reduced},IVF{cells},SQ8", faiss.METRIC_L2)
    faiss.extract_index_ivf(index).cp.min_points_per_centroid = 1  # a small gallery has one cell: nothing to warn of
    index.train(store.features(sample))
    return index


def _read(file: Path, dimension: int) -> tuple[faiss.IndexPreTransform | None, np.ndarray]:
    """The index in ``file`` and the rows it holds; None when there is none, or a damaged or another one."""
    import faiss

    if not _whole(file):  # faiss believes what it reads, and a damaged one ends the process
        return None, np.empty(0, np.int64)
    try:
        index = faiss.read_index(str(file))
        cells = faiss.extract_index_ivf(index).invlists
    except (RuntimeError, MemoryError):
        return None, np.empty(0, np.int64)
    if index.d != dimension:
        return None, np.empty(0, np.int64)
    held = [faiss.rev_swig_ptr(cells.get_ids(i), cells.list_size(i)).copy() for i in range(cells.nlist)]
    return index, np.concatenate([rows for rows in held if len(rows)] or [np.empty(0, np.int64)])


def _whole(file: Path) -> bool:
    """Whether the sha256 at the end of ``file`` is that of what stands before it."""
    if not file.is_file() or file.stat().st_size <= DIGEST:
        return False
    content = np.memmap(file, np.uint8, "r")
    return hashlib.sha256(content[:-DIGEST].data).digest() == content[-DIGEST:].tobytes()
