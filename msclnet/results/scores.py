"""scores.json: what an evaluation leaves. Written and read here alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError
from msclnet.core.files import write_text
from msclnet.datasets.table import SETS

Row = dict[str, Any]
FEATURES = ("bn", "pooled")  # in the order of the tables
HEADLINE = FEATURES[0]  # the feature that the paper reports
METRICS = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")  # percent
TITLES = {"rank1": "Rank-1", "mAP": "mAP", "mINP": "mINP"}
HEADLINES = tuple(TITLES)  # those that stand for a training, and whose spread the tables give
COUNTS = ("queries", "queries_without_match", "gallery")
HOW = ("feature", "flip", "rerank", "protocol")  # what is compared, and how: a column each of every table
USUAL = {"flip": "no", "rerank": "no"}  # how the numbers in print were measured


def compared(name: str) -> tuple[str, ...]:
    """The keys that say what a row of the data set ``name`` compares and how; its trials differ in none of them."""
    return (*HOW, *SETS.get(name).columns)


def write_scores(path: Path, split: int, rows: Sequence[Mapping[str, object]]) -> None:
    """``{"split": N, "rows": [...]}``, with a line for each row of an evaluation."""
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    write_text(path, f'{{"split": {split}, "rows": [\n{lines}\n]}}\n')


def read_scores(name: str, split: int, path: Path) -> list[Row]:
    """The rows of one scores.json; DataError when it is absent, damaged, or not of this set and split."""
    remedy = "evaluate the training again"
    needed = (*compared(name), SETS.get(name).trial, *METRICS, *COUNTS)
    found, rows = _content(path)
    if found != split:
        raise DataError(f"{path}: scores of split {found}, expected split {split} as its training says; {remedy}")
    missing = [key for key in needed if any(key not in row for row in rows)]
    if missing or not rows:
        raise DataError(
            f"{path}: {len(rows)} rows, without {', '.join(missing) or 'any score'}; expected rows of {name}; {remedy}"
        )
    return rows


def set_of(path: Path, likely: str, split: int | None) -> tuple[str, int]:
    """The data set whose scores a file holds, by the keys of its rows, and their split.

    ``likely`` is the set where several have such rows, else that of the most columns. ``split`` is the expected one,
    None for any. Raises DataError for a file that is not a scores.json, or is of no set of the table.
    """
    found, rows = _content(path)
    keys = rows[0].keys() if rows else set()
    fitting = [
        entry.name
        for entry in SETS
        if {*entry.columns, entry.trial} <= keys and ("draw" in keys) == (entry.trial == "draw")
    ]
    if not fitting:
        raise DataError(
            f"{path}: rows with the keys {', '.join(keys) or 'of none'}; expected those of {', '.join(SETS.names())}: "
            "evaluate the training again"
        )
    closest = max(fitting, key=lambda name: len(SETS.get(name).columns))
    return likely if likely in fitting else closest, found if split is None else split


def headline(name: str, rows: Sequence[Row]) -> list[list[Row]]:
    """Of each of the set's headline comparisons the rows of the headline's feature, in their order.

    A file that was scored in several ways is represented by the way of its first row.
    """
    ways = [key for key in HOW if key != "feature"]
    mine = [row for row in rows if row["feature"] == HEADLINE and all(row[key] == rows[0][key] for key in ways)]
    return [
        [row for row in mine if all(row[key] == value for key, value in setting.items())]
        for setting in SETS.get(name).headline
    ]


def _content(path: Path) -> tuple[int, list[Row]]:
    """The split and the rows; DataError where ``path`` is absent or has another shape."""
    try:
        content = json.loads(path.read_text())
        split, rows = content["split"], content["rows"]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise TypeError("rows: expected a list of mappings")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the scores of a training: evaluate it first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a scores.json ({error!r}); evaluate the training again") from error
    return split, rows
