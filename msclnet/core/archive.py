"""ZIP archives, of which .npz and torch's files are: one that says it holds far more than its size is not unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

FREE = 256 * 2**20  # bytes that any archive may hold
RATIO = 100  # by which a larger one may be smaller than what it holds: features and weights hardly shrink


class Bomb(ValueError):
    """An archive holds far more than its size."""


def require_plausible(file: Path | BinaryIO, size: int) -> None:
    """Looks at the directory of an archive, before anything of it is unpacked. What is no archive is let pass.

    Args:
        file: the archive.
        size: its bytes.

    Raises:
        Bomb: it says that it holds too much.
        OSError: it cannot be read.
    """
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            holds = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        return
    if holds > max(FREE, RATIO * size):
        raise Bomb(f"{size} bytes that unpack to {holds}; expected at most {RATIO} times as many")
