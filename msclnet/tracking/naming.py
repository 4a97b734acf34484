"""What a training's files are called on the tracking server: metrics, parameters, tags."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msclnet.config import TrainJob, plain
from msclnet.core.files import sha256
from msclnet.datasets.table import SETS
from msclnet.results.scores import HEADLINES, METRICS, Row, headline
from msclnet.results.training import Training, milliseconds

CURVES = {  # the first part of a metric's name, by kind of line
    "step": "train",
    "measure": "measure",
    "gradient": "gradient",
    "cosine": "cosine",
    "epoch": "epoch",
    "system": "system",
    "validation": "validation",
}
MEASURED = ("epoch/seconds", "epoch/images_per_second", "system/")  # of the machine: other values in a repeated epoch
DECIMALS = 4  # of a mean over trainings: the pages show every digit that they are sent
AVERAGED = (CURVES["epoch"], CURVES["validation"])  # of a method's trainings
FIRST = (  # of the parameters, as the pages list them
    "method_name", "method.losses.", "method.", "epochs", "train.rate", "train.identities", "train.images",
    "model.backbone", "seed", "split", "objective.", "model.", "train.",
)  # fmt: skip
LOCK_FILE = Path(__file__).parents[2] / "requirements.lock"


class Measurement(NamedTuple):
    """A metric's value at one step."""

    value: float
    time: int  # Unix time in milliseconds


Curves = dict[str, dict[int, Measurement]]  # by metric, then step


def curves(training: Training) -> Curves:
    """``train/<term>`` and ``train/rate`` of steps, ``epoch/<term>`` of means, ``system/<what>`` of use by epoch.

    ``measure/<what>``, ``gradient/<term>`` and ``cosine/<term>``, which ``MetricsLog`` explains;
    ``validation/<metric>`` of the epochs that were validated. Of a repeated step the last.
    """
    found: Curves = {}
    for line in training.lines:
        if prefix := CURVES.get(line["kind"]):
            for name in line.keys() - {"kind", "time", "step", "epoch"}:
                found.setdefault(f"{prefix}/{name}", {})[line["step"]] = Measurement(line[name], milliseconds(line))
    return found


def mean_curves(trainings: Sequence[Training]) -> Curves:
    """The means over a method's trainings of their curves by epoch, at the steps that all have. No machine's speed.

    So all methods are drawn in one chart, a line each. Their time is the last training's.
    """
    each = [curves(training) for training in trainings]
    found: Curves = {}
    for name in each[0]:
        if name.split("/")[0] not in AVERAGED or name.startswith(MEASURED) or not all(name in one for one in each):
            continue
        steps = set.intersection(*(set(one[name]) for one in each))
        for step in sorted(steps):
            points = [one[name][step] for one in each]
            mean = statistics.fmean(point.value for point in points)
            found.setdefault(name, {})[step] = Measurement(round(mean, DECIMALS), max(point.time for point in points))
    return found


def metrics(name: str, rows: Sequence[Row]) -> dict[str, list[float]]:
    """Percent by ``<comparison>/<feature>/<metric>`` of a training's scores: one value a trial.

    The headline comes first, where its comparisons were scored: their mean of each trial.
    """
    data_set = SETS.get(name)
    scores: dict[str, list[float]] = {}
    for row in rows:
        for metric in METRICS:
            key = f"{_how(row)}{data_set.key(row)}/{row['feature']}/{metric}"
            scores.setdefault(key, []).append(float(row[metric]))
    compared = headline(name, rows)
    first = {}
    if all(compared):
        for metric in HEADLINES:
            parts = [[float(row[metric]) for row in trials] for trials in compared]
            first[metric] = [statistics.fmean(trial) for trial in zip(*parts, strict=True)]
    return first | scores


def parameters(job: TrainJob) -> dict[str, str]:
    """The configuration with dotted keys, those that matter most first, for the pages keep the order."""
    flat = _flat(plain(job))
    ranked = [key for first in FIRST for key in flat if key == first or (first.endswith(".") and key.startswith(first))]
    return {key: flat[key] for key in dict.fromkeys((*ranked, *flat))}


def facts(training: Training) -> dict[str, str]:
    """Tags: where the numbers come from."""
    start = training.start
    facts = {
        "data": training.job.data,
        "hardware": f"{start.get('hardware', '')}, {start.get('processes', 1)} process(es)",
        "torch": start.get("torch", ""),
        "mlflow.source.name": "workflow/scripts/train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": start.get("git", ""),
        "lock": sha256(LOCK_FILE) if LOCK_FILE.is_file() else "",
    }
    return {key: value for key, value in facts.items() if value}


def _how(row: Row) -> str:
    """How, as a metric's name begins: nothing for the usual way."""
    words = [word for word in ("flip", "rerank") if row[word] == "yes"]
    return "".join(f"{word}/" for word in (*words, *(["official"] if row["protocol"] == "official" else [])))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys joined by dots."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat
