"""The field's plain training loop, which ours is timed beside.

What its scripts do: float32, contiguous tensors, per-sample transforms in loader workers, a plain optimiser, and every
loss read out at every step. Network, batches and losses are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from msclnet.config import TrainJob
from msclnet.core.types import Batch, Modality
from msclnet.data.augmentation import IMAGENET_MEAN, IMAGENET_STD
from msclnet.data.loader import TrainingImages
from msclnet.data.sampling import epoch_pairs
from msclnet.losses import objective
from msclnet.training.learner import build_network
from msclnet.training.process_group import Processes


def literal(images: TrainingImages, job: TrainJob, process: Processes, workers: int) -> Callable[[], None]:
    """The plain loop, on the network and the losses of ``job``.

    Args:
        images: what is trained on.
        job: the training; its precision is not read.
        process: this process, alone.
        workers: processes of the loader; 0: none, this one reads.

    Returns:
        What runs the next epoch.
    """
    device = process.device
    network = build_network(job, len(images.identities)).to(device)
    recipe = job.train
    rest, quick = (list(group.values()) for group in network.parameter_groups())
    optimiser = torch.optim.SGD(
        [{"params": rest, "lr": recipe.backbone_factor * recipe.rate}, {"params": quick, "lr": recipe.rate}],
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )
    loader = DataLoader(
        LiteralImages(images, job),
        batch_sampler=EpochBatches(images),
        num_workers=workers,
        persistent_workers=workers > 0,
    )

    def epoch() -> None:
        network.train()
        sums: dict[str, float] = {}
        for read in loader:
            batch = Batch(*(values.to(device) for values in read))
            terms = objective.terms(network(batch), job.method.losses, job.objective)
            loss = objective.total(terms, job.method.losses)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.item()

    return epoch


class LiteralImages(Dataset):
    """Pairs of images, each transformed on its own by torchvision, as the field's scripts do."""

    def __init__(self, images: TrainingImages, job: TrainJob) -> None:
        self.images = images
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.Pad(job.train.padding),
                transforms.RandomCrop((job.height, job.width)),
                transforms.RandomHorizontalFlip(job.train.flip),
                transforms.ToTensor(),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
                transforms.RandomErasing(job.method.erasing, job.train.erasing_area),
            ]
        )

    def __getitem__(self, pair: tuple[int, int]) -> tuple[Any, ...]:
        pack, rows = self.images.pack, self.images.rows
        chosen = {m: rows[m][position] for m, position in zip(Modality, pair, strict=True)}
        pictures = [self.transform(pack.images[m][row]) for m, row in chosen.items()]
        label = self.images.labels[Modality.VISIBLE][pair[0]]
        return (*pictures, label, *(pack.cameras[m][row] for m, row in chosen.items()))


class EpochBatches:
    """The batches of our own sampler, an epoch an iteration, as lists of pairs."""

    def __init__(self, images: TrainingImages) -> None:
        self.images, self.epoch = images, 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        self.epoch += 1
        labels, recipe = self.images.labels, self.images.recipe
        seeds = (recipe.seed, recipe.split, self.epoch)
        for visible, infrared in epoch_pairs(
            labels[Modality.VISIBLE], labels[Modality.INFRARED], recipe.identities, recipe.images, seeds
        ):
            yield list(zip(visible.tolist(), infrared.tolist(), strict=True))
