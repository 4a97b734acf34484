"""The data sets by name."""

from __future__ import annotations

from pathlib import Path

from msclnet.datasets import llcm, regdb, sysu
from msclnet.datasets.base import Problems, Survey


def survey(name: str, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
    """What is found in the folder of a data set; ``splits`` are RegDB's, all ten if there are none.

    ``real`` holds the counts against the real set's. Raises DataError where the folder has not the set's layout.
    """
    match name:
        case "regdb":
            return regdb.survey(root, splits or tuple(range(1, 11)), real=real)
        case "sysu":
            return sysu.survey(root, real=real)
        case "llcm":
            return llcm.survey(root, real=real)
        case _:
            raise ValueError(f"{name!r} is no data set; expected regdb, sysu or llcm")


def readable(found: Survey) -> str:
    """A table of the counts beside the real set's, then the problems."""
    width = max(map(len, found.counts))
    lines = [found.title, f"  {'':{width}}  {'found':>8}  {'real set':>8}"]
    for name, count in found.counts.items():
        differs = "" if count == found.expected[name] else "  differs"
        lines.append(f"  {name:{width}}  {count:8,}  {found.expected[name]:8,}{differs}")
    return "\n".join([*lines, str(Problems(found.problems)) if found.problems else "no problems"])
