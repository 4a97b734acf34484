"""Files of tensors that are whole or absent: torch's own, closed by a sha256 of their content."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from msclnet.core.archive import require_plausible
from msclnet.core.errors import DataError, SpoiledError, reason
from msclnet.core.file_kind import DIGEST, kind_of
from msclnet.core.files import atomic_write, open_regular

EXPECTED = "expected a checkpoint of this project: the model.pt that a training leaves, say"


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a state so that its file is never half written.

    The file is torch's, a ZIP archive whose comment is the sha256 of its content; ``torch.load`` reads it.

    Args:
        path: the file, in a folder that exists.
        state: tensors, numbers, strings and containers of them.

    Raises:
        OSError: the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()[:-2]  # the length of an archive's comment, 0, is its last two bytes
    with atomic_write(path) as partial, partial.open("wb") as file:
        file.write(content)
        file.write(DIGEST.to_bytes(2, "little") + _sha256(content))


def load(path: Path) -> dict[str, Any]:
    """The state that a file holds; nothing in it is executed.

    Args:
        path: what ``save`` wrote.

    Returns:
        The state, its tensors on the CPU.

    Raises:
        DataError: the file is absent, or another one than ``save`` writes.
        SpoiledError: it is damaged.
    """
    if path.is_dir():
        raise DataError(f"{path}: a folder; expected a file: name the model.pt in it")
    if not path.exists():
        raise DataError(f"{path}: no such checkpoint; see that the name is right: a training leaves its model.pt last")
    open_regular(path).close()  # no pipe, which would be waited for
    try:
        return content(path)
    except Damaged as error:
        if (kind := kind_of(path)).format == "own":
            raise SpoiledError(
                f"{path}: a damaged checkpoint ({error}); copy it again from where it came from, or train it again",
                path,
            ) from error
        hint = ". `msclnet import` makes one of AGW's, CAJ's and others' public code" if kind.format == "torch" else ""
        raise DataError(f"{path}: {kind}; {EXPECTED}{hint}") from error


class Damaged(Exception):
    """A checkpoint's content is not what was written."""


def content(path: Path) -> dict[str, Any]:
    """The state that a file holds, for callers that go on without it.

    Args:
        path: what ``save`` wrote.

    Returns:
        The state, its tensors on the CPU.

    Raises:
        Damaged: the content is not what was written.
        OSError: it cannot be read now, which says nothing of the content.
        MemoryError: there is no room for it now.
    """
    found = memoryview(path.read_bytes())
    try:
        if bytes(found[-DIGEST - 2 : -DIGEST]) != DIGEST.to_bytes(2, "little"):
            raise ValueError("no sha256 at its end: it was cut off, or not written by this project")
        if _sha256(found[: -DIGEST - 2]) != bytes(found[-DIGEST:]):
            raise ValueError("its sha256 is not the one it was written with")
        require_plausible(io.BytesIO(found), len(found))
        return torch.load(io.BytesIO(found), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch names a damaged file by a dozen exception types
        raise Damaged(reason(error)) from error


def not_finite(state: Any, name: str = "") -> str:
    """Where a state has a value that is NaN or infinite.

    Args:
        state: a tensor, or containers of tensors.
        name: what it is called.

    Returns:
        The name of the first such tensor, its keys joined by dots; empty when there is none.
    """
    if isinstance(state, torch.Tensor):
        return "" if state.isfinite().all() else name
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    return next((found for key, value in items if (found := not_finite(value, f"{name}.{key}".lstrip(".")))), "")


def _sha256(content: memoryview) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
