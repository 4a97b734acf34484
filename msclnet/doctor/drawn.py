"""Drawn people to train on: a pack in each size that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msclnet.core.types import ImageRecord, Modality
from msclnet.data.pack import write_pack
from msclnet.datasets.base import Split
from msclnet.doctor.line import Line, passed
from msclnet.doctor.place import ALL, BATCH, Place
from msclnet.standin import people
from msclnet.standin.drawing import IMAGE, Cast, in_parallel

CAST = 50  # other people than the data sets' stand-ins
SIZE = (64, 128)  # pixels, width x height
PEOPLE = 2  # times as many as a batch has
IMAGES = {"CPU": 2, "GPU": 16}  # of each, times as many as a batch has: an epoch of so many times PEOPLE steps


def draw(place: Place) -> Iterator[Line]:
    """Draws people in both modalities, and packs them for the default configuration and for the recipe's."""
    configs = [place.default(), place.timed()]
    workers = place.cores if place.gpus else 1  # a few images take less than the start of a process
    identities = max(config.train.identities for config in configs)
    images = max(config.train.images for config in configs)
    draw_people(place.folder / "images", PEOPLE * identities, IMAGES[place.device] * images, workers)
    whole = _records(range(PEOPLE * identities), IMAGES[place.device] * images)
    for config in {place.pack(config): config for config in configs}.values():
        batch = _records(range(config.train.identities), config.train.images)
        splits = {ALL: Split(whole, whole), BATCH: Split(batch, batch)}
        out, size = place.pack(config), (config.data.height, config.data.width)
        write_pack(splits, place.folder / "images", out, *size, workers)
    yield passed("drawn people", f"{len(whole)} images of {PEOPLE * identities} people", images=len(whole))


def draw_people(root: Path, identities: int, images: int, workers: int) -> None:
    """Writes ``images`` of each of so many people, numbered from 0, in each modality."""
    cast = Cast(0, CAST)
    in_parallel(_draw_person, [(root, cast, identity, images) for identity in range(identities)], workers)


def _draw_person(task: tuple[Path, Cast, int, int]) -> None:
    root, cast, identity, images = task
    person = cast.person(identity)
    cameras = {modality: cast.camera(1 + modality, 1 + modality, modality) for modality in Modality}
    for record in _records([identity], images):
        number = int(Path(record.path).stem)
        rng = cast.rng(IMAGE, identity, record.modality, number)
        picture = people.draw(person, cameras[record.modality], *SIZE, rng)
        path = root / record.path
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)


def _records(identities: range | list[int], images: int) -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(f"{modality.name.lower()}/{identity}/{number}.bmp", identity, 1 + modality, modality)
        for modality in Modality
        for identity in identities
        for number in range(images)
    )
