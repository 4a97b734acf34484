"""CMC, mAP and mINP of a ranking. ``Q`` queries, ``G`` gallery images, ``q`` the queries of one block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from msclnet.evaluation.distance import Distances
from msclnet.types import DataError

RANKS = 50  # of the CMC
BUFFER = 2**22  # distances ranked at once; ranking takes some 50 bytes for each


class Labels(NamedTuple):
    """What is known of the queries, or of the gallery: both int64, ``[Q]`` or ``[G]``."""

    identities: Tensor
    cameras: Tensor


@dataclass(frozen=True)
class Rule:
    """How a data set's protocol departs from comparing everything with everything.

    A query of the first camera of an ``ignored`` pair does not see the gallery images of the second, whosever they
    are. With ``identity_unique`` the CMC counts each gallery identity once, where it first occurs in the list.
    """

    ignored: tuple[tuple[int, int], ...] = ()
    identity_unique: bool = False


@dataclass(frozen=True)
class Scores:
    """Fractions, averaged over the queries that have a match in what the rule leaves of the gallery."""

    cmc: np.ndarray  # float64 [min(RANKS, G)]; entry r: the queries matched within the first r + 1
    mAP: float
    mINP: float
    queries: int  # with and without a match
    queries_without_match: int
    gallery: int


def score(distances: Distances, query: Labels, gallery: Labels, rule: Rule, buffer: int = BUFFER) -> Scores:
    """Ranks the gallery for every query: nearest first, equally near ones in the gallery's order.

    With the list that the rule leaves to a query, its matches (same identity) at the positions r_1 < ... < r_m:
    AP = mean of k / r_k, INP = m / r_m (Ye et al., TPAMI 2021, section 4.1), both over the whole list; the CMC asks
    for r_1, or, ``identity_unique``, for the number of identities met before it. Averages are taken in float64.

    All tensors lie on one device. At most ``buffer`` distances (one query's, if that is more) exist at once.

    Raises DataError when no query has a match.
    """
    queries, size = len(query.identities), len(gallery.identities)
    step = max(1, buffer // max(1, size))
    blocks = [
        _ranked(distances(rows), Labels(query.identities[rows], query.cameras[rows]), gallery, rule)
        for rows in (slice(start, start + step) for start in range(0, queries, step) if size)
    ]
    matched = sum(len(rank) for rank, _, _ in blocks)
    if not matched:
        raise DataError(
            f"none of {queries} query images has a match among {size} gallery images; expected shared identities: "
            "check that both modalities of the split's test images were embedded, and their cameras"
        )
    rank, precision, penalty = (torch.cat(column) for column in zip(*blocks, strict=True))
    ranks = min(RANKS, size)
    within = torch.bincount(rank.clamp(max=ranks), minlength=ranks + 1)[:ranks].cumsum(0)
    return Scores(
        cmc=(within.double() / matched).cpu().numpy(),
        mAP=precision.mean().item(),
        mINP=penalty.mean().item(),
        queries=queries,
        queries_without_match=queries - matched,
        gallery=size,
    )


def _ranked(distances: Tensor, query: Labels, gallery: Labels, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """``[q, G]`` distances -> CMC rank (int64, from 0), AP and INP (float64) of those queries that have a match."""
    order = distances.argsort(dim=1, stable=True)
    kept = torch.ones_like(order, dtype=torch.bool)
    for query_camera, gallery_camera in rule.ignored:
        kept &= ~((query.cameras == query_camera)[:, None] & (gallery.cameras == gallery_camera)[order])
    hits = kept & (gallery.identities[order] == query.identities[:, None])
    matches = hits.sum(1)
    found = matches > 0
    order, kept, hits, matches = order[found], kept[found], hits[found], matches[found]

    size = order.shape[1]
    position = kept.cumsum(1)  # from 1, in the list that the rule leaves; meaningless where not kept
    first = position.masked_fill(~hits, size + 1).amin(1)
    last = position.masked_fill(~hits, 0).amax(1)
    precision = (hits.cumsum(1).double() / position).masked_fill(~hits, 0).sum(1) / matches
    rank = first - 1
    if rule.identity_unique:
        people, person = gallery.identities.unique(return_inverse=True)
        met = position.new_full((len(order), len(people)), size + 1)  # where each identity is first met
        met.scatter_reduce_(1, person[order], position.masked_fill(~kept, size + 1), "amin")
        rank = (met < first[:, None]).sum(1)
    return rank, precision, matches.double() / last
