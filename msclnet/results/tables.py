"""From the scores of single trainings to the tables of a data set: every trial, and the summary over trials.

A trial is a split of RegDB (a training each) or a gallery draw of SYSU-MM01 or LLCM (of one training). Reads and writes
text; imports neither torch nor MLflow.
"""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msclnet.config import SetName
from msclnet.core.errors import DataError
from msclnet.core.files import atomic_write
from msclnet.results.scores import COUNTS, HOW, METRICS, SETTING, TRIAL, Row, read_rows

SPREAD = ("rank1", "mAP", "mINP")  # the metrics whose standard deviation the summary gives
ORDER = {  # of the tables' rows; the other keys are ordered by value
    "feature": ("bn", "pooled"),
    "direction": ("visible-to-infrared", "infrared-to-visible"),
    "mode": ("all", "indoor"),
}

# Rank-1 and mAP in print, in percent. MSCLNet: Zhang et al., ECCV 2022, comparison with the state of the art
# (SYSU-MM01 single-shot, RegDB mean of ten trials). AGW: Ye et al., TPAMI 2021, without the random erasing that
# MSCLNet's own baseline AGW* adds (SYSU-MM01 all, single-shot: 59.82 and 56.07).
PAPER: dict[tuple[SetName, str, tuple[str | int, ...]], tuple[float, float]] = {
    ("regdb", "msclnet", ("visible-to-infrared",)): (84.17, 80.99),
    ("regdb", "msclnet", ("infrared-to-visible",)): (83.86, 78.31),
    ("regdb", "agw", ("visible-to-infrared",)): (70.05, 66.37),
    ("regdb", "agw", ("infrared-to-visible",)): (70.49, 65.90),
    ("sysu", "msclnet", ("all", 1)): (76.99, 71.64),
    ("sysu", "msclnet", ("indoor", 1)): (78.49, 81.17),
    ("sysu", "agw", ("all", 1)): (47.50, 47.65),
    ("sysu", "agw", ("indoor", 1)): (54.17, 62.97),
}


def trials(name: SetName, data: str, methods: Sequence[str], paths: Sequence[Path]) -> list[Row]:
    """A row for each method, feature, setting (direction, or mode and shots) and split or draw.

    ``paths`` end in ``<method>/split<N>/scores.json``; ``data`` is the real set's name or ``stand-in``. Percentages
    are as exact as in the files. Methods in the order given, then the headline feature ``bn`` first, then the settings
    in the protocol's order, then the trials by number; the order of ``paths`` does not matter.

    Raises DataError for a path that is missing, does not fit or comes twice, for a method without the splits that
    another has, and for a file that is not of this data set or of its folder's split.
    """
    files = _by_training(methods, paths)
    rows: dict[tuple[object, ...], Row] = {}
    for (method, split), path in files.items():
        for scored in read_rows(name, split, path):
            keys = (*HOW, *SETTING[name], TRIAL[name])
            place = (methods.index(method), *(_rank(path, key, scored[key]) for key in keys))
            if place in rows:
                what = ", ".join(f"{key} {scored[key]}" for key in keys)
                raise DataError(f"{path}: {method} has a second row of {what}; expected one: give each training once")
            percent = {metric: float(scored[metric]) for metric in METRICS}
            where, counts = ({key: scored[key] for key in group} for group in (keys, COUNTS))
            rows[place] = {"data": data, "method": method, **where, **percent, **counts}
    return [rows[place] for place in sorted(rows)]


