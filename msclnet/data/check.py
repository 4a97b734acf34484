"""Whether the images of a set can be packed: a fast look at the files, and a thorough one at what is in them."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from msclnet.core.errors import DataError
from msclnet.core.workers import divided
from msclnet.data.depth import DeepRange
from msclnet.data.images import read_rgb
from msclnet.datasets.base import Survey

CHUNK = 64  # images a worker takes at once
COPY = "copy it again from where it came from"


def with_files(
    found: Survey,
    root: Path,
    *,
    thorough: bool = False,
    workers: int = 1,
    skip: bool = False,
    deep_range: DeepRange | None = None,
) -> Survey:
    """A survey that has looked at the images, too.

    The fast way asks the file system alone: a link to nothing, an empty file and what is no file are found. The
    thorough way reads every image as packing does.

    Args:
        found: what a data set's reader found.
        root: the set's folder.
        thorough: whether to read the images.
        workers: the most processes that read.
        skip: whether packing will leave out what it cannot read (``data.on_bad_image``): it is then a note.
        deep_range: as in ``to_grey``.

    Returns:
        The survey with what is amiss with images added to its problems, or notes.

    Raises:
        WorkerDied: a process that reads images has died.
    """
    paths = sorted({root / record.path for split in found.splits.values() for record in (*split.train, *split.test)})
    amiss = {path: said for path in paths if (said := _amiss(path))}
    if thorough:
        rest = [path for path in paths if path not in amiss and path.exists()]
        for some in divided(
            functools.partial(_unreadable, deep_range), rest, workers, chunk=CHUNK, name=str, preload=[__name__]
        ):
            amiss |= some
    lines = [amiss[path] for path in sorted(amiss)]
    return replace(found, notes=[*found.notes, *lines]) if skip else replace(found, problems=[*found.problems, *lines])


def _amiss(path: Path) -> str | None:
    """What the file system says against an image; a file that is not there is its reader's to name."""
    try:
        status = os.stat(path)
    except OSError as error:
        if not os.path.islink(path):
            return None if isinstance(error, FileNotFoundError) else f"{path}: {error.strerror}; make it readable"
        return f"{path}: a link to {os.readlink(path)}, which is not there; {COPY}"
    if not stat.S_ISREG(status.st_mode):
        return f"{path}: no file; expected an image: {COPY}"
    return None if status.st_size else f"{path}: empty; {COPY}"


def _unreadable(deep_range: DeepRange | None, paths: Iterator[Path]) -> dict[Path, str]:
    found = {}
    for path in paths:
        try:
            read_rgb(path, deep_range)
        except DataError as error:
            found[path] = str(error)
    return found
