"""Where results lie: an experiment's own folder, and the trainings that experiments share.

    results/                                    the experiment called "default"
    results/experiments/<name>/                 any other, laid out the same
        <set>_summary.csv  <set>_trials.csv     tables
        figures/<set>_<figure>.{svg,png,csv}
        <set>/<method>/split<N>/                model.pt metrics.jsonl config.yaml (links), features.npz scores.json
        <set>/studies/<variant>/seed<n>/split<N>/
        tracking/  logs/  benchmarks/  report.html
    results/trainings/<set>-<method>-split<N>-<digest>/   one training, whoever asked for it, and its work/

A training's digest is of all that decides its result, so that two experiments share those that are the same and none is
overwritten by another.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError

DEFAULT = "default"  # the experiment whose results lie in results/ itself
TRAININGS = "results/trainings"
MODEL, METRICS, CONFIG, FEATURES, SCORES = "model.pt", "metrics.jsonl", "config.yaml", "features.npz", "scores.json"
WORK = "work"  # of a training: what it is resumed from; not an output, which Snakemake deletes before a job


@dataclass(frozen=True)
class Layout:
    """The paths of one experiment, from the working directory, with forward slashes."""

    experiment: str

    @property
    def root(self) -> str:
        return "results" if self.experiment == DEFAULT else f"results/experiments/{self.experiment}"

    def training(self, name: str, method: object, split: object) -> str:
        """The folder of a method on a split of the data set ``name``; both may be wildcards."""
        return f"{self.root}/{name}/{method}/split{split}"

    def table(self, name: str, kind: str) -> str:
        """A table of a data set: ``summary`` or ``trials``."""
        return f"{self.root}/{name}_{kind}.csv"

    def figure(self, name: str, figure: str, ending: str) -> str:
        return f"{self.root}/figures/{name}_{figure}.{ending}"


@dataclass(frozen=True)
class Place:
    """What a path of the form ``.../<method>/split<N>/<file>`` says."""

    method: str
    split: int

    @classmethod
    def of(cls, path: Path, file: str) -> Place:
        """Raises DataError when ``path`` is not of this form, or of another ``file``."""
        method, folder, name = path.parts[-3:] if len(path.parts) > 2 else ("", "", path.name)
        match = re.fullmatch(r"split(\d+)", folder)
        if name != file or not match or not method:
            raise DataError(f"{path}: expected a path that ends in <method>/split<N>/{file}")
        return cls(method, int(match[1]))


def digest(values: Any) -> str:
    """A name of plain values, 10 hexadecimal digits: other values, another name."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def split_of(path: Path) -> int:
    """The split that the folder of ``path`` is named for; raises DataError when it is not called ``split<N>``."""
    folder = path.absolute().parent.name
    if match := re.fullmatch(r"split(\d+)", folder):
        return int(match[1])
    raise DataError(f"{path}: lies in a folder called {folder!r}, expected split<N>; move it, or name the split")
