"""CMC, mAP and mINP of a ranking. ``Q`` queries, ``G`` gallery images, ``q`` the queries of one block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from msclnet.core.errors import DataError
from msclnet.datasets.protocol import Rule
from msclnet.evaluation.distance import Distances

RANKS = 50  # of the CMC
BUFFER = 2**21  # distances ranked at once; ranking takes some 20 bytes for each
LARGE, FEW = 2**15, 48  # from so many images on, so many matches a query are counted faster than the list is sorted
TOGETHER = 100  # queries whose distances are one product at least: each product reads the whole gallery


class Labels(NamedTuple):
    """What is known of the queries, or of the gallery.

    Attributes:
        identities: int64, ``[Q]`` or ``[G]``.
        cameras: int64, ``[Q]`` or ``[G]``.
    """

    identities: Tensor
    cameras: Tensor

    def of(self, rows: np.ndarray) -> Labels:
        """Those of some images.

        Args:
            rows: theirs, int64.

        Returns:
            Their identities and cameras, in the order of the rows.
        """
        return Labels(self.identities[rows], self.cameras[rows])


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
    matches = _matches(query, gallery, rule)
    _, rank, precision, penalty = _all_ranked(distances, matches, query, gallery, rule, buffer)
    return averaged(rank, precision, penalty, len(query.identities), len(gallery.identities))


def averaged(rank: np.ndarray, precision: np.ndarray, penalty: np.ndarray, queries: int, gallery: int) -> Scores:
    """The scores of a gallery from the lists of the queries that have a match.

    Args:
        rank: int64 ``[L]``, from 0, of the CMC.
        precision: float64 ``[L]``, the AP of each list.
        penalty: float64 ``[L]``, the INP of each list.
        queries: their number, with and without a match.
        gallery: the number of its images.

    Returns:
        The scores, as fractions.

    Raises:
        DataError: no query has a match.
    """
    if not len(rank):
        raise DataError(
            f"none of {queries} query images has a match among {gallery} gallery images; expected shared identities: "
            "check that both modalities of the split's test images were embedded, and their cameras"
        )
    ranks = min(RANKS, gallery)
    within = np.bincount(np.minimum(rank, ranks), minlength=ranks + 1)[:ranks].cumsum()
    return Scores(
        cmc=within / len(rank),
        mAP=float(precision.mean()),
        mINP=float(penalty.mean()),
        queries=queries,
        queries_without_match=queries - len(rank),
        gallery=gallery,
    )


def precision_and_penalty(place: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The AP and the INP of some lists, as in ``score``.

    Args:
        place: where the matches stand, from 0, ascending, those of one list behind those of another: integers ``[M]``.
        count: how many each list has, 1 or more: int64 ``[L]``.

    Returns:
        Float64 ``[L]`` each, 0..1.
    """
    end = count.cumsum()
    number = np.arange(1, len(place) + 1) - np.repeat(end - count, count)
    precision = np.add.reduceat(number / (place + 1.0), end - count) / count
    return precision, count / (place[end - 1] + 1.0)


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
    found, _, precision, _ = _all_ranked(distances, _matches(query, gallery, rule), query, gallery, rule, buffer)
    every[found] = torch.from_numpy(precision)
    return every


