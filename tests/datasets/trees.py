"""Tiny trees in the layouts of the data sets, drawn by their stand-ins."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from msclnet.config import build
from msclnet.datasets.table import SETS

TINY: dict[str, dict[str, Any]] = {
    "regdb": {"like": "", "identities": 6, "images": 2},
    "sysu": {"like": "", "train": 3, "val": 1, "test": 3, "images": 2},
    "llcm": {"like": "", "train": 4, "test": 3, "images": 2},
}
SEED = 3


def draw(name: str, root: Path, *, seed: int = SEED, workers: int = 1, **options: Any) -> Path:
    """The stand-in of the data set ``name`` in ``root``, of ``TINY``'s size but for ``options``."""
    data_set = SETS.get(name)
    data_set.draw(root, build(data_set.StandIn, TINY[name] | options, f"stand_in.{name}"), seed, workers)
    return root


regdb, sysu, llcm = (partial(draw, name) for name in TINY)


def edit(path: Path, old: str, new: str) -> None:
    """Replaces ``old``, which must be there, once."""
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
