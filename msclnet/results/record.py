"""metrics.jsonl: the record of a training, running or ended. Read here alone; training/metrics_log.py writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError

Line = dict[str, Any]
KINDS = ("start", "step", "measure", "gradient", "cosine", "epoch", "system", "validation", "end")


def read_record(path: Path) -> tuple[Line, ...]:
    """Its lines; a last one without its end is just being written, and left out.

    Raises DataError naming the file, the line and what was expected.
    """
    try:
        written = path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the record of a training: train it first") from None
    lines = []
    for number, text in enumerate(written, start=1):
        try:
            line = json.loads(text)
            known = line["kind"] in KINDS and line["time"] > 0
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise DataError(f"{path}, line {number}: {text[:60]!r}; expected JSON with kind and time: train it again")
        lines.append(line)
    if not any(line["kind"] == "start" for line in lines):
        raise DataError(f"{path}: {len(lines)} lines, none of kind start; expected one: train it again")
    return tuple(lines)
