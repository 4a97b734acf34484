"""The drawn pack is enough for the batches of both recipes, and is trained on as any other."""

from __future__ import annotations

import pytest

from msclnet.core.types import Modality
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.doctor.place import ALL, BATCH, Place, job_of
from msclnet.training.trainer import recipe


@pytest.mark.parametrize(("split", "steps"), [(BATCH, 1), (ALL, 4)])
def test_an_epoch_has_one_batch_or_some(drawn: Place, split: int, steps: int) -> None:
    config = drawn.default()
    images = TrainingImages(Pack.open(drawn.pack(config)), recipe(job_of(config, "agw", split)))
    assert images.steps == steps
    assert len(images.cameras[0]) == len(images.cameras[1]) == 1


def test_the_recipes_pack_is_of_its_size(drawn: Place) -> None:
    pack = Pack.open(drawn.pack(drawn.timed()))
    assert pack.images[Modality.VISIBLE].shape[1:] == (48, 24, 3)
    assert len(pack.images[Modality.VISIBLE]) == len(pack.images[Modality.INFRARED]) == 128
