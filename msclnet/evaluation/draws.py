"""CMC, mAP and mINP of several galleries drawn from the same images, in one pass over these.

``Q`` queries, ``N`` images that any gallery holds, ``D`` galleries. Of the queries of one identity and camera: ``q`` of
them, ``m`` images of the identity that they see. ``W`` words of 64 bits, a bit for each of the ``N`` images.

The place of a match in a list is a count: of the gallery's images nearer to the query, and of those as near that stand
before it. Which of the ``N`` images these are is asked once for each query and match, and kept as bits. A gallery is
bits, too: its images. So a place is the number of bits set in both, for every gallery, and no list is sorted.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from msclnet.datasets.protocol import Rule
from msclnet.evaluation.distance import Distances
from msclnet.evaluation.metrics import Labels, Scores, averaged, precision_and_penalty

BUFFER = 2**24  # comparisons of an image with a match at once, a byte each, a thread; one query's, if that is more
WORD = 64  # bits


def score_draws(distances: Distances, query: Labels, images: Labels, members: np.ndarray, rule: Rule) -> list[Scores]:
    """The scores of every gallery, the same to the last digit as ``metrics.score`` gives.

    Args:
        distances: from the rows of some queries, int64 ``[q]``, to their distances to the images, ``[q, N]``.
        query: the queries' identities and cameras, ``[Q]``.
        images: identities, ascending, and cameras, ``[N]``.
        members: bool ``[D, N]``, which images each gallery holds. It lists them in this order.
        rule: what a query does not see, and how the CMC counts.

    Returns:
        The scores of the ``D`` galleries, as fractions.

    Raises:
        DataError: in one of the galleries no query has a match.
    """
    people, cameras = _People(images.identities.numpy()), images.cameras.numpy()
    shape = len(members), len(query.identities)
    found, rank, precision, penalty = np.zeros(shape, bool), np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)

    def fill(rows: np.ndarray) -> None:
        """The columns of the queries ``rows``, which are of one identity and camera."""
        identity, camera = (int(column[rows[0]]) for column in query)
        seen, own = rule.seen(identity, camera, people.identities, cameras), people.of(identity)
        match = own.start + np.flatnonzero(seen[own])
        draws = np.flatnonzero(members[:, match].any(1))  # `d` of them have a match
        held, visible = members[np.ix_(draws, match)], _words(members[draws] & seen)  # [d, m], [d, W]
        for some in _parts(rows, len(match) * len(seen)) if len(draws) else ():
            near = distances(torch.from_numpy(some)).numpy()
            before = _before(near, match, own)
            places = [np.sort(_both(before[:, mine], words), 1) for mine, words in zip(held, visible, strict=True)]
            lists = precision_and_penalty(np.hstack(places).ravel(), np.tile(held.sum(1), len(some)))
            cells = np.ix_(draws, some)
            precision[cells], penalty[cells] = (values.reshape(len(some), -1).T for values in lists)
            rank[cells] = [place[:, 0] for place in places]
            if rule.identity_unique:
                nearest = np.where(held, near[:, None, match], np.inf).argmin(2)  # [q, d]
                rank[cells] = people.among(before[np.arange(len(some))[:, None], nearest] & visible).T
            found[cells] = True

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(fill, _groups(query)))
    return [
        averaged(rank[draw, some], precision[draw, some], penalty[draw, some], shape[1], int(held.sum()))
        for draw, (some, held) in enumerate(zip(found, members, strict=True))
    ]


class _People:
    """Whose the images are: ``identities``, ascending, int64 ``[N]``."""

    def __init__(self, identities: np.ndarray) -> None:
        self.identities = identities
        _, start, count = np.unique(identities, return_index=True, return_counts=True)
        first, last = start // WORD, (start + count - 1) // WORD
        # The bits of one identity lie side by side: in each one's first word, its second, ...
        self.words = [np.minimum(first + further, last) for further in range(int((last - first).max()) + 1)]
        self.bits = []
        for word in self.words:
            place = WORD * word[:, None] + np.arange(WORD) - start[:, None]
            self.bits.append(_words((place >= 0) & (place < count[:, None]))[:, 0])

    def of(self, identity: int) -> slice:
        return slice(*np.searchsorted(self.identities, (identity, identity + 1)).tolist())

    def among(self, bits: np.ndarray) -> np.ndarray:
        """How many identities the images have whose bits are set: uint64 ``[..., W]`` -> int64 ``[...]``."""
        met = bits[..., self.words[0]] & self.bits[0]
        for word, mine in zip(self.words[1:], self.bits[1:], strict=True):
            met |= bits[..., word] & mine
        return np.count_nonzero(met, axis=-1)


def _groups(query: Labels) -> list[np.ndarray]:
    """The rows of the queries of each identity and camera, ascending."""
    identities, cameras = query.identities.numpy(), query.cameras.numpy()
    order = np.lexsort((cameras, identities))
    return np.split(order, np.flatnonzero(np.diff(identities[order]) | np.diff(cameras[order])) + 1)


def _parts(rows: np.ndarray, comparisons: int) -> list[np.ndarray]:
    """The rows in parts that fit in ``BUFFER``, of so many comparisons each."""
    return np.array_split(rows, min(len(rows), -(-len(rows) * comparisons // BUFFER)))


def _before(near: np.ndarray, match: np.ndarray, own: slice) -> np.ndarray:
    """Which images come before each match: distances ``[q, N]``, matches int64 ``[m]`` -> uint64 ``[q, m, W]``.

    Equally near ones do where they stand before it; all matches stand in ``own``.
    """
    value, each, size = near[:, match, None], near[:, None], near.shape[1]
    before = _bits(len(near), len(match), size)
    np.less_equal(each[..., : own.start], value, out=before[..., : own.start])
    np.less(each[..., own.start :], value, out=before[..., own.start : size])
    before[..., own] |= (each[..., own] == value) & (np.arange(own.start, own.stop) < match[:, None])
    return _words(before)


def _bits(*shape: int) -> np.ndarray:
    """bool of a shape, but that whole words are filled: the last axis is longer, and False there."""
    *others, size = shape
    bits = np.empty((*others, -(-size // WORD) * WORD), bool)
    bits[..., size:] = False
    return bits


def _words(bits: np.ndarray) -> np.ndarray:
    """bool ``[..., N]`` -> uint64 ``[..., W]``."""
    if bits.shape[-1] % WORD:
        unfilled, bits = bits, _bits(*bits.shape)
        bits[..., : unfilled.shape[-1]] = unfilled
    return np.packbits(bits, axis=-1, bitorder="little").view(np.uint64)


def _both(words: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How many bits are set in both, uint64 ``[..., W]`` -> uint32 ``[...]``; ``words`` is written over."""
    words &= others
    return np.bitwise_count(words).sum(-1, dtype=np.uint32)
