"""CMC, mAP and mINP of a ranking. ``Q`` queries, ``G`` gallery images, ``q`` the queries of one block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from msclnet.core.errors import DataError
from msclnet.datasets.protocol import Rule
from msclnet.evaluation.distance import Distances

RANKS = 50  # of the CMC
BUFFER = 2**21  # distances ranked at once; ranking takes some 20 bytes for each
TOGETHER = 32  # queries whose distances are one product at least: each product reads the whole gallery


class Labels(NamedTuple):
    """What is known of the queries, or of the gallery.

    Attributes:
        identities: int64, ``[Q]`` or ``[G]``.
        cameras: int64, ``[Q]`` or ``[G]``.
    """

    identities: Tensor
    cameras: Tensor


@dataclass(frozen=True)
class Scores:
    """Fractions, averaged over the queries that have a match in what the rule leaves of the gallery.

    Attributes:
        cmc: float64 ``[min(RANKS, G)]``. Entry r is the fraction of queries matched within the first r + 1.
        mAP: 0..1.
        mINP: 0..1.
        queries: their number, with and without a match.
        queries_without_match: their number; they count in no average.
        gallery: the number of its images.
    """

    cmc: np.ndarray  # float64 [min(RANKS, G)]; entry r: the queries matched within the first r + 1
    mAP: float
    mINP: float
    queries: int  # with and without a match
    queries_without_match: int
    gallery: int


def score(distances: Distances, query: Labels, gallery: Labels, rule: Rule, buffer: int = BUFFER) -> Scores:
    """Ranks the gallery for every query: nearest first, equally near ones in the gallery's order.

    The rule leaves a list to each query. Its matches (same identity) stand there at the positions ``r_1 < ... < r_m``.
    AP is the mean of ``k / r_k``, INP is ``m / r_m``, both over the whole list. Source: Ye et al., TPAMI 2021, section
    4.1. The CMC asks for ``r_1``. With ``identity_unique`` it asks for the number of identities met before it. Averages
    are taken in float64. All tensors lie on one device.

    Args:
        distances: from the rows of some queries, int64 ``[q]``, to their distances to the gallery, ``[q, G]``.
        query: the queries' identities and cameras, ``[Q]``.
        gallery: the gallery's identities and cameras, ``[G]``.
        rule: what a query does not see, and how the CMC counts.
        buffer: at most so many distances are ranked at once, on a CPU a thread; one query's, if that is more. As many
            exist at once, or those of ``TOGETHER`` queries, if that is more.

    Returns:
        The scores, as fractions.

    Raises:
        DataError: no query has a match.
    """
    queries, size = len(query.identities), len(gallery.identities)
    matches = _matches(query, gallery, rule)
    if not len(matches.query):
        raise DataError(
            f"none of {queries} query images has a match among {size} gallery images; expected shared identities: "
            "check that both modalities of the split's test images were embedded, and their cameras"
        )
    found, rank, precision, penalty = _all_ranked(distances, matches, query, gallery, rule, buffer)
    ranks = min(RANKS, size)
    within = torch.bincount(rank.clamp(max=ranks), minlength=ranks + 1)[:ranks].cumsum(0)
    return Scores(
        cmc=(within.double() / len(found)).cpu().numpy(),
        mAP=precision.mean().item(),
        mINP=penalty.mean().item(),
        queries=queries,
        queries_without_match=queries - len(found),
        gallery=size,
    )


def average_precision(distances: Distances, query: Labels, gallery: Labels, rule: Rule, buffer: int = BUFFER) -> Tensor:
    """The average precision of each query, as in ``score``.

    Args:
        distances: from the rows of some queries, int64 ``[q]``, to their distances to the gallery, ``[q, G]``.
        query: the queries' identities and cameras, ``[Q]``.
        gallery: the gallery's identities and cameras, ``[G]``.
        rule: what a query does not see.
        buffer: at most so many distances are ranked at once, as in ``score``.

    Returns:
        Float64 ``[Q]``, 0..1, on the CPU; NaN for a query without a match.
    """
    every = torch.full((len(query.identities),), torch.nan, dtype=torch.float64)
    matches = _matches(query, gallery, rule)
    if len(matches.query):
        found, _, precision, _ = _all_ranked(distances, matches, query, gallery, rule, buffer)
        every[found.cpu()] = precision.cpu()
    return every


def _all_ranked(
    distances: Distances, matches: _Matches, query: Labels, gallery: Labels, rule: Rule, buffer: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The queries with a match, ascending, and what ``_ranked`` says of them."""
    found = matches.query.unique()
    at_once = max(1, buffer // len(gallery.identities))

    def ranked(rows: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        parts = zip(distances(rows).split(at_once), rows.split(at_once), strict=True)
        return [_ranked(near, some, matches.of(some), query, gallery, rule) for near, some in parts]

    workers = torch.get_num_threads() if found.device.type == "cpu" else 1  # NumPy's sort is of one thread
    with ThreadPoolExecutor(workers) as pool:
        blocks = chain.from_iterable(pool.map(ranked, found.split(max(at_once, TOGETHER))))
    rank, precision, penalty = (torch.cat(column) for column in zip(*blocks, strict=True))
    return found, rank, precision, penalty


class _Matches(NamedTuple):
    """Every pair of a query and a gallery image of its identity, by query, then in the gallery's order: int64 ``[M]``.

    ``hidden`` are those pairs that the rule takes away again.
    """

    query: Tensor
    image: Tensor
    hidden: tuple[Tensor, Tensor]

    def of(self, rows: Tensor) -> _Matches:
        """Those of the ascending queries ``rows``, which are numbered anew from 0."""
        within = slice(
            int(torch.searchsorted(self.query, rows[0])), int(torch.searchsorted(self.query, rows[-1], right=True))
        )
        query, image = self.hidden
        inside = torch.isin(query, rows)
        hidden = torch.searchsorted(rows, query[inside]), image[inside]
        return _Matches(torch.searchsorted(rows, self.query[within]), self.image[within], hidden)


def _matches(query: Labels, gallery: Labels, rule: Rule) -> _Matches:
    """Found by the sorted identities of the gallery, so without a ``[Q, G]`` matrix."""
    identities, by_identity = gallery.identities.sort(stable=True)
    wanted = query.identities.contiguous()
    start = torch.searchsorted(identities, wanted)
    count = torch.searchsorted(identities, wanted, right=True) - start
    row = torch.repeat_interleave(count)  # 0 count[0] times, 1 count[1] times, ...
    slot = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    image = by_identity[start[row] + slot]
    hidden = torch.zeros_like(row, dtype=torch.bool)
    if rule.same_camera_ignored:
        hidden |= query.cameras[row] == gallery.cameras[image]
    gone = row[hidden], image[hidden]
    for query_camera, gallery_camera in rule.ignored:
        hidden |= (query.cameras[row] == query_camera) & (gallery.cameras[image] == gallery_camera)
    return _Matches(row[~hidden], image[~hidden], gone)


def _ranked(
    distances: Tensor, rows: Tensor, matches: _Matches, query: Labels, gallery: Labels, rule: Rule
) -> tuple[Tensor, Tensor, Tensor]:
    """``[q, G]`` distances of the queries ``rows`` -> their CMC rank (int64, from 0), AP and INP (float64).

    Nothing but the matches needs a place in the list, and a place is a count of what is nearer. So the distances are
    sorted as bare numbers, which is several times faster than sorting the images by them, and the matches looked up.
    """
    distances = _without_hidden(distances, rows, matches, query, gallery, rule)
    row, image, _ = matches
    count = torch.bincount(row, minlength=len(rows))  # of each query's matches, 1 or more
    start = count.cumsum(0) - count
    slot = torch.arange(len(row), device=row.device) - start[row]
    value = distances.new_full((len(rows), int(count.max())), torch.inf)
    value[row, slot] = distances[row, image]

    ascending = _sorted(distances)
    nearer = torch.searchsorted(ascending, value)
    following = ascending.gather(1, (nearer + 1).clamp(max=distances.shape[1] - 1))
    tied = ((following == value) & (nearer + 1 < distances.shape[1]))[row, slot]
    place = torch.full_like(nearer, distances.shape[1])  # from 0; past the end where a query has fewer matches
    place[row, slot] = nearer[row, slot] + _tied_before(distances, row, image, tied)

    first, nearest = place.min(1)
    places, _ = place.sort(1)
    number = torch.arange(1, places.shape[1] + 1, device=places.device)
    precision = (number / (places + 1).double()).masked_fill(number > count[:, None], 0).sum(1) / count
    penalty = count.double() / (places.gather(1, count[:, None] - 1)[:, 0] + 1)
    if rule.identity_unique:
        first = _people_before(distances, image[start + nearest], tied[start + nearest], gallery.identities)
    return first, precision, penalty


def _without_hidden(
    distances: Tensor, rows: Tensor, matches: _Matches, query: Labels, gallery: Labels, rule: Rule
) -> Tensor:
    """The distances with what the rule hides at infinity, behind all that is seen; a copy where it hides anything."""
    if rule.ignored or len(matches.hidden[0]):
        distances = distances.clone()
        distances[matches.hidden] = torch.inf
    for query_camera, gallery_camera in rule.ignored:
        blind = (query.cameras[rows] == query_camera).nonzero()
        distances[blind, (gallery.cameras == gallery_camera).nonzero()[:, 0]] = torch.inf
    return distances


def _sorted(distances: Tensor) -> Tensor:
    """Each row in ascending order. On a CPU by NumPy, whose vectorised sort takes a sixth of torch's time."""
    if distances.device.type == "cpu":
        return torch.from_numpy(np.sort(distances.numpy(), axis=1))
    return distances.sort(1).values


def _tied_before(distances: Tensor, row: Tensor, image: Tensor, tied: Tensor) -> Tensor:
    """For every match, how many equally near images the gallery has before it, int64; ``tied`` says where any are."""
    before = torch.zeros_like(row)
    index = torch.arange(distances.shape[1], device=row.device)
    for some in tied.nonzero()[:, 0].split(len(distances)):
        equal = distances[row[some]] == distances[row[some], image[some]][:, None]
        before[some] = (equal & (index < image[some][:, None])).sum(1)
    return before


def _people_before(distances: Tensor, image: Tensor, tied: Tensor, identities: Tensor) -> Tensor:
    """How many identities each list has before ``image`` (``[q]``), int64; ``tied`` says where others are as near."""
    value = distances.gather(1, image[:, None])
    before = distances < value
    index = torch.arange(distances.shape[1], device=image.device)
    before[tied] |= (distances[tied] == value[tied]) & (index < image[tied, None])
    people, person = identities.unique(return_inverse=True)
    met = torch.zeros(len(distances), len(people), dtype=torch.bool, device=image.device)
    row, seen = before.nonzero(as_tuple=True)
    met[row, person[seen]] = True
    return met.sum(1)
