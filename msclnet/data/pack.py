"""A data set decoded and resized once: one uint8 memory map a modality, identities, cameras and names beside it.

Every file is written under a temporary name and renamed, pack.json last: a killed packing never looks whole.
"""

from __future__ import annotations

import csv
import functools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from msclnet.core import array_file
from msclnet.core.errors import DataError, reason
from msclnet.core.files import atomic_write, require_room, sha256, write_text
from msclnet.core.types import ImageRecord, Modality
from msclnet.core.workers import divided
from msclnet.data.depth import DeepRange
from msclnet.data.images import decode
from msclnet.datasets.base import Split

VERSION = 2
CHUNK = 64  # images a worker takes at once
FILES = {Modality.VISIBLE: "visible.npy", Modality.INFRARED: "infrared.npy"}
INDEX, SPLITS, MANIFEST = "index.csv", "splits.json", "pack.json"
REMEDY = "make it with workflow/scripts/pack.py, or let snakemake"


def write_pack(
    splits: dict[int, Split],
    root: Path,
    out: Path,
    height: int,
    width: int,
    workers: int,
    on_bad_image: Literal["stop", "skip"] = "stop",
    deep_range: DeepRange | None = None,
) -> None:
    """Packs every image of ``splits`` once, as RGB resized by LANCZOS to ``height`` x ``width`` pixels.

    The bytes do not depend on ``workers``; each worker holds one image at a time. An image that cannot be read stops
    the packing with its name, or, ``skip``, is left out and listed under ``skipped`` in pack.json. Grey images of more
    than 8 bits are mapped by ``deep_range``, which pack.json records, see ``to_grey``.

    Raises DataError for the first such image, or when skipping leaves an identity without images of a modality;
    StorageError where the disk has no room for them, before the first is read; WorkerDied.
    """
    records = {record for split in splits.values() for record in (*split.train, *split.test)}
    packed = {m: in_order(record for record in records if record.modality is m) for m in Modality}
    older = sum((out / name).stat().st_size for name in FILES.values() if (out / name).exists())  # written over
    require_room(out, sum(map(len, packed.values())) * height * width * 3 - older)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    skipped: dict[ImageRecord, str] = {}
    for modality, ordered in packed.items():
        with atomic_write(out / FILES[modality]) as partial:
            bad = write_images(ordered, root, partial, height, width, workers, on_bad_image, deep_range)
            skipped |= {ordered[row]: reason for row, reason in bad.items()}
        packed[modality] = [record for record in ordered if record not in skipped]
    splits = {number: _without(split, skipped) for number, split in splits.items()}
    with atomic_write(out / INDEX) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("modality", "row", "identity", "camera", "path"))
        for modality, ordered in packed.items():
            for row, record in enumerate(ordered):
                writer.writerow((modality.name.lower(), row, record.identity, record.camera, record.path))
    row_of = {record: row for ordered in packed.values() for row, record in enumerate(ordered)}
    write_text(out / SPLITS, json.dumps({str(number): _rows(split, row_of) for number, split in splits.items()}))
    manifest = {
        "version": VERSION,
        "height": height,
        "width": width,
        "images": {m.name.lower(): len(ordered) for m, ordered in packed.items()},
        "skipped": {record.path: reason for record, reason in skipped.items()},
        "sha256": {name: sha256(out / name) for name in (*FILES.values(), INDEX, SPLITS)},
    }
    if deep_range:
        manifest["deep_range"] = list(deep_range)
    write_text(out / MANIFEST, json.dumps(manifest, indent=2) + "\n")


@dataclass(frozen=True)
class Pack:
    """A pack opened for reading; images ``[N, height, width, 3]`` uint8 a modality, read by memory map."""

    folder: Path
    height: int
    width: int
    images: dict[Modality, np.ndarray]
    identities: dict[Modality, np.ndarray]  # int64 [N]
    cameras: dict[Modality, np.ndarray]  # int64 [N]
    paths: dict[Modality, list[str]]  # relative to the set's root
    splits: dict[str, dict[str, dict[str, list[int]]]]

    @classmethod
    def open(cls, folder: Path) -> Pack:
        """Raises DataError when ``folder`` holds no whole pack of this version; the images' bytes are not read."""
        manifest = _manifest(folder)
        for name in (INDEX, SPLITS):
            _check(folder / name, manifest["sha256"][name])
        height, width = manifest["height"], manifest["width"]
        images = {}
        for modality, name in FILES.items():
            expected = (manifest["images"][modality.name.lower()], height, width, 3)
            images[modality] = _open_images(folder / name, expected)
        with (folder / INDEX).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        of = {m: [row for row in rows if row["modality"] == m.name.lower()] for m in Modality}
        return cls(
            folder=folder,
            height=height,
            width=width,
            images=images,
            identities={m: np.array([int(row["identity"]) for row in of[m]], np.int64) for m in Modality},
            cameras={m: np.array([int(row["camera"]) for row in of[m]], np.int64) for m in Modality},
            paths={m: [row["path"] for row in of[m]] for m in Modality},
            splits=json.loads((folder / SPLITS).read_text()),
        )

    def rows(self, split: int, part: Literal["train", "test", "validation"], modality: Modality) -> np.ndarray:
        """The rows of a split's half, int64, in the order of the set's index.

        ``validation`` are those rows of ``train`` that a list of the set's own names for it; none without a list.
        """
        if str(split) not in self.splits:
            raise DataError(f"{self.folder}: has no split {split}; it holds {', '.join(self.splits)}. Pack that split")
        return np.array(self.splits[str(split)].get(part, {}).get(modality.name.lower(), []), np.int64)

    def require_size(self, size: tuple[int, int] | None, whose: str) -> None:
        """Raises DataError where the images are not of ``size``, height and width; None fits any.

        ``whose`` says of what the size is, in the message: ``the model``.
        """
        if size not in (None, (self.height, self.width)):
            height, width = size
            raise DataError(
                f"{self.folder}: images of {self.height} x {self.width} pixels, and {whose} is of {height} x {width}; "
                f"pack the set at that size: workflow/scripts/pack.py --height {height} --width {width}, or "
                f"data.height and data.width of the configuration"
            )

    def verify(self) -> dict[str, str]:
        """The sha256 of each file; raises DataError naming one whose content is not what was packed."""
        digests = _manifest(self.folder)["sha256"]
        for name, digest in digests.items():
            _check(self.folder / name, digest)
        return digests


