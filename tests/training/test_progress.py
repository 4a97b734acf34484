"""What a training says while it runs, and where."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from msclnet.training.progress import Progress

TERMS = {"total": 2.5, "identity": 1.25, "wrt": 0.4567}


def progress(monkeypatch: pytest.MonkeyPatch, terminal: Path | None) -> None:
    """After step 40 of 100, of 64 images each, it goes on at two steps a second."""
    clock = iter([0.0, 0.0, 10.0, 30.0, 31.0, 50.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    shown = Progress(100, "regdb msclnet split 3", terminal)
    shown.begin(40)
    for step in (60, 98, 99, 100):
        shown.show(step, step // 10, 64, TERMS)


def test_a_log_has_a_line_every_half_minute_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress(monkeypatch, None)
    assert capsys.readouterr().err.splitlines() == [
        "step 98/100, epoch 9, 124 images/s, 1 s left, loss 2.500 (identity 1.25, wrt 0.457)",
        "step 100/100, epoch 10, 77 images/s, 0 s left, loss 2.500 (identity 1.25, wrt 0.457)",
    ]


def test_the_workflows_terminal_shows_the_same_with_the_trainings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, terminal = os.openpty()
    progress(monkeypatch, Path(os.ttyname(terminal)))
    told = b""
    while told.count(b"\n") < 2:  # the kernel hands on what was written when it likes
        told += os.read(reader, 4096)
    lines = told.decode().splitlines()
    os.close(terminal)
    assert [line.split(",")[0] for line in lines] == [f"regdb msclnet split 3: step {step}/100" for step in (98, 100)]


def test_a_file_in_its_place_and_one_that_is_gone_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("Snakemake's\n")
    progress(monkeypatch, tmp_path / "log")
    progress(monkeypatch, tmp_path / "none")
    assert (tmp_path / "log").read_text() == "Snakemake's\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(61, "61 s"), (150, "2 min"), (7384, "2 h 3 min"), (360000, "100 h 0 min")]
)
def test_the_time_left_is_readable(
    seconds: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(Progress, "LOG_SECONDS", 0)
    Progress(1 + seconds).show(1, 1, 64, TERMS)
    assert f" {shown} left" in capsys.readouterr().err
