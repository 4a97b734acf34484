"""What a training leaves on disk: its checkpoints while it runs, its model at the end. Written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from msclnet.types import DataError


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes ``state`` (tensors, numbers, strings and containers of them) so that ``path`` is never half written."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path) -> dict[str, Any]:
    """The state in ``path``, on the CPU; nothing in the file is executed.

    Raises DataError naming a file that is absent or damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint; train it first (snakemake makes it from the configuration)")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names a damaged file by a dozen exception types
        raise DataError(f"{path}: not a readable checkpoint ({error}); delete it and train again") from error


def differing(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Dotted keys in which two plain configurations differ, each with both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            line
            for key in dict.fromkeys((*ours, *theirs))
            for line in differing(ours.get(key), theirs.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if ours == theirs else [f"{where}: {theirs!r} in the checkpoint, {ours!r} now"]
