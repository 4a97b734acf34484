"""Tiny trees in the layouts of RegDB, SYSU-MM01 and LLCM, drawn by the stand-in."""

from __future__ import annotations

from pathlib import Path

from msclnet.config import LLCMStandIn, RegDBStandIn, StandIn, SYSUStandIn
from msclnet.standin.sets import draw_llcm, draw_regdb, draw_sysu

TINY = StandIn(
    seed=3,
    regdb=RegDBStandIn(like="", identities=6, images=2),
    sysu=SYSUStandIn(like="", train=3, val=1, test=3, images=2),
    llcm=LLCMStandIn(like="", train=4, test=3, images=2),
)


def regdb(root: Path, stand_in: StandIn = TINY, workers: int = 1) -> Path:
    draw_regdb(root, stand_in, workers)
    return root


def sysu(root: Path, stand_in: StandIn = TINY, workers: int = 1) -> Path:
    draw_sysu(root, stand_in, workers)
    return root


def llcm(root: Path, stand_in: StandIn = TINY, workers: int = 1) -> Path:
    draw_llcm(root, stand_in, workers)
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Replaces ``old``, which must be there, once."""
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
