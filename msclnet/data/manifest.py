"""What lies beside a pack's images: its manifest, its index and its splits, each read into its types.

A file's content is held against the manifest's sha256 once. After that it is known by its size and its times, noted in
``verified.json``: a job reads some gigabytes less.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from msclnet.core.errors import SpoiledError, StorageError
from msclnet.core.files import sha256, write_text
from msclnet.core.section import problem
from msclnet.core.types import Modality

VERSION = 2
FILES = {Modality.VISIBLE: "visible.npy", Modality.INFRARED: "infrared.npy"}
INDEX, SPLITS, MANIFEST, VERIFIED = "index.csv", "splits.json", "pack.json", "verified.json"
COLUMNS = ("modality", "row", "identity", "camera", "path")
REMEDY = "make it with workflow/scripts/pack.py, or let snakemake"
SHOWN = 80  # characters of what is wrong
LARGEST = 2**62  # of a number in a file: beyond it NumPy's do not go

T = TypeVar("T")
Name = Literal["visible", "infrared"]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Rows = dict[Name, list[Count]]
Split = dict[Literal["train", "test", "validation"], Rows]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Manifest(_Strict):
    """pack.json."""

    version: Literal[2]
    height: Annotated[int, Field(ge=1, le=2**16)]
    width: Annotated[int, Field(ge=1, le=2**16)]
    images: dict[Name, Count]
    skipped: dict[str, str] = {}
    sha256: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    deep_range: list[float] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        files = {*FILES.values(), INDEX, SPLITS}
        if self.images.keys() != {m.name.lower() for m in Modality} or self.sha256.keys() != files:
            raise ValueError(f"expected images of both modalities, and the sha256 of {', '.join(sorted(files))}")
        return self


class Line(_Strict):
    """A line of index.csv: an image, by its row in its modality's file."""

    modality: Name
    row: Count
    identity: Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
    camera: Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
    path: str


_LINES, _SPLITS = TypeAdapter(list[Line]), TypeAdapter(dict[str, Split])


def read_manifest(folder: Path) -> Manifest:
    """pack.json of a pack, which is written last; raises SpoiledError where it is absent, or not as it was written."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise SpoiledError(f"{path}: absent, so {folder} holds no finished pack; {REMEDY}", path) from None
    except (ValueError, RecursionError) as error:
        raise SpoiledError(f"{path}: corrupt ({str(error)[:SHOWN]}); {REMEDY} again", path) from None
    if isinstance(found, dict) and found.get("version") != VERSION:
        version = str(found.get("version"))[:SHOWN]
        raise SpoiledError(f"{path}: version {version}, expected {VERSION}; {REMEDY} again", path)
    return _shaped(TypeAdapter(Manifest), found, folder, MANIFEST)


def read_index(folder: Path, manifest: Manifest) -> dict[Modality, list[Line]]:
    """The images of each modality, by row; raises SpoiledError for lines that are not those of a pack's images."""
    try:
        text = (folder / INDEX).read_text(encoding="utf-8", errors="surrogateescape")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, csv.Error) as error:
        raise _spoiled(folder, INDEX, str(error)) from None
    for row in rows:
        for key in {"row", "identity", "camera"} & row.keys():
            with suppress(TypeError, ValueError):
                row[key] = int(row[key])
    lines = _shaped(_LINES, rows, folder, INDEX)
    of = {m: [line for line in lines if line.modality == m.name.lower()] for m in Modality}
    counts = {str(name): count for name, count in manifest.images.items()}
    for modality, mine in of.items():
        if len(mine) != counts[modality.name.lower()] or [line.row for line in mine] != list(range(len(mine))):
            raise _spoiled(folder, INDEX, f"{len(mine)} {modality.name.lower()} images, not one for each row")
    return of


def read_splits(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The rows of each half of each split, by modality; raises SpoiledError for rows that there are not."""
    try:
        found = json.loads((folder / SPLITS).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _spoiled(folder, SPLITS, str(error)) from None
    splits = _shaped(_SPLITS, found, folder, SPLITS)
    for number, parts in splits.items():
        for part, rows in parts.items():
            for name, mine in rows.items():
                if max(mine, default=-1) >= manifest.images[name]:
                    raise _spoiled(folder, SPLITS, f"split {number}, {part}: {name} row {max(mine)}")
    return splits


def verify(folder: Path, digests: Mapping[str, str], whole: bool = False) -> None:
    """Holds a pack's files against what was packed.

    Args:
        folder: the pack's.
        digests: the sha256 of each file, as its manifest has them.
        whole: read all of each file; without it those alone whose size or times are not those of the last time.

    Raises:
        SpoiledError: a file is absent, or its content is another.
    """
    known: Any = {}
    with suppress(OSError, ValueError, RecursionError):
        known = json.loads((folder / VERIFIED).read_bytes())
    known = known if isinstance(known, dict) else {}
    now = {}
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise SpoiledError(f"{path}: absent; {REMEDY} again", folder / MANIFEST)
        now[name] = _state(path, digest)
        if (whole or known.get(name) != now[name]) and sha256(path) != digest:
            raise _spoiled(folder, name, f"its sha256 is not that in {MANIFEST}")
    if now != known:
        note_verified(folder, digests)


def note_verified(folder: Path, digests: Mapping[str, str]) -> None:
    """Notes the sizes and times of files whose content has just been read. No matter where nothing can be written."""
    with suppress(OSError, StorageError):
        write_text(folder / VERIFIED, json.dumps({name: _state(folder / name, d) for name, d in digests.items()}))


def _state(path: Path, digest: str) -> list[Any]:
    """What a change of a file's content changes, too: the time of its last change cannot be set by hand."""
    stat = path.stat()
    return [digest, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _shaped(shape: TypeAdapter[T], found: Any, folder: Path, name: str) -> T:
    try:
        return shape.validate_python(found)
    except ValidationError as error:
        raise _spoiled(folder, name, problem(error)) from None


def _spoiled(folder: Path, name: str, reason: str) -> SpoiledError:
    """Whatever file of a pack it is, the workflow makes the pack again where its manifest is gone."""
    return SpoiledError(f"{folder / name}: corrupt, {reason[:SHOWN]}; {REMEDY} again", folder / MANIFEST)
