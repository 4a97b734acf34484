"""Drawn stand-ins in the exact layouts of RegDB and SYSU-MM01: real code on data that anyone can have.

Every image has a generator of its own, seeded by (seed, set, identity, camera, number), so the files are the same with
any number of workers. A stand-in's number is never a result on the real set.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from msclnet.config import ConfigError, StandIn
from msclnet.data import people
from msclnet.types import Modality

DRAWN = "drawn.json"  # written last
REGDB_SIZE = (64, 128)  # pixels, width x height
SYSU_WIDTHS, SYSU_ASPECTS = (72, 150), (2.0, 2.7)  # of the crops, which vary
SYSU_CAMERAS = {
    1: Modality.VISIBLE,
    2: Modality.VISIBLE,
    3: Modality.INFRARED,
    4: Modality.VISIBLE,
    5: Modality.VISIBLE,
    6: Modality.INFRARED,
}
SYSU_PLACES = {1: 1, 2: 2, 3: 2, 4: 4, 5: 5, 6: 6}  # cameras 2 and 3 look at the same place
REGDB_SPLITS = 10
REGDB, SYSU = 1, 2  # of the seeds: the two sets show different people
PERSON, CAMERA, PLACE, IMAGE, SPLIT, PRESENCE = range(6)


def draw_regdb(root: Path, stand_in: StandIn, workers: int) -> None:
    """Writes Visible/, Thermal/ and idx/ with ten splits: each half of the identities in training, half in test.

    Raises ConfigError for an odd number of identities.
    """
    count, images = stand_in.regdb.identities, stand_in.regdb.images
    if count % 2 or count < 4:
        raise ConfigError(f"stand_in.regdb.identities: {count}; expected an even number, 4 or more: half of them train")
    _each(_draw_regdb_person, [(root, stand_in.seed, i, images) for i in range(1, count + 1)], workers)
    (root / "idx").mkdir(parents=True, exist_ok=True)
    for split in range(1, REGDB_SPLITS + 1):
        order = np.random.default_rng((stand_in.seed, REGDB, SPLIT, split)).permutation(count) + 1
        for half, chosen in (("train", order[: count // 2]), ("test", order[count // 2 :])):
            for folder, name in (("Visible", "visible"), ("Thermal", "thermal")):
                lines = [
                    f"{folder}/{identity}/{path} {label}\r\n"
                    for label, identity in enumerate(sorted(chosen.tolist()))
                    for path in _regdb_names(stand_in.seed, identity, folder, images)
                ]
                (root / "idx" / f"{half}_{name}_{split}.txt").write_text("".join(lines), newline="")
    _finish(root, "RegDB", {"identities": count, "images": 2 * count * images})


def draw_sysu(root: Path, stand_in: StandIn, workers: int) -> None:
    """Writes cam1..cam6 and exp/*_id.txt; as in the real set not everyone passes every camera.

    Two of three identities were seen indoors (cameras 1, 2, 3) and perhaps outdoors, the third outdoors only (4, 5, 6):
    in indoor search its queries have no match.
    """
    sizes = {"train": stand_in.sysu.train, "val": stand_in.sysu.val, "test": stand_in.sysu.test}
    identities = np.split(np.arange(1, sum(sizes.values()) + 1), np.cumsum(list(sizes.values()))[:-1])
    (root / "exp").mkdir(parents=True, exist_ok=True)
    for camera in SYSU_CAMERAS:
        (root / f"cam{camera}").mkdir(exist_ok=True)
    tasks = [
        (root, stand_in.seed, int(identity), _sysu_counts(stand_in.seed, int(identity), place, stand_in.sysu.images))
        for half in identities
        for place, identity in enumerate(half)
    ]
    _each(_draw_sysu_person, tasks, workers)
    for name, ids in zip(sizes, identities, strict=True):
        (root / "exp" / f"{name}_id.txt").write_text(",".join(map(str, ids)) + "\n")
    everyone = np.concatenate(identities)
    (root / "exp/available_id.txt").write_text(",".join(map(str, everyone)) + "\n")
    images = sum(sum(counts.values()) for _, _, _, counts in tasks)
    _finish(root, "SYSU-MM01", {"identities": len(everyone), "images": images})


def _draw_regdb_person(task: tuple[Path, int, int, int]) -> None:
    root, seed, identity, images = task
    who = people.person(np.random.default_rng((seed, REGDB, PERSON, identity)))
    _, side = _regdb_name(seed, identity)
    for number, (folder, modality) in enumerate(
        (("Visible", Modality.VISIBLE), ("Thermal", Modality.INFRARED)), start=1
    ):
        camera = _camera(seed, REGDB, number, number, modality)
        (root / folder / str(identity)).mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(_regdb_names(seed, identity, folder, images)):
            rng = np.random.default_rng((seed, REGDB, IMAGE, identity, number, index))
            people.draw(who, camera, *REGDB_SIZE, rng, (side,)).save(root / folder / str(identity) / name)


def _regdb_names(seed: int, identity: int, folder: str, images: int) -> list[str]:
    """Names as the real ones: sex (only a word here), side, modality, frame, identity."""
    sex, side = _regdb_name(seed, identity)
    letter, frame = folder[0].lower(), (identity * 97) % 90000
    return [f"{sex}_{side}_{letter}_{frame + 3 * index:05d}_{identity}.bmp" for index in range(images)]


def _regdb_name(seed: int, identity: int) -> tuple[str, people.View]:
    """RegDB shows each person from one side in both modalities, and names it."""
    rng = np.random.default_rng((seed, REGDB, PRESENCE, identity))
    sides: tuple[people.View, people.View] = ("front", "back")
    return ("male", "female")[rng.integers(2)], sides[rng.integers(2)]


def _draw_sysu_person(task: tuple[Path, int, int, dict[int, int]]) -> None:
    root, seed, identity, counts = task
    who = people.person(np.random.default_rng((seed, SYSU, PERSON, identity)))
    for number, images in counts.items():
        camera = _camera(seed, SYSU, number, SYSU_PLACES[number], SYSU_CAMERAS[number])
        folder = root / f"cam{number}" / f"{identity:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(images):
            rng = np.random.default_rng((seed, SYSU, IMAGE, identity, number, index))
            width = int(rng.integers(*SYSU_WIDTHS))
            height = round(width * rng.uniform(*SYSU_ASPECTS))
            people.draw(who, camera, width, height, rng).save(folder / f"{index + 1:04d}.jpg", quality=90)


def _sysu_counts(seed: int, identity: int, place: int, most: int) -> dict[int, int]:
    """How many images each camera has of an identity, the ``place``-th of its list."""
    rng = np.random.default_rng((seed, SYSU, PRESENCE, identity))
    outdoor = [camera for camera in (4, 5, 6) if rng.random() < 0.5]
    cameras = sorted({1, 2, 3, *outdoor}) if place % 3 < 2 else sorted({int(rng.integers(4, 6)), 6, *outdoor})
    return {camera: int(rng.integers(max(1, round(0.7 * most)), most + 1)) for camera in cameras}


def _camera(seed: int, name: int, number: int, place: int, modality: Modality) -> people.Camera:
    own, shared = (np.random.default_rng((seed, name, kind, key)) for kind, key in ((CAMERA, number), (PLACE, place)))
    return people.camera(own, shared, modality, thermal=name == REGDB and modality is Modality.INFRARED)


def _each(function: Callable[..., None], tasks: Iterable[tuple], workers: int) -> None:
    if workers == 1:
        for task in tasks:
            function(task)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for _ in pool.imap_unordered(function, tasks, chunksize=4):
            pass


def _finish(root: Path, layout: str, counts: dict[str, int]) -> None:
    (root / DRAWN).write_text(json.dumps({"drawn": "stand-in", "layout": layout, **counts}, indent=2) + "\n")
