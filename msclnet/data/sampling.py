"""Which images make up which batch: P identities x K visible + K infrared, a function of (seed, epoch) alone.

The whole batch is drawn on every rank and each takes its own share of the pairs, so 1, 2 and 4 processes train on
the same global batches and nothing about the order has to be stored to resume.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from msclnet.config.rules import process_counts
from msclnet.core.errors import ConfigError

Pairs = tuple[np.ndarray, np.ndarray]  # positions of the visible and of the infrared images, each int64 [P * K]


def epoch_pairs(
    visible_labels: np.ndarray, infrared_labels: np.ndarray, identities: int, images: int, seed: tuple[int, ...]
) -> Iterator[Pairs]:
    """The batches of one epoch; pair i of a batch holds two images of one identity.

    Labels are int64 ``[N]`` of each modality. A batch draws ``identities`` identities without replacement and
    ``images`` of each modality of them (with replacement only where there are fewer). As in AGW an epoch has
    about as many draws as the larger modality has images. ``seed`` is (seed, split, epoch).
    Raises ConfigError when there are fewer identities than a batch needs.
    """
    by_identity = [
        (np.flatnonzero(visible_labels == identity), np.flatnonzero(infrared_labels == identity))
        for identity in np.unique(np.concatenate((visible_labels, infrared_labels)))
    ]
    if identities > len(by_identity):
        raise ConfigError(
            f"train.identities: a batch needs {identities} identities, and the training set has {len(by_identity)}; "
            f"choose {len(by_identity)} or fewer"
        )
    rng = np.random.default_rng(seed)
    for _ in range(steps_per_epoch(len(visible_labels), len(infrared_labels), identities * images)):
        chosen = [by_identity[i] for i in rng.choice(len(by_identity), identities, replace=False)]
        visible, infrared = (
            np.concatenate([rng.choice(rows[m], images, replace=len(rows[m]) < images) for rows in chosen])
            for m in (0, 1)
        )
        yield visible, infrared


def steps_per_epoch(visible: int, infrared: int, pairs: int) -> int:
    """Batches an epoch, from the numbers of images and the pairs in a batch."""
    return max(1, max(visible, infrared) // pairs)


def share(pairs: int, rank: int, world: int, least: int = 1) -> slice:
    """The pairs of a global batch that ``rank`` of ``world`` processes takes, ``least`` or more: every ``world``-th.

    A batch lists its identities one after the other. So each process has as many of them as it can: what it normalises
    by, where it does so by its own share, would else be one identity's mean, and its features all be alike.
    Raises ConfigError naming the numbers of processes that so divide the batch when ``world`` does not.
    """
    fitting = process_counts(pairs, least)
    if world not in fitting:
        alone = "" if least == 1 else f"; {least} pairs each at least, unless train.sync_batchnorm is true"
        raise ConfigError(
            f"processes: {world} processes cannot share {pairs} pairs (train.identities x train.images) evenly{alone}; "
            f"use {', '.join(map(str, fitting)) or 'a larger batch'}"
        )
    return slice(rank, pairs, world)
