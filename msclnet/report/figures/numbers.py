"""What figures are drawn from, files of trainings by method, and the CSV beside each. Without matplotlib."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from msclnet.core.errors import DataError
from msclnet.core.types import Features
from msclnet.evaluation.feature_file import load_split
from msclnet.results.layout import split_of


def by_method(methods: Sequence[str], paths: Sequence[Path], file: str) -> Iterable[tuple[str, Path]]:
    """Each path with its method; DataError for one of no method, and for a method without one."""
    found = [(path.parts[-3] if len(path.parts) > 2 else "", path) for path in paths]
    for method, path in found:
        if method not in methods or path.name != file or not re.fullmatch(r"split\d+", path.parts[-2]):
            raise DataError(f"{path}: expected .../<method>/split<N>/{file}, with a method of {', '.join(methods)}")
    if lacking := [method for method in methods if method not in {method for method, _ in found}]:
        raise DataError(f"no {file} of {', '.join(lacking)} is given; give one, or leave the method out")
    return found


def features_by_method(methods: Sequence[str], paths: Sequence[Path]) -> dict[str, Features]:
    """The features of one split by each method, in the order of ``methods``; all of the same images.

    Raises DataError for an unusable file, a second one of a method, and for other images than the first file's.
    """
    found: dict[str, Features] = {}
    for method, path in by_method(methods, paths, "features.npz"):
        if method in found:
            raise DataError(f"{path}: a second file of {method}; expected the features of one split")
        found[method] = load_split(path, split_of(path))
        if not np.array_equal(found[method].paths, next(iter(found.values())).paths):
            raise DataError(f"{path}: features of other images than {paths[0]}; expected those of the same split")
    return {method: found[method] for method in methods}


def read_numbers(path: Path, columns: Sequence[str], maker: str) -> list[dict[str, str]]:
    """The rows of a CSV that the script ``maker`` writes; DataError when it is absent or lacks a column."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a table of {maker}: make it with {maker}") from None
    if missing := [column for column in columns if not rows or column not in rows[0]]:
        raise DataError(f"{path}: {len(rows)} rows without {', '.join(missing)}; expected the table {maker} writes")
    return rows


def write_numbers(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """CSV; floats with six significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows)


def distinct(rows: Iterable[Mapping[str, str]], key: str) -> list[str]:
    """The values of a column, each once, in their order."""
    return list(dict.fromkeys(row[key] for row in rows))
