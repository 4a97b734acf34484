"""What a file or a folder holds, as a digest: by it the workflow knows a change of what a user's path leads to.

Reading 45,000 images takes its time. So the digest is noted with the sizes and times of the files, and as long as these
are the same nothing is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msclnet.core.errors import StorageError
from msclnet.core.files import sha256, write_text

SAID = 2**28  # bytes that are read without a word


class _File(NamedTuple):
    """A file below a folder, its path relative to it, and what a change of its content changes, too."""

    name: str
    size: int
    modified: int
    changed: int


def content(path: str, notes: Path, endings: tuple[str, ...] = ("",)) -> str:
    """The digest of a file's content, or of all files below a folder with their names.

    Args:
        path: a file or folder of the user's.
        notes: the folder in which the digest is noted; made where it is missing. Where it cannot be written the files
            are read each time.
        endings: of the names of the files that count; by default all do.

    Returns:
        64 hexadecimal digits; empty where nothing lies there, or it cannot be read: what reads it has a word on that.
    """
    root = Path(path)
    try:
        files = [file for file in _files(root) if file.name.endswith(endings)]
        seen = hashlib.sha256(repr(files).encode("utf-8", "surrogateescape")).hexdigest()
        key = hashlib.sha256(os.fsencode("\0".join((str(root.absolute()), *endings)))).hexdigest()[:16]
        note = notes / f"{key}.json"
        with suppress(OSError, ValueError, RecursionError):
            known = json.loads(note.read_bytes())
            if isinstance(known, dict) and known.get("seen") == seen and isinstance(known.get("content"), str):
                return known["content"]
        found = _read(root, files)
    except OSError:
        return ""
    if files:
        with suppress(OSError, StorageError):
            notes.mkdir(parents=True, exist_ok=True)
            write_text(note, json.dumps({"path": os.fsdecode(os.fsencode(path)), "seen": seen, "content": found}))
    return found if files else ""


def _files(root: Path) -> Iterator[_File]:
    """Every file below ``root``, or itself, in the order of the names; links are followed, each folder once.

    Pipes, devices and broken links are passed over: what reads the set has a word on them.
    """
    if root.is_file():
        yield _seen("", root.stat())
    been: set[tuple[int, int]] = set()  # a link may lead to a folder above it
    for folder, folders, names in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in been:
            folders.clear()
            continue
        been.add((status.st_dev, status.st_ino))
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            with suppress(OSError):
                found = os.stat(path)
                if stat.S_ISREG(found.st_mode):
                    yield _seen(os.path.relpath(path, root), found)


def _seen(name: str, found: os.stat_result) -> _File:
    return _File(name, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _read(root: Path, files: list[_File]) -> str:
    total = sum(file.size for file in files)
    if total > SAID:
        print(f"{root}: reading {len(files)} files, {total / 2**30:.1f} GiB, to know a change of them", file=sys.stderr)
    whole = hashlib.sha256()
    for file in files:
        whole.update(
            f"{file.name}\0{sha256(root / file.name if file.name else root)}\n".encode("utf-8", "surrogateescape")
        )
    return whole.hexdigest()
