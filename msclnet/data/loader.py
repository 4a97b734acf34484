"""The training images of one split, read from a pack by memory map."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from msclnet.core.types import Batch, Modality
from msclnet.data.augmentation import Channels, augment, draw
from msclnet.data.pack import Pack
from msclnet.data.sampling import Pairs, epoch_pairs, share, steps_per_epoch

T = TypeVar("T")
Sent = tuple[list[Tensor], torch.cuda.Event | None]  # copies, and what happens when they have arrived
AUGMENTATION = 1  # keeps the augmentation's random stream apart from the sampler's


@dataclass(frozen=True)
class Recipe:
    """What decides the batches: see ``msclnet.config.Train`` for the units."""

    seed: int
    split: int
    identities: int
    images: int
    least: int  # pairs of a batch that a process needs
    padding: int
    flip: float
    erasing: float
    erasing_area: tuple[float, float]
    channels: Literal["none", "random", "joint"] = "none"  # of visible images: see ``msclnet.config.Method``
    held_out: tuple[int, ...] = ()  # identities that do not train

    @property
    def streams(self) -> tuple[tuple[Modality, Channels], ...]:
        """What is drawn of each batch, in this order: each modality, and in joint learning visible images again."""
        visible: Channels = "random" if self.channels == "random" else "none"
        both: tuple[tuple[Modality, Channels], ...] = ((Modality.VISIBLE, visible), (Modality.INFRARED, "none"))
        return (*both, (Modality.VISIBLE, "one")) if self.channels == "joint" else both


class TrainingImages:
    """The pairs of one split's training half, batch by batch, as rank ``rank`` of ``world`` sees them.

    Labels are 0..identities-1 in the order of the sorted identities that train, the same on every rank.
    """

    def __init__(self, pack: Pack, recipe: Recipe, rank: int = 0, world: int = 1) -> None:
        self.pack, self.recipe = pack, recipe
        whole = {m: pack.rows(recipe.split, "train", m) for m in Modality}
        self.rows = {m: rows[~np.isin(pack.identities[m][rows], recipe.held_out)] for m, rows in whole.items()}
        self.identities = np.unique(np.concatenate([pack.identities[m][self.rows[m]] for m in Modality]))
        self.labels = {m: np.searchsorted(self.identities, pack.identities[m][self.rows[m]]) for m in Modality}
        visible, infrared = (np.unique(pack.cameras[m][self.rows[m]]) for m in Modality)
        self.cameras = visible, infrared  # each once
        self.pairs = recipe.identities * recipe.images
        self.share = share(self.pairs, rank, world, recipe.least)

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return steps_per_epoch(len(self.rows[Modality.VISIBLE]), len(self.rows[Modality.INFRARED]), self.pairs)

    def epoch(self, epoch: int, device: torch.device, taken: int = 0) -> Iterator[Batch]:
        """This rank's share of each batch of ``epoch`` (from 1), augmented on ``device``.

        The next is read, and copied to a GPU, while this one is in use. The first ``taken`` batches are left out: a
        resumed epoch's.
        """
        recipe = self.recipe
        pairs = epoch_pairs(
            self.labels[Modality.VISIBLE],
            self.labels[Modality.INFRARED],
            recipe.identities,
            recipe.images,
            (recipe.seed, recipe.split, epoch),
        )
        copies = Copies(device)
        raw = (copies.of(self._read(step, chosen, epoch)) for step, chosen in islice(enumerate(pairs), taken, None))
        for sent in _one_ahead(raw, device):
            images_v, images_r, labels, cameras_v, cameras_r, *draws = copies.take(sent)
            images = {Modality.VISIBLE: images_v, Modality.INFRARED: images_r}
            visible, infrared, *second = (
                augment(images[modality], numbers, recipe.padding, channels)
                for (modality, channels), numbers in zip(recipe.streams, draws, strict=True)
            )
            yield Batch(visible, infrared, labels, cameras_v, cameras_r, *second)

    def _read(self, step: int, chosen: Pairs, epoch: int) -> list[Tensor]:
        """What of this rank's share is to be copied to the device.

        The images of each modality, uint8; the labels; their cameras; the random numbers of each stream.
        """
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, recipe.split, epoch, AUGMENTATION, step))
        images, draws, cameras = [], [], []
        for _, channels in recipe.streams:
            numbers = draw(
                rng,
                self.pairs,
                self.pack.height,
                self.pack.width,
                padding=recipe.padding,
                flip=recipe.flip,
                erasing=recipe.erasing,
                erasing_area=recipe.erasing_area,
                channels=channels,
            )
            draws.append(numbers.take(self.share).tensor())
        for modality, positions in zip(Modality, chosen, strict=True):
            rows = self.rows[modality][positions[self.share]]
            images.append(torch.from_numpy(self.pack.images[modality][rows]))
            cameras.append(torch.from_numpy(self.pack.cameras[modality][rows]))
        labels = torch.from_numpy(self.labels[Modality.VISIBLE][chosen[0][self.share]])
        return [*images, labels, *cameras, *draws]


class Copies:
    """Tensors on their way to a device; to a GPU from page-locked memory on a stream of its own, beside its work."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def of(self, tensors: list[Tensor]) -> Sent:
        """Begins to copy; nobody waits."""
        if self.stream is None:
            return tensors, None
        with torch.cuda.stream(self.stream):
            copies = [values.pin_memory().to(self.device, non_blocking=True) for values in tensors]
            return copies, self.stream.record_event()

    def take(self, sent: Sent) -> list[Tensor]:
        """What was sent, for what follows on the current stream, which waits for the copies; the host does not."""
        copies, arrived = sent
        if arrived is not None:
            work = torch.cuda.current_stream(self.device)
            work.wait_event(arrived)
            for values in copies:
                values.record_stream(work)  # their memory is free when that work has read them
        return copies


def _one_ahead(items: Iterator[T], device: torch.device) -> Iterator[T]:
    """``items``, each made by a thread while the one before it is in use.

    A thread begins on the first GPU, where each process would so take memory: it is told of ``device``.
    """
    begin = functools.partial(torch.cuda.set_device, device) if device.type == "cuda" else None
    with ThreadPoolExecutor(1, initializer=begin) as thread:
        end = object()
        ahead = thread.submit(next, items, end)
        while (item := ahead.result()) is not end:
            ahead = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
