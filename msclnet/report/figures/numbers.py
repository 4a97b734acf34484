"""What figures are drawn from, the features of each method, and the CSV beside each. Without matplotlib."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from msclnet.core.errors import DataError
from msclnet.core.files import atomic_write
from msclnet.core.types import Features
from msclnet.evaluation.feature_file import load_split
from msclnet.results.layout import FEATURES, by_method


def features_by_method(methods: Sequence[str], paths: Sequence[Path]) -> dict[str, Features]:
    """The features of one split by each method, in the order of ``methods``; all of the same images.

    Raises DataError for an unusable file, a second one of a method, and for other images than the first file's.
    """
    found: dict[str, Features] = {}
    for place, path in by_method(methods, paths, FEATURES):
        if place.method in found:
            raise DataError(f"{path}: a second file of {place.method}; expected the features of one split")
        found[place.method] = load_split(path, place.split)
        if not np.array_equal(found[place.method].paths, next(iter(found.values())).paths):
            raise DataError(f"{path}: features of other images than {paths[0]}; expected those of the same split")
    return {method: found[method] for method in methods}


def write_numbers(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """CSV; floats with six significant digits."""
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows)


def distinct(rows: Iterable[Mapping[str, str]], key: str) -> list[str]:
    """The values of a column, each once, in their order."""
    return list(dict.fromkeys(row[key] for row in rows))
