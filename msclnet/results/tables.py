"""From the scores of single trainings to the tables of a data set: trials, their summary, and methods' differences.

A trial is a split, which is a training of its own, or a gallery draw of one training: the data set says which. Reads
and writes text; imports neither torch nor MLflow.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from msclnet.config import UNTRAINED
from msclnet.core.errors import DataError, SpoiledError
from msclnet.core.files import write_text
from msclnet.datasets.dataset import Printed
from msclnet.datasets.table import SETS
from msclnet.results.layout import SCORES, by_method
from msclnet.results.paired import difference
from msclnet.results.scores import (
    COUNTS,
    FEATURES,
    HEADLINE,
    HEADLINES,
    HOW,
    METRICS,
    Row,
    compared,
    read_scores,
)

NO_SPREAD = "0.00"
NOT_PRINTED = Printed(source="nobody")


def trials(name: str, data: str, methods: Sequence[str], paths: Sequence[Path]) -> list[Row]:
    """A row for each method, feature, comparison (as the data set's columns tell them apart) and split or draw.

    ``paths`` end in ``<method>/split<N>/scores.json``; ``data`` is the real set's name or ``stand-in``. Percentages
    are as exact as in the files. Methods in the order given, then the headline feature ``bn`` first, then the settings
    in the protocol's order, then the trials by number; the order of ``paths`` does not matter.

    Raises DataError for a path that is missing, does not fit or comes twice, for a method without the splits that
    another has, and for a file that is not of this data set or of its folder's split.
    """
    files = _by_training(methods, paths)
    order = {"feature": FEATURES, **SETS.get(name).order}
    keys = (*compared(name), SETS.get(name).trial)
    rows: dict[tuple[object, ...], Row] = {}
    for (method, split), path in files.items():
        for scored in read_scores(name, split, path):
            place = (methods.index(method), *(_rank(order, path, key, scored[key]) for key in keys))
            if place in rows:
                what = ", ".join(f"{key} {scored[key]}" for key in keys)
                raise DataError(f"{path}: {method} has a second row of {what}; expected one: give each training once")
            percent = {metric: float(scored[metric]) for metric in METRICS}
            where, counts = ({key: scored[key] for key in group} for group in (keys, COUNTS))
            rows[place] = {"data": data, "method": method, **where, **percent, **counts}
    return [rows[place] for place in sorted(rows)]


def summary(name: str, rows: Sequence[Row]) -> list[Row]:
    """Mean, and sample standard deviation (n - 1; none of one trial), over the trials of each method and setting.

    ``paper_rank1`` and ``paper_mAP`` stand beside the ``bn`` rows alone, the feature that the paper reports, without
    re-ranking, and with flip averaging only where the printed numbers have it, too. They are None where nothing is in
    print.
    """
    data_set, keys = SETS.get(name), ("data", "method", *compared(name))
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    table = []
    for group, members in groups.items():
        line: Row = dict(zip(keys, group, strict=True))
        line["trials"] = len(members)
        for metric in METRICS:
            values = [row[metric] for row in members]
            line[metric] = statistics.fmean(values)
            if metric in HEADLINES:
                line[f"{metric}_std"] = statistics.stdev(values) if len(values) > 1 else None
        setting = tuple(line[key] for key in data_set.columns)  # whatever the protocol: print does not say it
        printed = data_set.printed.get((line["method"], setting), NOT_PRINTED)
        as_printed = line["feature"] == HEADLINE and line["rerank"] == "no" and (line["flip"] == "no" or printed.flip)
        line["paper_rank1"], line["paper_mAP"] = (printed.rank1, printed.mAP) if as_printed else (None, None)
        table.append(line)
    return table


def differences(rows: Sequence[Row]) -> list[Row]:
    """How far each two methods are apart over the same trials, by setting: the later one less the earlier.

    ``rows`` are those of ``trials``. The untrained network is left out where two others are. Of Rank-1, mAP and mINP
    the mean difference, and the ends of its 95 % interval (``paired.difference``; None of one trial). No two methods,
    no rows.
    """
    methods = list(dict.fromkeys(row["method"] for row in rows))
    chosen = [method for method in methods if method != UNTRAINED]
    chosen = methods if len(chosen) < 2 else chosen
    keys = [key for key in list(rows[0])[: list(rows[0]).index(METRICS[0])] if key not in ("method", "split", "draw")]
    groups: dict[tuple[Any, ...], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:  # in the order of the trials, the same for each method
        groups[tuple(row[key] for key in keys)][row["method"]].append(row)
    table = []
    for setting, of in groups.items():
        for earlier, later in combinations([method for method in chosen if method in of], 2):
            data, *where = setting
            line: Row = {"data": data, "method": later, "less": earlier, **dict(zip(keys[1:], where, strict=True))}
            line["pairs"] = len(of[later])
            for metric in HEADLINES:
                values, others = ([row[metric] for row in of[method]] for method in (later, earlier))
                apart = difference(values, others)
                line |= {f"{metric}_{part}": value for part, value in zip(("diff", "low", "high"), apart, strict=True)}
            table.append(line)
    return table


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """``rows``, of which each has the same keys, as CSV: percentages with two decimals, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([shown(value) for value in row.values()] for row in rows)
    write_text(path, text.getvalue())


def read_csv(path: Path, columns: Sequence[str], maker: str) -> list[dict[str, str]]:
    """The rows of a CSV that the script ``maker`` writes; DataError when it is absent or lacks one of ``columns``."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restval=""))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a table of {maker}: make it with {maker}") from None
    except (ValueError, csv.Error) as error:
        raise SpoiledError(f"{path}: no table ({error}); make it again with {maker}", path) from None
    if missing := [column for column in columns if not rows or column not in rows[0]]:
        raise SpoiledError(
            f"{path}: {len(rows)} rows without {', '.join(missing)}; expected the table {maker} writes", path
        )
    return rows


def readable(rows: Sequence[Row]) -> str:
    """``rows`` as a table for people: words to the left, numbers to the right, standard deviations headed ``+-``."""
    names = list(rows[0])
    heads = ["+-" if name.endswith("_std") else name for name in names]
    body = [[shown(row[name]) or "-" for name in names] for row in rows]
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

    Where all trials gave the same number there stands ``(equal)``: a deviation of 0.00 would promise an exactness that
    nothing has. ``table`` holds a summary's rows, or those of its CSV. The paper's numbers stand beside ours. Left out
    are the data and the feature, and of ``HOW`` what is as usual in every row.
    """
    columns = list(table[0])
    usual = [key for key in HOW if {row.get(key) for row in table} <= {"no", "standard"}]
    keys = [key for key in columns[: columns.index("trials") + 1] if key not in ("data", "feature", *usual)]
    numbers = [key for name in METRICS for key in (name, f"paper_{name}") if key in columns]
    body = []
    for row in table:
        means = [shown(row[n]) or "-" for n in numbers]
        spreads = [_spread(shown(row.get(f"{n}_std"))) for n in numbers]
        cells = [f"{mean} ({spread})" if spread else mean for mean, spread in zip(means, spreads, strict=True)]
        body.append([*(shown(row[key]) for key in keys), *cells])
    return [*keys, *numbers], body


def _spread(shown: str) -> str:
    return "equal" if shown == NO_SPREAD else shown


def _by_training(methods: Sequence[str], paths: Sequence[Path]) -> dict[tuple[str, int], Path]:
    """The path of each method and split."""
    files: dict[tuple[str, int], Path] = {}
    for place, path in by_method(methods, paths, SCORES):
        key = (place.method, place.split)
        if key in files:
            raise DataError(
                f"{path}: a second file of {place.method}, split {place.split}; expected one: give each training once"
            )
        files[key] = path
    splits = sorted({split for _, split in files})
    for method in methods:
        if lacking := [str(split) for split in splits if (method, split) not in files]:
            raise DataError(
                f"{method}: no {SCORES} of split {', '.join(lacking)} is given; expected the same splits of "
                f"{', '.join(methods)}: evaluate it, or leave the method out"
            )
    return files


def _rank(order: Mapping[str, Sequence[str]], path: Path, key: str, value: Any) -> Any:
    """Where a value stands among those of its key."""
    if key not in order:
        return value
    if value not in order[key]:
        raise DataError(f"{path}: {key} is {value!r}, expected {' or '.join(order[key])}; evaluate the training again")
    return order[key].index(value)


def shown(value: object) -> str:
    """A cell of a table: percentages with two decimals, None as nothing."""
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
