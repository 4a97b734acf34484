"""What a person sees of a run: few lines, the time left, scores; on a terminal one line that is redrawn."""

from __future__ import annotations

import importlib
import io
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings

from tests.conftest import ROOT
from tests.results.files import DIRECTIONS, scored

FOLDER = ROOT / "workflow/logger"
COMMAND = "x" * 2503


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("snakemake_logger_plugin_stages")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Played:
    """A run told to the handler event by event, by a clock of its own."""

    def __init__(self, stages: ModuleType, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        self.stream, self.now = stream, 0.0
        self.handler = stages.LogHandler(MockOutputSettings(), None)
        self.handler.stopped.set()  # no thread that redraws: the clock is the test's
        self.handler.run.clock = lambda: self.now
        self.handler.handleError = self.fail

    def fail(self, record: logging.LogRecord) -> None:
        raise  # what emit caught

    def say(self, event: LogEvent | None, message: str = "", level: int = logging.INFO, **said: Any) -> None:
        record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
        record.__dict__.update(said, event=event)
        self.handler.emit(record)

    def begin(self, number: int, rule: str, output: tuple[str, ...] = (), **wildcards: str) -> None:
        self.say(
            LogEvent.JOB_INFO,
            jobid=number,
            rule_name=rule,
            wildcards=wildcards,
            output=list(output),
            log=[],
            reason="Missing output files",
        )
        self.say(LogEvent.SHELLCMD, COMMAND, cmd=COMMAND)

    def end(self, number: int, after: float) -> None:
        self.now += after
        self.say(LogEvent.JOB_FINISHED, f"Finished jobid: {number}", job_id=number)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def plain(stages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(stages, monkeypatch, io.StringIO())


def test_a_run_is_a_dozen_plain_lines(plain: Played, tmp_path: Path) -> None:
    folders = [tmp_path / f"results/regdb/msclnet/split{split}" for split in (1, 2)]
    for folder, rank1 in zip(folders, (12.0, 16.0), strict=True):
        scored("regdb", folder, [rank1], DIRECTIONS)
    paths = tuple(str(folder / "scores.json") for folder in folders)
    plain.say(None, "Building DAG of jobs...")
    plain.say(LogEvent.RUN_INFO, "Job stats", stats={"train": 2, "evaluate_regdb": 1, "all": 1, "total": 4})
    plain.begin(1, "train", folder="regdb-msclnet-split1-0123456789")
    plain.begin(2, "train", folder="regdb-msclnet-split2-0123456789")
    plain.end(1, 40)
    plain.end(2, 0)
    plain.begin(3, "evaluate_regdb", paths, method="msclnet")
    plain.end(3, 5)
    plain.begin(0, "all")
    plain.end(0, 0)
    plain.say(None, "Complete log(s): /x/.snakemake/log/1.log")
    assert plain.lines == [
        "3 jobs: train 2, score 1",
        "  0:00  train: 2 jobs",
        "  0:40  train: done",
        "  0:40  score: 1 job",
        "  0:45  score: regdb msclnet: Rank-1 14.00, mAP 50.00, mean of 2 splits",
        "  0:45  score: done",
        "Full log: /x/.snakemake/log/1.log",
    ]


def test_a_terminal_has_one_line_that_says_what_runs_and_what_is_left(
    stages: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = Played(stages, monkeypatch, Terminal())
    played.say(LogEvent.RUN_INFO, "Job stats", stats={"train": 4, "total": 4})
    for number in (1, 2):
        played.begin(number, "train", folder=f"regdb-agw-split{number}-0123456789")
    played.end(1, 60)
    played.end(2, 0)
    played.begin(3, "train", folder="regdb-agw-split3-0123456789")
    shown = played.stream.getvalue().split("\r\x1b[K")[-1]
    # Two trainings of a minute each to go, two at a time.
    assert shown == "  1:00  2 of 4 jobs, about 1 min left; now: train regdb-agw-split3"
    played.handler.close()
    assert played.stream.getvalue().endswith("\r\x1b[K")


def test_in_ci_a_terminal_has_plain_lines_too(stages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("CI", "true")
    assert not stages.LogHandler(MockOutputSettings(), None).live


def test_the_time_left_is_of_the_whole(stages: ModuleType) -> None:
    run = stages.Run(clock=lambda: 100.0)
    run.planned.update(train=10, features=10)
    run.done.update(train=4)
    run.took["train"] = [50.0, 50.0, 50.0, 50.0]  # two at a time in 100 seconds
    assert run.left() == pytest.approx((6 * 50 + 10 * 5) / 2)
    run.took["features"] = [10.0]  # what was measured goes before what is typical
    run.done.update(features=1)
    run.started = -5.0
    assert run.left() == pytest.approx((6 * 50 + 9 * 10) / 2)


def test_a_failure_shows_the_end_of_its_log_and_not_its_command(plain: Played, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)) + "error: the pack is damaged\n")
    plain.say(LogEvent.RUN_INFO, stats={"train": 1, "total": 1})
    plain.begin(1, "train", folder="regdb-agw-split1-0123456789")
    plain.say(
        LogEvent.JOB_ERROR,
        "Error in rule train",
        logging.ERROR,
        jobid=1,
        rule_name="train",
        log=[str(log)],
        shellcmd=COMMAND,
    )
    text = plain.stream.getvalue()
    assert "FAILED: train regdb-agw-split1" in text
    assert str(log) in text
    assert "error: the pack is damaged" in text
    assert "line 79\n" not in text
    assert COMMAND not in text


def test_warnings_and_errors_are_shown(plain: Played) -> None:
    plain.say(None, "GPUs are hidden", logging.WARNING)
    plain.say(LogEvent.ERROR, "WorkflowError: train.idenities: unknown key", logging.ERROR)
    plain.say(None, "Nothing to be done (all requested files are present and up to date).")
    plain.say(None, "Select jobs to execute...")
    assert plain.lines == [
        "GPUs are hidden",
        "WorkflowError: train.idenities: unknown key",
        "Nothing to be done (all requested files are present and up to date).",
    ]


def test_scores_that_cannot_be_read_stop_nothing(plain: Played, tmp_path: Path) -> None:
    plain.say(LogEvent.RUN_INFO, stats={"evaluate_regdb": 1, "total": 1})
    plain.begin(1, "evaluate_regdb", (str(tmp_path / "split1/scores.json"),), method="agw")
    plain.end(1, 1)
    assert "no such file" in plain.stream.getvalue()


def test_every_rule_has_a_stage_and_a_label(stages: ModuleType) -> None:
    assert list(stages.STAGES) == ["check", "pack", "train", "embed", "score", "report"]
    assert stages.stage_of("evaluate_sysu") == "score"
    assert stages.stage_of("plot_cmc") == stages.stage_of("register") == "report"
    assert stages.label("evaluate_regdb", {"method": "agw"}) == "evaluate regdb agw"
    assert stages.label("plot_cmc", {"set": "sysu"}) == "plot cmc sysu"
    assert stages.label("train", {"folder": "sysu-msclnet-split1-0a"}) == "train sysu-msclnet-split1"


def test_make_run_uses_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "workflow/logger" in makefile
    assert "snakemake --logger stages" in makefile