def in_order(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """By identity, then camera, then path: the order of the rows of a pack, and of the field's own arrays."""
    return sorted(records, key=lambda record: (record.identity, record.camera, record.path))


def write_images(
    records: Sequence[ImageRecord],
    root: Path,
    out: Path,
    height: int,
    width: int,
    workers: int,
    on_bad_image: Literal["stop", "skip"] = "stop",
    deep_range: DeepRange | None = None,
) -> dict[int, str]:
    """Writes the images as one uint8 array ``[N, height, width, 3]`` to the .npy file ``out``.

    Returns the rows left out for an image that cannot be read, each with the reason: see ``write_pack``. Raises
    DataError for the first of them, unless they are skipped, and as ``array_file.create`` and ``divided`` do.
    """
    array_file.create(out, np.uint8, (len(records), height, width, 3))  # the workers write into it, each its own rows
    rows = [(row, root / record.path) for row, record in enumerate(records)]
    write = functools.partial(_write_rows, out, height, width, deep_range, on_bad_image)
    bad: dict[int, str] = {}
    name = out.name.split(".")[0]
    shown, done = time.monotonic(), 0
    for count, unreadable in divided(write, rows, workers, chunk=CHUNK, name=_image, preload=[__name__]):
        done, bad = done + count, bad | unreadable
        if time.monotonic() - shown > 5:
            shown = time.monotonic()
            print(f"packed {done}/{len(records)} of {name}", file=sys.stderr, flush=True)
    if bad:
        print(f"{name}: {len(bad)} images left out", *bad.values(), sep="\n  ", file=sys.stderr, flush=True)
        if kept := [row for row, _ in rows if row not in bad]:
            array_file.keep_rows(out, kept, CHUNK)
    return bad


def _write_rows(
    out: Path,
    height: int,
    width: int,
    deep_range: DeepRange | None,
    on_bad_image: str,
    rows: Iterator[tuple[int, Path]],
) -> tuple[int, dict[int, str]]:
    """How many rows there were, and the reason for each that is left out."""
    target = array_file.open_to_write(out)
    count = 0
    bad: dict[int, str] = {}
    for row, path in rows:
        count += 1
        try:
            target[row] = decode(path, height, width, deep_range)
        except DataError as error:
            if on_bad_image == "stop":
                raise
            bad[row] = str(error)
    return count, bad


def _image(row: tuple[int, Path]) -> str:
    return str(row[1])


def _without(split: Split, skipped: Mapping[ImageRecord, str]) -> Split:
    """A split without the images that were left out."""
    if not skipped:
        return split
    for part, records in (("train", split.train), ("test", split.test)):
        for modality in Modality:
            before = {record.identity for record in records if record.modality is modality}
            after = {r.identity for r in records if r.modality is modality and r not in skipped}
            if lost := sorted(before - after):
                raise DataError(
                    f"identity {lost[0]} of the {part} half: none of its {modality.name.lower()} images can be read; "
                    "expected one at least: copy them from the set's archive again"
                )
    parts = (split.train, split.test, split.validation)
    return Split(*(tuple(record for record in part if record not in skipped) for part in parts))


def _rows(split: Split, row_of: dict[ImageRecord, int]) -> dict[str, dict[str, list[int]]]:
    parts = {"train": split.train, "test": split.test} | ({"validation": split.validation} if split.validation else {})
    return {
        part: {m.name.lower(): [row_of[r] for r in records if r.modality is m] for m in Modality}
        for part, records in parts.items()
    }


def _manifest(folder: Path) -> dict:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise DataError(f"{folder / MANIFEST}: absent, so {folder} holds no finished pack; {REMEDY}") from None
    except ValueError as error:
        raise DataError(f"{folder / MANIFEST}: corrupt ({error}); {REMEDY} again") from None
    if manifest["version"] != VERSION:
        raise DataError(f"{folder / MANIFEST}: version {manifest['version']}, expected {VERSION}; {REMEDY} again")
    return manifest


def _open_images(path: Path, expected: tuple[int, ...]) -> np.ndarray:
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False) if expected[0] else np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({reason(error)}); {REMEDY} again") from None
    if images.shape != expected or images.dtype != np.uint8:
        raise DataError(f"{path}: {images.dtype} {images.shape}, expected uint8 {expected}; {REMEDY} again")
    return images


def _check(path: Path, digest: str) -> None:
    if not path.is_file():
        raise DataError(f"{path}: absent; {REMEDY} again")
    if sha256(path) != digest:
        raise DataError(f"{path}: corrupt, its sha256 is not that in {MANIFEST}; {REMEDY} again")
