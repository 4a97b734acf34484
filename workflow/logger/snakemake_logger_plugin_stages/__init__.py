"""What `make run` shows of a run: its stages, what runs now, the time left, and each method's score once it exists.

PYTHONPATH=workflow/logger snakemake --logger stages ...

On a terminal the last line says what runs; elsewhere, as in CI, there are plain lines only. Snakemake's own log, with
every job, is in the file that the last line names. A dry run is shown as Snakemake shows it.
"""

from __future__ import annotations

import logging
import os
import shutil
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from msclnet.core.errors import UserError
from msclnet.results.scores import headline, read_scores

STAGES = {  # as in README's six boxes: the rules of each, and of the last all others
    "check": ("stand_in", "check_data"),
    "pack": ("pack",),
    "train": ("train", "collect", "collect_untrained"),
    "embed": ("features",),
    "score": ("evaluate", "aggregate"),
    "report": (),
}
UNTRAINED = "-untrained-"  # in the folder of a training that takes no step
# Seconds of a job of the default run on two cores, until one of its rule has ended here. Only their ratios count.
TYPICAL = {"train": 50.0, "stand_in": 15.0, "register": 12.0, "track": 12.0, "features": 5.0, "untrained": 5.0}
USUAL = 3.0  # of every other rule
PLAIN_EVERY = 60.0  # seconds between two lines on what runs, where there is no terminal
FAILED_LINES = 20  # shown of a failed job's log
PASSED_ON = (
    "Nothing to be done",
    "Complete log(s):",
    "Trying to restart",
    "Shutting down",
    "Will exit after",
    "Unlock",
)


def stage_of(rule: str) -> str:
    return next((stage for stage, rules in STAGES.items() if rule.startswith(rules) and rules), "report")


def kind_of(rule: str, wildcards: Mapping[str, str]) -> str:
    """What takes about the same time: a rule, but trainings without a step apart."""
    return "untrained" if rule == "train" and UNTRAINED in wildcards.get("folder", "") else rule


def label(rule: str, wildcards: Mapping[str, str]) -> str:
    """A job in a few words: ``train regdb-msclnet-split3``."""
    words = [value for value in map(str, wildcards.values()) if value]
    if "folder" in wildcards:  # its last word is a digest
        words = [wildcards["folder"].rpartition("-")[0]]
    name, _, own = rule.partition("_")
    start = name if name == "evaluate" and own else rule.replace("_", " ")
    return " ".join([start, *([own] if start != rule.replace("_", " ") else []), *words])


def score_of(name: str, paths: Sequence[str]) -> str:
    """``Rank-1 13.00, mAP 15.83`` of the trainings whose scores.json these are; the headline, as the tables have it."""
    means: dict[str, list[float]] = {"rank1": [], "mAP": []}
    for path in paths:
        split = int(Path(path).parent.name.removeprefix("split"))
        rows = [row for rows in headline(name, read_scores(name, split, Path(path))) for row in rows]
        for metric, values in means.items():
            values.append(statistics.fmean(float(row[metric]) for row in rows))
    splits = f", mean of {len(paths)} splits" if len(paths) > 1 else ""
    return f"Rank-1 {statistics.fmean(means['rank1']):.2f}, mAP {statistics.fmean(means['mAP']):.2f}{splits}"


