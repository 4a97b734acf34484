"""How far apart two features are. ``Q`` queries, ``G`` gallery images, ``D`` channels."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Distances = Callable[[Tensor], Tensor]  # the rows of some queries (int64) -> their distances to the gallery, [rows, G]


def cosine(query: Tensor, gallery: Tensor) -> Distances:
    """1 - cos, in [0, 2], of float32 rows of unit length ``[Q, D]`` and ``[G, D]``, as one matrix product a block.

    Only the block asked for exists, so neither ``Q`` nor ``G`` is bounded by the ``[Q, G]`` matrix.
    """
    return lambda rows: (query[rows] @ gallery.T).neg_().add_(1)  # in place: a block may be of 100 MB
