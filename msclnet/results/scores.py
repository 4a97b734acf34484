"""scores.json: what an evaluation leaves. Written and read here alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError, SpoiledError
from msclnet.core.files import write_text
from msclnet.core.numbers import finite
from msclnet.datasets.table import SETS

Row = dict[str, Any]
FEATURES = ("bn", "pooled")  # in the order of the tables
HEADLINE = FEATURES[0]  # the feature that the paper reports
METRICS = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")  # percent
TITLES = {"rank1": "Rank-1", "mAP": "mAP", "mINP": "mINP"}
HEADLINES = tuple(TITLES)  # those that stand for a training, and whose spread the tables give
LARGEST = 2**53  # of a count
COUNTS = ("queries", "queries_without_match", "gallery")
HOW = ("feature", "flip", "rerank", "protocol")  # what is compared, and how: a column each of every table


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
        raise SpoiledError(
            f"{path}: {len(rows)} rows, without {', '.join(missing) or 'any score'}; expected rows of {name}; {remedy}",
            path,
        )
    for row in rows:
        if wrong := next((key for key in needed if not _fits(key, row[key], name)), ""):
            raise SpoiledError(
                f"{path}: {wrong} is {str(row[wrong])[:40]!r}; expected {_expected(wrong)}; {remedy}", path
            )
    return rows


def _fits(key: str, value: Any, name: str) -> bool:
    """Whether a value of a row can be of its column."""
    if key in METRICS:
        return finite(value) and 0 <= value <= 100
    if key in (*COUNTS, SETS.get(name).trial):
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST)


def _expected(key: str) -> str:
    return "a percentage" if key in METRICS else "a count" if key in COUNTS else "a word or a number"


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
        content = json.loads(path.read_bytes())
        split, rows = content["split"], content["rows"]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise TypeError("rows: expected a list of mappings")
        if not isinstance(split, int):
            raise TypeError("split: expected a whole number")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the scores of a training: evaluate it first") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = repr(error)[:80]
        raise SpoiledError(f"{path}: not a scores.json ({reason}); evaluate the training again", path) from error
    return split, rows
