"""scores.json: what an evaluation leaves. Written and read here alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msclnet.config import SetName
from msclnet.core.errors import DataError
from msclnet.core.files import atomic_write

Row = dict[str, Any]


METRICS = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")


COUNTS = ("queries", "queries_without_match", "gallery")


HOW = ("feature", "flip", "rerank", "protocol")  # what is compared, and how: a column each of every table


SETTING: dict[SetName, tuple[str, ...]] = {"regdb": ("direction",), "sysu": ("mode", "shots"), "llcm": ("direction",)}


TRIAL: dict[SetName, str] = {"regdb": "split", "sysu": "draw", "llcm": "draw"}


def write_scores(path: Path, split: int, rows: Sequence[dict[str, object]]) -> None:
    """scores.json: ``{"split": N, "rows": [...]}``, with a line for each row of an evaluation."""
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    with atomic_write(path) as partial:
        partial.write_text(f'{{"split": {split}, "rows": [\n{lines}\n]}}\n')


def read_rows(name: SetName, split: int, path: Path) -> list[Row]:
    """The rows of one scores.json; DataError when it is absent, damaged, or not of this set and split."""
    remedy = "evaluate the training again"
    needed = (*HOW, *SETTING[name], TRIAL[name], *METRICS, *COUNTS)
    try:
        content = json.loads(path.read_text())
        found, rows = content["split"], content["rows"]
        missing = [key for key in needed if any(key not in row for row in rows)]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the scores of a training: {remedy}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a scores.json ({error!r}); {remedy}") from error
    if found != split:
        raise DataError(f"{path}: scores of split {found}, expected split {split} as its folder says; {remedy}")
    if missing or not rows:
        raise DataError(
            f"{path}: {len(rows)} rows, without {', '.join(missing) or 'any score'}; expected rows of {name}; {remedy}"
        )
    return rows
