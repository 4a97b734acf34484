"""metrics.jsonl: the record of a training, running or ended. Read here alone; training/metrics_log.py writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError, SpoiledError
from msclnet.core.numbers import finite

Line = dict[str, Any]
LATEST = 1e11  # seconds: a time beyond the year 5000
LARGEST = 2**53  # of a count
COUNTED = ("step", "epoch", "kept_epoch")
KINDS = ("start", "step", "measure", "gradient", "cosine", "epoch", "system", "validation", "end")


def read_record(path: Path) -> tuple[Line, ...]:
    """Its lines; a last one without its end is just being written, and left out.

    Raises DataError naming the file, the line and what was expected.
    """
    try:
        written = path.read_text(encoding="utf-8", errors="backslashreplace").split("\n")[:-1]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the record of a training: train it first") from None
    lines = []
    for number, text in enumerate(written, start=1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not _known(line):
            raise SpoiledError(
                f"{path}, line {number}: {text[:60]!r}; expected JSON with kind and time, and finite numbers: train it "
                "again",
                path,
            )
        lines.append(line)
    if not any(line["kind"] == "start" for line in lines):
        raise SpoiledError(f"{path}: {len(lines)} lines, none of kind start; expected one: train it again", path)
    return tuple(lines)


def _known(line: Any) -> bool:
    """Whether a line can be of a record: its kind, when it was written, of which step, and numbers."""
    if not isinstance(line, dict) or line.get("kind") not in KINDS:
        return False
    if not (finite(line.get("time")) and 0 < line["time"] < LATEST):
        return False
    if line["kind"] == "start":
        return all(isinstance(value, str) or finite(value) for value in line.values())
    numbers = {key: value for key, value in line.items() if key not in ("kind", "time")}
    counts = [numbers[key] for key in COUNTED if key in numbers]
    needed = {"step"} if line["kind"] == "end" else {"step", "epoch"}
    return (
        needed <= numbers.keys()
        and all(map(finite, numbers.values()))
        and all(isinstance(count, int) and 0 <= count <= LARGEST for count in counts)
    )