def summary(name: SetName, rows: Sequence[Row]) -> list[Row]:
    """Mean, and sample standard deviation (n - 1; none of one trial), over the trials of each method and setting.

    ``paper_rank1`` and ``paper_mAP`` stand beside the ``bn`` rows alone, the feature that the paper reports, without
    flip averaging and re-ranking; they are None where nothing is in print.
    """
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in ("data", "method", *HOW, *SETTING[name]))].append(row)
    table = []
    for group, members in groups.items():
        line: Row = dict(zip(("data", "method", *HOW, *SETTING[name]), group, strict=True))
        line["trials"] = len(members)
        for metric in METRICS:
            values = [row[metric] for row in members]
            line[metric] = statistics.fmean(values)
            if metric in SPREAD:
                line[f"{metric}_std"] = statistics.stdev(values) if len(values) > 1 else None
        as_printed = (line["feature"], line["flip"], line["rerank"]) == ("bn", "no", "no")
        compared = tuple(line[key] for key in SETTING[name])  # whatever the protocol: print does not say it
        printed = PAPER.get((name, line["method"], compared)) if as_printed else None
        line["paper_rank1"], line["paper_mAP"] = printed or (None, None)
        table.append(line)
    return table


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """``rows``, of which each has the same keys, as CSV: percentages with two decimals, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_shown(value) for value in row.values()] for row in rows)
    with atomic_write(path) as partial:
        partial.write_text(text.getvalue())


def readable(rows: Sequence[Row]) -> str:
    """``rows`` as a table for people: words to the left, numbers to the right, standard deviations headed ``+-``."""
    names = list(rows[0])
    heads = ["+-" if name.endswith("_std") else name for name in names]
    body = [[_shown(row[name]) or "-" for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *body, strict=True)]
    words = [isinstance(rows[0][name], str) for name in names]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if word else cell.rjust(width)
            for cell, width, word in zip(line, widths, words, strict=True)
        ).rstrip()
        for line in (heads, *body)
    )


def condensed(table: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of a summary for people: one cell for a mean and its standard deviation, ``-`` for nothing.

    ``table`` holds a summary's rows, or those of its CSV. The paper's numbers stand beside ours. Left out are the data
    and the feature, and of ``HOW`` what is as usual in every row.
    """
    columns = list(table[0])
    usual = [key for key in HOW if {row.get(key) for row in table} <= {"no", "standard"}]
    keys = [key for key in columns[: columns.index("trials") + 1] if key not in ("data", "feature", *usual)]
    numbers = [key for name in METRICS for key in (name, f"paper_{name}") if key in columns]
    body = []
    for row in table:
        means = [_shown(row[n]) or "-" for n in numbers]
        spreads = [_shown(row.get(f"{n}_std")) for n in numbers]
        cells = [f"{mean} ({spread})" if spread else mean for mean, spread in zip(means, spreads, strict=True)]
        body.append([*(_shown(row[key]) for key in keys), *cells])
    return [*keys, *numbers], body


def _by_training(methods: Sequence[str], paths: Sequence[Path]) -> dict[tuple[str, int], Path]:
    """The path of each method and split."""
    files: dict[tuple[str, int], Path] = {}
    for path in paths:
        method, folder, file = path.parts[-3:] if len(path.parts) > 2 else ("", "", "")
        match = re.fullmatch(r"split(\d+)", folder)
        if file != "scores.json" or not match:
            raise DataError(f"{path}: expected a path that ends in <method>/split<N>/scores.json")
        if method not in methods:
            raise DataError(f"{path}: of the method {method!r}, expected one of {', '.join(methods)}; name it, too")
        split = int(match[1])
        if (method, split) in files:
            raise DataError(f"{path}: a second file of {method}, split {split}; expected one: give each training once")
        files[method, split] = path
    splits = sorted({split for _, split in files})
    for method in methods:
        lacking = [str(split) for split in splits if (method, split) not in files]
        if lacking or not splits:
            raise DataError(
                f"{method}: no scores.json of split {', '.join(lacking) or '<N>'} is given; expected the same splits "
                f"of {', '.join(methods)}: evaluate it, or leave the method out"
            )
    return files


def _rank(path: Path, key: str, value: Any) -> Any:
    """Where a value stands among those of its key."""
    if key not in ORDER:
        return value
    if value not in ORDER[key]:
        raise DataError(f"{path}: {key} is {value!r}, expected {' or '.join(ORDER[key])}; evaluate the training again")
    return ORDER[key].index(value)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
