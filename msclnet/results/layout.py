"""Where the files of a result lie."""

from __future__ import annotations

import re
from pathlib import Path

from msclnet.core.errors import DataError


def split_of(path: Path) -> int:
    """The split that the folder of ``path`` is named for; raises DataError when it is not called ``split<N>``."""
    folder = path.absolute().parent.name
    if match := re.fullmatch(r"split(\d+)", folder):
        return int(match[1])
    raise DataError(f"{path}: lies in a folder called {folder!r}, expected split<N>; move it, or name the split")
