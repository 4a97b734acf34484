"""Channel augmentation in a training: what a batch has, the same on any number of processes and after a stop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from msclnet.config import Config, TrainJob, replace, train_job
from msclnet.core.types import Batch
from msclnet.data.augmentation import IMAGENET_MEAN, IMAGENET_STD
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.training.learner import Learner
from msclnet.training.process_group import processes
from msclnet.training.trainer import recipe, train_step
from tests.training.test_trainer import pack as pack  # the fixture

CPU = torch.device("cpu")


def job_of(default: Config, method: str, channels: str) -> TrainJob:
    job = train_job(default, "sysu", method, 1)
    return replace(
        job,
        train=replace(job.train, identities=2, images=2, padding=2),
        model=replace(job.model, hidden=8, rank=4),
        method=replace(job.method, channels=channels),
    )


def batches(job: TrainJob, pack: Path, rank: int = 0, world: int = 1, taken: int = 0, epoch: int = 1) -> list[Batch]:
    return list(TrainingImages(Pack.open(pack), recipe(job), rank, world).epoch(epoch, CPU, taken))


def pixels(images: torch.Tensor) -> torch.Tensor:
    """Normalised images as they were, 0..1; the mean colour where they are erased."""
    return images * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)


def coloured(images: torch.Tensor) -> torch.Tensor:
    """Of each image, whether any pixel that is not erased has unlike channels."""
    kept = (images != 0).any(1)
    return ((pixels(images).amax(1) - pixels(images).amin(1)) * kept).flatten(1).amax(1) > 1e-4


def test_in_joint_learning_a_batch_has_its_visible_images_twice(default: Config, pack: Path) -> None:
    plain, joint = (batches(job_of(default, "agw", channels), pack)[0] for channels in ("none", "joint"))
    assert plain.second is None
    assert joint.second is not None
    assert torch.equal(plain.visible, joint.visible)
    assert torch.equal(plain.infrared, joint.infrared)
    assert joint.second.shape == joint.visible.shape
    assert coloured(joint.visible).all()
    assert not coloured(joint.second).any()


def test_at_random_some_visible_images_keep_their_colours(default: Config, pack: Path) -> None:
    """An eighth, of 120 images of ten epochs."""
    seen = [b for epoch in range(1, 11) for b in batches(job_of(default, "agw", "random"), pack, epoch=epoch)]
    share = torch.cat([coloured(batch.visible) for batch in seen]).float().mean().item()
    assert share == pytest.approx(1 / 8, abs=0.1)
    assert all(batch.second is None for batch in seen)


@pytest.mark.parametrize("channels", ["random", "joint"])
def test_processes_and_resumed_trainings_see_the_same_images(default: Config, pack: Path, channels: str) -> None:
    job = job_of(default, "agw", channels)
    whole, shares = batches(job, pack), [batches(job, pack, rank, 2) for rank in range(2)]
    resumed = batches(job, pack, taken=1)
    assert len(resumed) == len(whole) - 1
    for name in ("visible", "infrared", "labels") + (("second",) if channels == "joint" else ()):
        in_turns = torch.stack([getattr(share[0], name) for share in shares], 1).flatten(0, 1)
        assert torch.equal(in_turns, getattr(whole[0], name)), "every second pair is the other's"
        assert torch.equal(getattr(resumed[0], name), getattr(whole[1], name))


@pytest.mark.parametrize("method", ["agw_ca", "msclnet_ca"])
def test_a_step_reads_both_streams(default: Config, pack: Path, method: str) -> None:
    job = job_of(default, method, "joint")
    images = TrainingImages(Pack.open(pack), recipe(job))
    with processes(1) as process:
        learner = Learner.of(job, len(images.identities), process, images.cameras)
        learner.model.train()
        step = train_step(learner, next(images.epoch(1, CPU)))
    assert set(step.terms) == {*job.method.losses, "total"}
    assert step.outputs.second is not None
    assert all(value.isfinite() for value in step.terms.values())
