"""One training as its files tell it: its configuration and its record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msclnet.config import TrainJob, build, plain, read_yaml, replace
from msclnet.results.layout import CONFIG, METRICS, WORK, home_of, split_of
from msclnet.results.record import Line, read_record


@dataclass(frozen=True)
class Training:
    """What lies in the folder of a training, of which another part may still be written."""

    folder: Path
    job: TrainJob
    lines: tuple[Line, ...]  # of metrics.jsonl
    configuration: str  # the text of config.yaml

    @property
    def name(self) -> str:
        return f"{self.job.method_name} split {self.job.split}"

    @property
    def digest(self) -> str:
        """Of the configuration: another one is another training."""
        return _digest(plain(self.job))

    @property
    def method_digest(self) -> str:
        """Of what the trainings of a method share: all of the configuration but the split."""
        return _digest({key: value for key, value in plain(self.job).items() if key != "split"})

    @property
    def start(self) -> Line:
        return next(line for line in self.lines if line["kind"] == "start")

    @property
    def began(self) -> int:
        """When it was started first, in milliseconds."""
        return milliseconds(self.start)

    @property
    def ended(self) -> int | None:
        """When it ended, in milliseconds, or None while it runs."""
        return milliseconds(self.lines[-1]) if self.lines[-1]["kind"] == "end" else None

    @property
    def validated(self) -> Line | None:
        """The validation of the epoch whose weights were kept; None where there was none, or while it runs."""
        kept = self.lines[-1].get("kept_epoch")
        return next((line for line in self.lines if (line["kind"], line.get("epoch")) == ("validation", kept)), None)


def read_training(folder: Path) -> Training:
    """The training whose files lie in ``folder``; while it runs its record is ``work/metrics.jsonl``.

    Raises DataError or ConfigError naming the file, the line and what was expected.
    """
    home = home_of(folder)
    path = str(home / CONFIG)
    job = build(TrainJob, read_yaml(path), path)
    if home != folder:
        job = replace(job, split=split_of(folder / CONFIG))
    working = home / WORK / METRICS
    lines = read_record(working if working.exists() else home / METRICS)
    return Training(folder, job, lines, (home / CONFIG).read_text())


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def milliseconds(line: Line) -> int:
    """When a line was written, as the tracking server counts: Unix time."""
    return int(line["time"] * 1000)
