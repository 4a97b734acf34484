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
from typing import Any, Literal

import numpy as np

from msclnet.core import array_file
from msclnet.core.errors import DataError, SpoiledError, reason
from msclnet.core.files import atomic_write, require_room, sha256, write_text
from msclnet.core.types import ImageRecord, Modality
from msclnet.core.workers import divided
from msclnet.data.depth import DeepRange
from msclnet.data.images import decode
from msclnet.data.manifest import (
    COLUMNS,
    FILES,
    INDEX,
    MANIFEST,
    REMEDY,
    SPLITS,
    VERSION,
    note_verified,
    read_index,
    read_manifest,
    read_splits,
    verify,
)
from msclnet.datasets.base import Split

CHUNK = 64  # images a worker takes at once


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
        writer.writerow(COLUMNS)
        for modality, ordered in packed.items():
            for row, record in enumerate(ordered):
                writer.writerow((modality.name.lower(), row, record.identity, record.camera, record.path))
    row_of = {record: row for ordered in packed.values() for row, record in enumerate(ordered)}
    write_text(out / SPLITS, json.dumps({str(number): _rows(split, row_of) for number, split in splits.items()}))
    digests = {name: sha256(out / name) for name in (*FILES.values(), INDEX, SPLITS)}
    manifest: dict[str, Any] = {
        "version": VERSION,
        "height": height,
        "width": width,
        "images": {m.name.lower(): len(ordered) for m, ordered in packed.items()},
        "skipped": {record.path: reason for record, reason in skipped.items()},
        "sha256": digests,
    }
    if deep_range:
        manifest["deep_range"] = list(deep_range)
    write_text(out / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    note_verified(out, digests)


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
        """Opens a pack, whose files are what was packed: read whole, or known by size and times, see ``verify``.

        Raises SpoiledError where ``folder`` holds no whole pack of this version.
        """
        manifest = read_manifest(folder)
        verify(folder, manifest.sha256)
        index = read_index(folder, manifest)
        size = manifest.height, manifest.width
        return cls(
            folder=folder,
            height=manifest.height,
            width=manifest.width,
            images={m: _open_images(folder / name, (len(index[m]), *size, 3)) for m, name in FILES.items()},
            identities={m: np.array([line.identity for line in lines], np.int64) for m, lines in index.items()},
            cameras={m: np.array([line.camera for line in lines], np.int64) for m, lines in index.items()},
            paths={m: [line.path for line in lines] for m, lines in index.items()},
            splits=read_splits(folder, manifest),
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
        """The sha256 of each file, all of which are read; raises SpoiledError for one that is not what was packed."""
        digests = read_manifest(self.folder).sha256
        verify(self.folder, digests, whole=True)
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


def _open_images(path: Path, expected: tuple[int, ...]) -> np.ndarray:
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False) if expected[0] else np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        problem = f"{path}: not readable ({reason(error)}); {REMEDY} again"
        raise SpoiledError(problem, path.with_name(MANIFEST)) from None
    if images.shape != expected or images.dtype != np.uint8:
        found = f"{images.dtype} {images.shape}"
        raise SpoiledError(f"{path}: {found}, expected uint8 {expected}; {REMEDY} again", path.with_name(MANIFEST))
    return images
