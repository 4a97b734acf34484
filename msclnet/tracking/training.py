"""A training, and its scores, as its files tell them."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from msclnet.config import UNTRAINED, SetName, TrainJob, build, plain, read_yaml
from msclnet.core.errors import DataError
from msclnet.core.files import sha256
from msclnet.results.tables import METRICS

# The settings whose mean is a run's rank1, mAP and mINP, as in the studies.
HEADLINE: dict[SetName, tuple[str, ...]] = {
    "regdb": ("visible-to-infrared", "infrared-to-visible"),
    "sysu": ("all/single-shot",),
    "llcm": ("visible-to-infrared", "infrared-to-visible"),
}
FEATURE = "bn"  # of the headline
CURVES = {"step": "train", "epoch": "epoch", "system": "system"}  # the first part of a metric's name, by kind of line
FIRST = (  # of the parameters, as the pages list them
    "method_name", "method.losses.", "method.", "epochs", "train.rate", "train.identities", "train.images",
    "model.backbone", "seed", "split", "objective.", "model.", "train.",
)  # fmt: skip
LOCK_FILE = Path(__file__).parents[2] / "requirements.lock"


class Point(NamedTuple):
    value: float
    time: int  # Unix time in milliseconds


Points = dict[str, dict[int, Point]]  # by metric, then step


@dataclass(frozen=True)
class Training:
    """One training as its files tell it."""

    job: TrainJob
    lines: tuple[dict[str, Any], ...]  # of metrics.jsonl

    @property
    def name(self) -> str:
        return f"{self.job.method_name} split {self.job.split}"

    @property
    def digest(self) -> str:
        """Of the configuration: another one is another training."""
        return hashlib.sha256(json.dumps(plain(self.job), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def start(self) -> dict[str, Any]:
        return next(line for line in self.lines if line["kind"] == "start")

    @property
    def began(self) -> int:
        """When it was started first, in milliseconds."""
        return milliseconds(self.start)

    @property
    def ended(self) -> int | None:
        """When it ended, in milliseconds, or None while it runs."""
        return milliseconds(self.lines[-1]) if self.lines[-1]["kind"] == "end" else None

    def points(self) -> Points:
        """``train/<term>`` and ``train/rate`` of steps, ``epoch/<term>`` of means, ``system/<what>`` of use by epoch.

        Of a repeated step the last.
        """
        points: Points = {}
        for line in self.lines:
            if prefix := CURVES.get(line["kind"]):
                for name in line.keys() - {"kind", "time", "step", "epoch"}:
                    points.setdefault(f"{prefix}/{name}", {})[line["step"]] = Point(line[name], milliseconds(line))
        return points


def read_training(folder: Path) -> Training:
    """The training whose files lie in ``folder``; while it runs its record is ``work/metrics.jsonl``.

    The untrained network is one for all splits and lies a folder above. Raises DataError or ConfigError naming the
    file, the line and what was expected. A last line without its end is one just being written, and left out.
    """
    home = _home(folder)
    job = build(TrainJob, read_yaml(str(home / "config.yaml")), str(home / "config.yaml"))
    if home != folder:
        job = replace(job, split=int(folder.name.removeprefix("split")))
    working = home / "work/metrics.jsonl"
    path = working if working.exists() else home / "metrics.jsonl"
    try:
        written = path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the record of a training: train it first") from None
    lines = []
    for number, text in enumerate(written, start=1):
        try:
            line = json.loads(text)
            known = line["kind"] in ("start", *CURVES, "end") and line["time"] > 0
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise DataError(f"{path}, line {number}: {text[:60]!r}; expected JSON with kind and time: train it again")
        lines.append(line)
    if not any(line["kind"] == "start" for line in lines):
        raise DataError(f"{path}: {len(lines)} lines, none of kind start; expected one: train it again")
    return Training(job, tuple(lines))


def read_scores(name: SetName, path: Path) -> dict[str, list[float]]:
    """Percent by ``<setting>/<feature>/<metric>``: one value of a RegDB split, one a draw of SYSU-MM01.

    The headline comes first, where its settings were scored.
    """
    scores: dict[str, list[float]] = {}
    try:
        rows = json.loads(path.read_text())["rows"]
        for row in rows:
            for metric in METRICS:
                key = f"{_how(row)}{_setting(name, row)}/{row['feature']}/{metric}"
                scores.setdefault(key, []).append(float(row[metric]))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the scores of a training: evaluate it first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the scores of {name} ({error!r}); evaluate the training again") from None
    headline = {}
    for metric in ("rank1", "mAP", "mINP"):
        parts = [scores.get(f"{_how(rows[0])}{setting}/{FEATURE}/{metric}", []) for setting in HEADLINE[name]]
        if all(parts):
            headline[metric] = [statistics.fmean(trial) for trial in zip(*parts, strict=True)]
    return headline | scores


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


def yaml_of(folder: Path) -> str:
    return (_home(folder) / "config.yaml").read_text()


def _setting(name: SetName, row: dict[str, Any]) -> str:
    """What a row of scores.json compares."""
    if name == "sysu":
        return f"{row['mode']}/{'single' if row['shots'] == 1 else 'multi'}-shot"
    return row["direction"]


def _how(row: dict[str, Any]) -> str:
    """How, as a metric's name begins: nothing for the usual way."""
    words = [word for word in ("flip", "rerank") if row[word] == "yes"]
    return "".join(f"{word}/" for word in (*words, *(["official"] if row["protocol"] == "official" else [])))


def _home(folder: Path) -> Path:
    """Where a training's files lie: in its folder; the untrained network's, one for all splits, in the folder above."""
    above = folder.absolute().parent
    shared = above.name == UNTRAINED and re.fullmatch(r"split\d+", folder.name)
    return above if shared and not (folder / "config.yaml").exists() else folder


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys joined by dots."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat


def milliseconds(line: dict[str, Any]) -> int:
    return int(line["time"] * 1000)
