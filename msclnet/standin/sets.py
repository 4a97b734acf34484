"""Drawn stand-ins in the exact layouts of RegDB, SYSU-MM01 and LLCM: real code on data that anyone can have.

A stand-in is of any size, or, ``like`` a folder with the real set's own lists, of exactly its identities, cameras,
images and splits. Every image has a generator of its own, seeded by (seed, set, identity, camera, number), so the files
are the same with any number of workers. A stand-in's number is never a result on the real set.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from msclnet.config import StandIn
from msclnet.core.errors import ConfigError
from msclnet.core.types import Modality
from msclnet.datasets import llcm, sysu
from msclnet.datasets.permutations import PERMUTATIONS, load_permutations, save_permutations
from msclnet.standin import people

DRAWN = "drawn.json"  # written last
REGDB_SIZE = (64, 128)  # pixels, width x height
CROP_WIDTHS, CROP_ASPECTS = (72, 150), (2.0, 2.7)  # of the images of SYSU-MM01 and LLCM, which vary
SYSU_LISTS = ("train_id.txt", "val_id.txt", "test_id.txt")
SYSU_PLACES = {1: 1, 2: 2, 3: 2, 4: 4, 5: 5, 6: 6}  # cameras 2 and 3 look at the same place
REGDB_SPLITS = 10
LLCM_CAMERAS = {Modality.VISIBLE: (1, 2, 3, 4, 5, 6, 7, 8, 9), Modality.INFRARED: (1, 2, 4, 5, 6, 7, 8, 9)}
REGDB, SYSU, LLCM = 1, 2, 3  # of the seeds: the sets show different people
PERSON, CAMERA, PLACE, IMAGE, SPLIT, PRESENCE = range(6)


def draw_regdb(root: Path, stand_in: StandIn, workers: int) -> None:
    """Writes Visible/, Thermal/ and idx/ with ten splits: each half of the identities in training, half in test.

    Raises ConfigError for an odd number of identities.
    """
    if stand_in.regdb.like:
        names = _copy_lists(Path(stand_in.regdb.like), root, "idx", "stand_in.regdb.like")
        lines = {line.split(" ")[0] for name in names if name.endswith(".txt") for line in _lines(root / "idx" / name)}
        paths = sorted(lines)
    else:
        paths = _invent_regdb(root, stand_in)
    of: dict[int, list[str]] = defaultdict(list)
    for path in paths:
        of[int(path.split("/")[1])].append(path)
    _each(_draw_regdb_person, [(root, stand_in.seed, *person) for person in sorted(of.items())], workers)
    _finish(root, "RegDB", {"identities": len(of), "images": len(paths)})


def draw_sysu(root: Path, stand_in: StandIn, workers: int) -> None:
    """Writes cam1..cam6 and exp/ with its lists and gallery draws; as in the real set not everyone passes every camera.

    Two of three identities were seen indoors (cameras 1, 2, 3) and perhaps outdoors, the third outdoors only (4, 5, 6):
    in indoor search its queries have no match.
    """
    if stand_in.sysu.like:
        _copy_lists(Path(stand_in.sysu.like), root, "exp", "stand_in.sysu.like")
        permutations = load_permutations(root / "exp" / PERMUTATIONS)
        everyone = [int(word) for name in SYSU_LISTS for word in ",".join(_lines(root / "exp" / name)).split(",")]
        counts = {i: {c: p.shape[1] for (c, j), p in permutations.items() if j == i} for i in sorted(everyone)}
    else:
        counts = _invent_sysu(root, stand_in)
    for camera in sysu.CAMERAS:
        (root / f"cam{camera}").mkdir(exist_ok=True)
    _each(_draw_sysu_person, [(root, stand_in.seed, *person) for person in counts.items()], workers)
    images = sum(sum(of.values()) for of in counts.values())
    _finish(root, "SYSU-MM01", {"identities": len(counts), "images": images})


def draw_llcm(root: Path, stand_in: StandIn, workers: int) -> None:
    """Writes vis/, nir/, test_vis/, test_nir/ and idx/; everyone is seen by some of the cameras in both modalities."""
    if stand_in.llcm.like:
        _copy_lists(Path(stand_in.llcm.like), root, "idx", "stand_in.llcm.like")
        listed = [
            (half, line.split(" ")[0])
            for half in ("train", "test")
            for name in ("vis", "nir")
            for line in _lines(root / "idx" / f"{half}_{name}.txt")
        ]
    else:
        listed = _invent_llcm(root, stand_in)
    of: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for half, path in listed:
        of[int(path.split("/")[1])].append((half, path))
    for folder in llcm.FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    _each(_draw_llcm_person, [(root, stand_in.seed, *person) for person in sorted(of.items())], workers)
    _finish(root, "LLCM", {"identities": len(of), "images": len(listed)})


def _copy_lists(source: Path, root: Path, folder: str, key: str) -> list[str]:
    """Copies the real set's ``folder`` of lists; returns its files' names."""
    if not (source / folder).is_dir():
        raise ConfigError(f"{key}: {source} has no folder {folder}; name the folder of the real set, or of its lists")
    (root / folder).mkdir(parents=True, exist_ok=True)
    for path in sorted((source / folder).iterdir()):
        shutil.copyfile(path, root / folder / path.name)
    return sorted(path.name for path in (root / folder).iterdir())


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected the real set's own list: copy it beside the others")
    return [line for line in path.read_text().splitlines() if line.strip()]


def _invent_regdb(root: Path, stand_in: StandIn) -> list[str]:
    """Writes the ten splits; returns the images' paths."""
    count, images = stand_in.regdb.identities, stand_in.regdb.images
    if count % 2 or count < 4:
        raise ConfigError(f"stand_in.regdb.identities: {count}; expected an even number, 4 or more: half of them train")
    paths = {
        (identity, folder): [
            f"{folder}/{identity}/{name}" for name in _regdb_names(stand_in.seed, identity, folder, images)
        ]
        for identity in range(1, count + 1)
        for folder in ("Visible", "Thermal")
    }
    (root / "idx").mkdir(parents=True, exist_ok=True)
    for split in range(1, REGDB_SPLITS + 1):
        order = np.random.default_rng((stand_in.seed, REGDB, SPLIT, split)).permutation(count) + 1
        for half, chosen in (("train", order[: count // 2]), ("test", order[count // 2 :])):
            for folder, name in (("Visible", "visible"), ("Thermal", "thermal")):
                lines = [
                    f"{path} {label}\r\n"
                    for label, identity in enumerate(sorted(chosen.tolist()))
                    for path in paths[identity, folder]
                ]
                (root / "idx" / f"{half}_{name}_{split}.txt").write_text("".join(lines), newline="")
    return [path for group in paths.values() for path in group]


def _invent_sysu(root: Path, stand_in: StandIn) -> dict[int, dict[int, int]]:
    """Writes the lists and the gallery draws; returns each identity's images in each camera."""
    sizes = (stand_in.sysu.train, stand_in.sysu.val, stand_in.sysu.test)
    halves = np.split(np.arange(1, sum(sizes) + 1), np.cumsum(sizes)[:-1])
    counts = {
        int(identity): _sysu_counts(stand_in.seed, int(identity), place, stand_in.sysu.images)
        for half in halves
        for place, identity in enumerate(half)
    }
    (root / "exp").mkdir(parents=True, exist_ok=True)
    for name, identities in zip((*SYSU_LISTS, "available_id.txt"), (*halves, np.concatenate(halves)), strict=True):
        (root / "exp" / name).write_text(",".join(map(str, identities)) + "\n")
    save_permutations(root / "exp" / PERMUTATIONS, counts, len(sysu.CAMERAS), (stand_in.seed, SYSU, SPLIT))
    return counts


def _invent_llcm(root: Path, stand_in: StandIn) -> list[tuple[str, str]]:
    """Writes the index files; returns (train or test, path as listed) of every image."""
    (root / "idx").mkdir(parents=True, exist_ok=True)
    listed: list[tuple[str, str]] = []
    sizes = {"train": stand_in.llcm.train, "test": stand_in.llcm.test}
    # The real set's identities are multiples of 3, in no order.
    order = np.random.default_rng((stand_in.seed, LLCM, SPLIT)).permutation(sum(sizes.values())) * 3
    for half, identities in zip(sizes, np.split(order, [sizes["train"]]), strict=True):
        for modality, name in llcm.NAMES.items():
            of = {int(i): _llcm_names(stand_in.seed, int(i), modality, stand_in.llcm.images) for i in identities}
            lines = [f"{name}/{i:04d}/{file} {label}" for label, i in enumerate(of) for file in of[i]]
            (root / "idx" / f"{half}_{name}.txt").write_text("\n".join(lines) + "\n")
            listed += [(half, line.split(" ")[0]) for line in lines]
    (root / "idx/test_id.txt").write_text(",".join(f"{i:04d}" for i in identities) + "\n")
    return listed


def _draw_regdb_person(task: tuple[Path, int, int, list[str]]) -> None:
    root, seed, identity, paths = task
    who = people.person(np.random.default_rng((seed, REGDB, PERSON, identity)))
    for number, (folder, modality) in enumerate(
        (("Visible", Modality.VISIBLE), ("Thermal", Modality.INFRARED)), start=1
    ):
        camera = _camera(seed, REGDB, number, number, modality)
        (root / folder / str(identity)).mkdir(parents=True, exist_ok=True)
        for index, path in enumerate(path for path in paths if path.startswith(folder)):
            rng = np.random.default_rng((seed, REGDB, IMAGE, identity, number, index))
            side: people.View = "back" if "_back_" in path else "front"
            people.draw(who, camera, *REGDB_SIZE, rng, (side,)).save(root / path)


def _regdb_names(seed: int, identity: int, folder: str, images: int) -> list[str]:
    """Names as the real ones: sex (only a word here), side, modality, frame, identity.

    RegDB shows each person from one side in both modalities.
    """
    rng = np.random.default_rng((seed, REGDB, PRESENCE, identity))
    sex, side = ("male", "female")[rng.integers(2)], ("front", "back")[rng.integers(2)]
    letter, frame = folder[0].lower(), (identity * 97) % 90000
    return [f"{sex}_{side}_{letter}_{frame + 3 * index:05d}_{identity}.bmp" for index in range(images)]


def _draw_sysu_person(task: tuple[Path, int, int, dict[int, int]]) -> None:
    root, seed, identity, counts = task
    who = people.person(np.random.default_rng((seed, SYSU, PERSON, identity)))
    for number, images in counts.items():
        camera = _camera(seed, SYSU, number, SYSU_PLACES[number], sysu.CAMERAS[number])
        folder = root / f"cam{number}" / f"{identity:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(images):
            rng = np.random.default_rng((seed, SYSU, IMAGE, identity, number, index))
            people.draw(who, camera, *_crop(rng), rng).save(folder / f"{index + 1:04d}.jpg", quality=90)


def _draw_llcm_person(task: tuple[Path, int, int, list[tuple[str, str]]]) -> None:
    """Both modalities of a camera show one place."""
    root, seed, identity, listed = task
    who = people.person(np.random.default_rng((seed, LLCM, PERSON, identity)))
    for index, (half, path) in enumerate(listed):
        match = llcm.LINE.fullmatch(f"{path} 0")
        if not match:
            raise ConfigError(f"stand_in.llcm.like: {path!r} is no image of LLCM; expected its own index files")
        number = int(match[5])
        modality = Modality.VISIBLE if match[2] == "vis" else Modality.INFRARED
        camera = _camera(seed, LLCM, 10 * modality + number, number, modality)
        rng = np.random.default_rng((seed, LLCM, IMAGE, identity, index))
        file = root / llcm.image_path(half, path, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        people.draw(who, camera, *_crop(rng), rng).save(file, quality=90)


def _crop(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of a detected person, in pixels."""
    width = int(rng.integers(*CROP_WIDTHS))
    return width, round(width * rng.uniform(*CROP_ASPECTS))


def _llcm_names(seed: int, identity: int, modality: Modality, most: int) -> list[str]:
    """Names as the real ones: identity, camera, sequence, frame."""
    rng = np.random.default_rng((seed, LLCM, PRESENCE, identity, modality))
    cameras = sorted(rng.choice(LLCM_CAMERAS[modality], int(rng.integers(2, 5)), replace=False).tolist())
    return [
        f"{identity:04d}_c{camera:02d}_s{100000 + identity}_f{15 * number:05d}_{llcm.NAMES[modality]}.jpg"
        for camera in cameras
        for number in range(1, int(rng.integers(max(1, round(0.7 * most)), most + 1)) + 1)
    ]


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
