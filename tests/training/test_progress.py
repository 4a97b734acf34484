"""What a training says while it runs."""

from __future__ import annotations

import time

import pytest

from msclnet.training.progress import Progress

TERMS = {"total": 2.5, "identity": 1.25, "wrt": 0.4567}


def test_a_log_has_a_line_every_half_minute_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After step 40 of 100, of 64 images each, it goes on at two steps a second."""
    clock = iter([0.0, 0.0, 10.0, 30.0, 31.0, 50.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    shown = Progress(100)
    shown.begin(40)
    for step in (60, 98, 99, 100):
        shown.show(step, step // 10, 64, TERMS)
    assert capsys.readouterr().err.splitlines() == [
        "step 98/100, epoch 9, 124 images/s, 1 s left, loss 2.500 (identity 1.25, wrt 0.457)",
        "step 100/100, epoch 10, 77 images/s, 0 s left, loss 2.500 (identity 1.25, wrt 0.457)",
    ]


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
