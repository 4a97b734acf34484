"""Tiny trees in the layouts of RegDB and SYSU-MM01, drawn by the stand-in."""

from __future__ import annotations

from pathlib import Path

from msclnet.config import RegDBStandIn, StandIn, SYSUStandIn
from msclnet.data.standin import draw_regdb, draw_sysu

TINY = StandIn(seed=3, regdb=RegDBStandIn(identities=6, images=2), sysu=SYSUStandIn(train=3, val=1, test=3, images=2))


def regdb(root: Path, stand_in: StandIn = TINY, workers: int = 1) -> Path:
    draw_regdb(root, stand_in, workers)
    return root


def sysu(root: Path, stand_in: StandIn = TINY, workers: int = 1) -> Path:
    draw_sysu(root, stand_in, workers)
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Replaces ``old``, which must be there, once."""
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
