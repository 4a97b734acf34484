"""Where results lie: an experiment's own folder, and the trainings that experiments share.

    results/                                    the experiment called "default"
    results/experiments/<name>/                 any other, laid out the same
        <set>_summary.csv  <set>_trials.csv  <set>_differences.csv     tables
        figures/<set>_<figure>.{svg,png,csv}
        <set>/<method>/split<N>/                model.pt metrics.jsonl config.yaml (links), features.npz scores.json
        <study>.csv  figures/<study>.{svg,png}
        <set>/studies/<study>/<variant>/seed<n>/split<N>/    features.npz scores.json
        tracking/  logs/  benchmarks/  report.html  configuration.json
    results/trainings/<set>-<method>-split<N>-<digest>/   one training, whoever asked for it, and its work/

A training's digest is of all that decides its result, so that two experiments share those that are the same and none is
overwritten by another.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError
from msclnet.core.files import write_text

STUDIES = "studies"  # the folder of what studies score
DEFAULT = "default"  # the experiment whose results lie in results/ itself
TRAININGS = "results/trainings"
MODEL, METRICS, CONFIG, FEATURES, SCORES = "model.pt", "metrics.jsonl", "config.yaml", "features.npz", "scores.json"
CONFIGURATION = "configuration.json"  # of an experiment: the files that were laid over the default configuration
WORK = "work"  # of a training: what it is resumed from; not an output, which Snakemake deletes before a job


def experiment(files: Iterable[str | Path]) -> str:
    """The name of an experiment that has none: that of the files laid over the default configuration.

    ``mine.yaml`` is the experiment ``mine``. Without any file, and of ``config.yaml`` itself, it is ``default``.
    """
    names = [re.sub(r"[^A-Za-z0-9_-]+", "-", Path(file).stem).strip("-") for file in files]
    return "-".join(name for name in names if name not in ("", "config")) or DEFAULT


@dataclass(frozen=True)
class Layout:
    """The paths of one experiment, from the working directory, with forward slashes."""

    experiment: str

    @property
    def root(self) -> str:
        return "results" if self.experiment == DEFAULT else f"results/experiments/{self.experiment}"

    def note(self, files: Sequence[str]) -> None:
        """Notes by which files of configuration a run of this experiment is, as paths from the working directory."""
        write_text(Path(self.root, CONFIGURATION), json.dumps(list(files)) + "\n")

    def others(self, files: Sequence[str]) -> str:
        """What to say where the results here are by other files of the same names; empty where they are not.

        Args:
            files: as in ``note``, of a run to come.

        Returns:
            The words, which name both.
        """
        try:
            before = json.loads(Path(self.root, CONFIGURATION).read_bytes())
        except (OSError, ValueError):
            return ""  # there are none, or they do not say
        if not isinstance(before, list) or before == list(files):
            return ""
        old, new = (" ".join(map(str, by)) or "the default alone" for by in (before, files))
        return (
            f"{self.root}: its tables and figures are by {old}, and this run, by {new}, writes over them: the names "
            "are the same. To keep both, give one another: run.name"
        )

    def training(self, name: str, method: object, split: object) -> str:
        """The folder of a method on a split of the data set ``name``; both may be wildcards."""
        return f"{self.root}/{name}/{method}/split{split}"

    def table(self, name: str, kind: str) -> str:
        """A table of a data set: ``summary``, ``trials`` or ``differences``; ``name`` may be a pattern."""
        return f"{self.root}/{name}_{kind}.csv"

    def figure(self, name: str, figure: str, ending: str) -> str:
        return f"{self.root}/figures/{name}_{figure}.{ending}"

    def tracked(self, name: str) -> str:
        """The record of what the tracking server holds of a data set; ``name`` may be a pattern."""
        return f"{self.root}/tracking/{name}.json"

    @property
    def report(self) -> str:
        return f"{self.root}/report.html"

    @property
    def logs(self) -> str:
        return f"{self.root}/logs"


@dataclass(frozen=True)
class Place:
    """What a path of the form ``.../<method>/split<N>/<file>`` says."""

    method: str
    split: int

    @classmethod
    def of(cls, path: Path, file: str) -> Place:
        """Raises DataError when ``path`` is not of this form, or of another ``file``."""
        method, folder, name = path.parts[-3:] if len(path.parts) > 2 else ("", "", path.name)
        split = _number(folder, "split")
        if name != file or split is None or not method:
            raise DataError(f"{path}: expected a path that ends in <method>/split<N>/{file}")
        return cls(method, split)

    def siblings(self, path: Path) -> dict[int, Path]:
        """The same file of each split of the method, by split, ``path`` among them; those that exist."""
        found = {self.split: path}
        for other in path.absolute().parent.parent.glob(f"split*/{path.name}"):
            split = _number(other.parent.name, "split")
            if split is not None:
                found.setdefault(split, other)
        return found


@dataclass(frozen=True)
class StudyPlace:
    """What a path of the form ``.../studies/<study>/<variant>/seed<n>/split<N>/<file>`` says."""

    study: str
    variant: str
    seed: int
    split: int

    @classmethod
    def of(cls, path: Path, file: str) -> StudyPlace:
        """Raises DataError when ``path`` is not of this form, or of another ``file``."""
        parts = path.parts[-6:] if len(path.parts) > 5 else ("",) * 6
        folder, study, variant, seed, split, name = parts
        numbers = _number(seed, "seed"), _number(split, "split")
        if folder != STUDIES or name != file or None in numbers:
            raise DataError(f"{path}: expected a path that ends in {STUDIES}/<study>/<variant>/seed<n>/split<N>/{file}")
        return cls(study, variant, *(int(number or 0) for number in numbers))


def digest(values: Any) -> str:
    """A name of plain values, 10 hexadecimal digits: other values, another name."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def split_of(path: Path) -> int:
    """The split that the folder of ``path`` is named for; raises DataError when it is not called ``split<N>``."""
    folder = path.absolute().parent.name
    split = _number(folder, "split")
    if split is None:
        raise DataError(f"{path}: lies in a folder called {folder!r}, expected split<N>; move it, or name the split")
    return split


def home_of(folder: Path) -> Path:
    """Where the files of the training ``folder`` lie: there, or one above, where one network serves all splits.

    The untrained network is such a one: its split folders hold features and scores alone.
    """
    above = folder.absolute().parent
    shared = _number(folder.name, "split") is not None and (above / CONFIG).exists()
    return above if shared and not (folder / CONFIG).exists() else folder


def by_method(methods: Sequence[str], paths: Sequence[Path], file: str) -> list[tuple[Place, Path]]:
    """Each of ``paths``, which end in ``<method>/split<N>/<file>``, with its place.

    Raises DataError for a path of another form or of no method of ``methods``, and for a method without a path.
    """
    found = [(Place.of(path, file), path) for path in paths]
    for place, path in found:
        if place.method not in methods:
            raise DataError(
                f"{path}: of the method {place.method!r}, expected one of {', '.join(methods)}; name it, too"
            )
    given = {place.method for place, _ in found}
    if lacking := [method for method in methods if method not in given]:
        raise DataError(f"no {file} of {', '.join(lacking)} is given; give one, or leave the method out")
    return found


def _number(name: str, prefix: str) -> int | None:
    """N of a folder called ``<prefix>N``, None of another."""
    match = re.fullmatch(rf"{prefix}(\d+)", name)
    return int(match[1]) if match else None