def _all_ranked(
    distances: Distances, matches: _Matches, query: Labels, gallery: Labels, rule: Rule, buffer: int
) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]:
    """The queries with a match, ascending, and what ``_ranked`` says of them."""
    found = matches.query.unique()
    if not len(found):
        return found, np.empty(0, np.int64), np.empty(0), np.empty(0)
    at_once = max(1, buffer // len(gallery.identities))
    if rule.identity_unique:  # people are counted: number them once
        _, person = gallery.identities.unique(return_inverse=True)
        gallery = gallery._replace(identities=person)

    def ranked(near: Tensor, rows: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _ranked(near, rows, matches.of(rows), query, gallery, rule)

    workers = torch.get_num_threads() if found.device.type == "cpu" else 1  # NumPy's sort is of one thread
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    with ThreadPoolExecutor(workers) as pool:
        for rows in found.split(max(workers * at_once, TOGETHER)):  # a product is of all threads
            parts += pool.map(ranked, distances(rows).split(at_once), rows.split(at_once))
    rank, precision, penalty = (np.concatenate(column) for column in zip(*parts, strict=True))
    return found.cpu(), rank, precision, penalty


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
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``[q, G]`` distances of the queries ``rows`` -> their CMC rank (int64, from 0), AP and INP (float64).

    Nothing but the matches needs a place in the list. The gallery's identities are its people, numbered from 0.
    """
    distances = _without_hidden(distances, rows, matches, query, gallery, rule)
    row, image, _ = matches
    count = torch.bincount(row, minlength=len(rows))  # of each query's matches, 1 or more
    start = count.cumsum(0) - count
    slot = torch.arange(len(row), device=row.device) - start[row]
    few = distances.shape[1] >= LARGE and len(row) <= FEW * len(rows) and distances.device.type == "cpu"
    place = torch.full((len(rows), int(count.max())), distances.shape[1], device=row.device)  # past the end: no match
    place[row, slot] = _counted(distances, row, image) if few else _looked_up(distances, row, image, slot)

    first, nearest = place.min(1)
    places = place.sort(1).values[torch.arange(place.shape[1], device=row.device) < count[:, None]]
    precision, penalty = precision_and_penalty(places.cpu().numpy(), count.cpu().numpy())
    if rule.identity_unique:
        first = _people_before(distances, image[start + nearest], gallery.identities)
    return first.cpu().numpy(), precision, penalty


def _without_hidden(
    distances: Tensor, rows: Tensor, matches: _Matches, query: Labels, gallery: Labels, rule: Rule
) -> Tensor:
    """The distances with what the rule hides at infinity, behind all that is seen; a copy where it hides anything."""
    if rule.ignored or len(matches.hidden[0]):
        distances = distances.clone()
        distances[matches.hidden] = torch.inf
    for query_camera, gallery_camera in rule.ignored:
        blind = query.cameras[rows] == query_camera
        distances.masked_fill_(blind[:, None] & (gallery.cameras == gallery_camera), torch.inf)
    return distances


def _counted(distances: Tensor, row: Tensor, image: Tensor) -> Tensor:
    """The place of every match, from 0, int64 ``[M]``: what is nearer is counted for each. On a CPU."""
    lists, pairs = distances.numpy(), zip(row.tolist(), image.tolist(), strict=True)
    earlier = [(lists[r, i], lists[r, :i], lists[r, i:]) for r, i in pairs]
    return torch.tensor([np.count_nonzero(a <= value) + np.count_nonzero(b < value) for value, a, b in earlier])


def _looked_up(distances: Tensor, row: Tensor, image: Tensor, slot: Tensor) -> Tensor:
    """As ``_counted``, of any number of matches in the same time: they are looked up in the sorted list.

    It is sorted as bare numbers, which is several times faster than sorting the images by them.
    """
    value = distances.new_full((len(distances), int(slot.max()) + 1), torch.inf)
    value[row, slot] = distances[row, image]
    ascending = _sorted(distances)
    nearer = torch.searchsorted(ascending, value)
    following = ascending.gather(1, (nearer + 1).clamp(max=distances.shape[1] - 1))
    tied = ((following == value) & (nearer + 1 < distances.shape[1]))[row, slot]
    return nearer[row, slot] + _tied_before(distances, row, image, tied)


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


def _people_before(distances: Tensor, image: Tensor, person: Tensor) -> Tensor:
    """How many people each list has before ``image`` (``[q]``), int64; ``person`` is whose each image is, ``[G]``."""
    met = torch.zeros(len(distances), int(person.max()) + 1, dtype=torch.bool, device=image.device)
    for row, (near, own) in enumerate(zip(distances, image.tolist(), strict=True)):
        for part, people, is_before in ((near[:own], person[:own], torch.le), (near[own:], person[own:], torch.lt)):
            met[row, people[is_before(part, near[own])]] = True
    return met.sum(1)