def duration(seconds: float) -> str:
    """``40 s``, ``7 min``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


@dataclass
class Job:
    rule: str
    kind: str
    label: str
    output: list[str]
    log: list[str]
    wildcards: dict[str, str]
    started: float


@dataclass
class Run:
    """What is planned, what runs and what is done."""

    clock: Callable[[], float] = time.monotonic
    planned: Counter[str] = field(default_factory=Counter)  # jobs by rule
    running: dict[int, Job] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # seconds by kind
    done: Counter[str] = field(default_factory=Counter)  # jobs by rule
    started: float = 0.0

    def left(self) -> float:
        """Seconds until all is done: what each job still takes, by those of its kind, over how many run at a time."""
        known = [(sum(took), TYPICAL.get(kind, USUAL) * len(took)) for kind, took in self.took.items()]
        scale = sum(a for a, _ in known) / sum(b for _, b in known) if known else 1.0

        def expected(kind: str) -> float:
            took = self.took.get(kind)
            return statistics.fmean(took) if took else TYPICAL.get(kind, USUAL) * scale

        now = self.clock()
        begun = Counter(job.rule for job in self.running.values()) + self.done
        waiting = sum((self.planned - begun)[rule] * expected(rule) for rule in self.planned)
        open_ = sum(max(expected(job.kind) - (now - job.started), 1.0) for job in self.running.values())
        busy = sum(map(sum, self.took.values())) + sum(now - job.started for job in self.running.values())
        at_a_time = max(1.0, busy / max(now - self.started, 1e-3))
        return (waiting + open_) / at_a_time

    def stage(self, stage: str) -> tuple[int, int]:
        """Jobs done and planned of a stage."""
        rules = [rule for rule in self.planned if stage_of(rule) == stage]
        return sum(self.done[rule] for rule in rules), sum(self.planned[rule] for rule in rules)


class LogHandler(LogHandlerBase):
    """Turns Snakemake's events into few lines. ``stream`` and ``run`` are for tests."""

    stream: TextIO
    run: Run

    def __post_init__(self) -> None:
        self.stream = sys.stderr
        self.run = Run()
        self.live = self.stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")
        self.begun: set[str] = set()  # stages
        self.ended: set[str] = set()
        self.told = 0.0  # when the last plain line on what runs was written
        self.pen = threading.RLock()
        self.stopped = threading.Event()
        settings = self.common_settings
        self.usual: ColorizingTextHandler | None = None
        if settings.dryrun:
            self.usual = ColorizingTextHandler(settings.nocolor, self.stream, DefaultFormatter(settings.quiet))
            self.usual.addFilter(DefaultFilter(settings.quiet, settings.debug_dag, settings.verbose, True, False))
        else:
            threading.Thread(target=self._tick, daemon=True).start()

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return True

    @property
    def has_formatter(self) -> bool:
        return True

    @property
    def needs_rulegraph(self) -> bool:
        return False

    def emit(self, record: logging.LogRecord) -> None:
        if self.usual:
            self.usual.handle(record)
            return
        try:
            with self.pen:
                self._take(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self.stopped.set()
        with self.pen:
            self._wipe()
        super().close()

    def _take(self, record: logging.LogRecord) -> None:
        said: dict[str, Any] = record.__dict__
        match said.get("event"):
            case LogEvent.RUN_INFO:
                self._plan({rule: count for rule, count in said["stats"].items() if rule not in ("total", "all")})
            case LogEvent.JOB_INFO:
                self._begin(said)
            case LogEvent.JOB_FINISHED:
                self._end(said["job_id"])
            case LogEvent.JOB_ERROR:
                self._fail(said)
            case LogEvent.ERROR:
                self._line(record.getMessage())
            case None if record.levelno >= logging.WARNING or str(record.msg).startswith(PASSED_ON):
                self._line(str(record.msg).replace("Complete log(s):", "Full log:"))
            case LogEvent.GROUP_ERROR:
                self._line(DefaultFormatter().format(record))

    def _plan(self, jobs: Mapping[str, int]) -> None:
        if self.run.planned:  # Snakemake says it again when it has planned anew
            return
        self.run.planned.update(jobs)
        self.run.started = self.told = self.run.clock()
        counts = ", ".join(f"{stage} {n}" for stage in STAGES if (n := self.run.stage(stage)[1]))
        self._line(f"{sum(jobs.values())} jobs: {counts}")

    def _begin(self, said: Mapping[str, Any]) -> None:
        rule, wildcards = said["rule_name"], {key: str(value) for key, value in dict(said["wildcards"]).items()}
        if rule not in self.run.planned:  # `all`, which does nothing
            return
        kind, words = kind_of(rule, wildcards), label(rule, wildcards)
        job = Job(rule, kind, words, said["output"], said["log"], wildcards, self.run.clock())
        self.run.running[said["jobid"]] = job
        stage = stage_of(rule)
        if stage not in self.begun:
            self.begun.add(stage)
            planned = self.run.stage(stage)[1]
            self._line(f"{self._clock()}  {stage}: {planned} job{'s' * (planned != 1)}")
        self._show()

    def _end(self, number: int) -> None:
        job = self.run.running.pop(number, None)
        if job is None:
            return
        self.run.took[job.kind].append(self.run.clock() - job.started)
        self.run.done[job.rule] += 1
        if job.rule.startswith("evaluate_"):
            name = job.rule.removeprefix("evaluate_")
            try:
                score = score_of(name, job.output)
            except UserError as error:
                score = str(error)
            self._line(f"{self._clock()}  score: {name} {job.wildcards.get('method', '')}: {score}")
        stage = stage_of(job.rule)
        done, planned = self.run.stage(stage)
        if done == planned and stage not in self.ended:
            self.ended.add(stage)
            self._line(f"{self._clock()}  {stage}: done")
        self._show()

    def _fail(self, said: Mapping[str, Any]) -> None:
        job = self.run.running.pop(said["jobid"], None)
        self._line(f"{self._clock()}  FAILED: {job.label if job else said['rule_name']}")
        for path in said["log"]:
            self._line(f"  its log, {path}, ends with:")
            try:
                lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError as error:
                lines = [str(error)]
            for line in lines[-FAILED_LINES:]:
                self._line(f"    {line}")

    def _clock(self) -> str:
        seconds = int(self.run.clock() - self.run.started)
        return f"{seconds // 60:3}:{seconds % 60:02}"

    def _state(self) -> str:
        done, all_ = self.run.done.total(), self.run.planned.total()
        names = [job.label for job in self.run.running.values()]
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        left = f"about {duration(self.run.left())} left" if done < all_ else "nearly done"
        return f"{self._clock()}  {done} of {all_} jobs, {left}; now: {', '.join(names[:2]) or 'nothing'}{more}"

    def _show(self) -> None:
        """What runs now: over the last line on a terminal, else as a line of its own now and then."""
        if not self.run.planned:
            return
        if self.live:
            width = shutil.get_terminal_size().columns
            self.stream.write(f"\r\x1b[K{self._state()[: width - 1]}")
            self.stream.flush()
        elif self.run.running and self.run.clock() - self.told >= PLAIN_EVERY:
            self.told = self.run.clock()
            self._line(self._state())

    def _tick(self) -> None:
        """Shows what runs while nothing begins or ends: a training may take hours."""
        while not self.stopped.wait(1.0):
            with self.pen:
                if self.run.running:
                    self._show()

    def _line(self, text: str) -> None:
        self._wipe()
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def _wipe(self) -> None:
        if self.live:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
