"""What is timed is a training as it is, and what is made of the speeds is arithmetic."""

from __future__ import annotations

import time

import pytest
import torch

from msclnet.config import Config
from msclnet.doctor import speed
from msclnet.doctor.estimate import duration, estimates, kept_up, seen
from msclnet.doctor.line import Line, passed
from msclnet.doctor.place import Place
from msclnet.doctor.speed import busy, loader_speed, per_second, recipes_speed
from tests.patience import until

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "SECONDS", {"CPU": 0.2, "GPU": 0.2})


def test_a_step_of_the_recipe_is_timed_with_what_it_takes(drawn: Place) -> None:
    (line,) = recipes_speed(drawn)
    assert (line.check, line.status) == ("speed, given: msclnet", "pass")
    assert "one step, the first, float32" in line.found
    assert line.values["images_per_second"] > 0
    assert line.values["gpu_busy_percent"] is None
    assert line.values["process_memory_peak_megabytes"] > 100


def test_the_loader_alone_is_faster_than_a_training(drawn: Place) -> None:
    (training,), (loader,) = recipes_speed(drawn), loader_speed(drawn)
    assert kept_up(loader, training).status == "pass"


@pytest.mark.parametrize(("rate", "status"), [(1000.0, "pass"), (150.0, "warn")])
def test_a_loader_must_be_twice_as_fast(rate: float, status: str) -> None:
    loader, training = (passed("a", "words", images_per_second=value) for value in (rate, 100.0))
    line = kept_up(loader, training)
    assert (line.status, bool(line.remedy)) == (status, status == "warn")
    assert f"words: {rate / 100:,.1f} times" in line.found


def test_what_is_timed_is_called_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still but for the calls, of a sixteenth of a second each."""
    calls: list[int] = []
    monkeypatch.setattr(time, "perf_counter", lambda: len(calls) / 16)
    assert per_second(lambda: calls.append(1), 10, 0.25, CPU) == 160
    assert len(calls) == 5, "one to warm up"
    calls.clear()
    assert per_second(lambda: calls.append(1), 10, 0.0, CPU, warm=False) == 160
    assert len(calls) == 1


def test_a_gpu_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "SAMPLE", 0.01)
    monkeypatch.setattr(speed, "gpu_busy", lambda device: 50.0)
    with busy(CPU) as shares:
        until(lambda: len(shares) >= 3)
    assert shares[:3] == [50.0, 50.0, 50.0]


def by_title(config: Config, speeds: dict[str, float], gpus: int) -> dict[str, Line]:
    return {line.check: line for line in estimates(config, speeds, gpus)}


def test_the_papers_runs_take_as_long_as_their_images_do(paper: Config) -> None:
    """docs/scaling.md: 8.2 and 8.9 million images a method."""
    one = by_title(paper, {"agw": 1000.0, "msclnet": 500.0}, 1)
    regdb, sysu = one["to train RegDB x 10"], one["to train SYSU-MM01"]
    assert regdb.values["images"] == 10 * 200 * 64 * 64
    assert sysu.values["images"] == 200 * 695 * 64
    assert regdb.values["seconds"] == {"agw": 8192.0, "msclnet": 16384.0}
    assert regdb.found == "agw 2.3 h, msclnet 4.6 h on one GPU"
    eight = by_title(paper, {"msclnet": 500.0}, 8)["to train RegDB x 10"]
    assert eight.values["seconds"]["msclnet"] == pytest.approx(16384 * 2 / 10), "two rounds of ten"
    assert eight.values["seconds"]["agw"] == eight.values["seconds"]["msclnet"], "not measured: as fast"
    assert eight.status == "pass"
    slow = by_title(paper, {"msclnet": 1.0}, 0)["to train SYSU-MM01"]
    assert (slow.status, slow.found) == ("warn", "agw 103 days, msclnet 103 days on one CPU")


def test_an_epoch_shows_whole_batches_of_the_larger_modality(paper: Config) -> None:
    assert seen((100, 70), paper) == 3 * 64
    assert seen((3, 3), paper) == 64


@pytest.mark.parametrize(
    ("seconds", "words"), [(90, "2 min"), (7200, "2.0 h"), (86400 * 3, "3 days"), (86400 * 5000, "5,000 days")]
)
def test_a_time_is_said_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words
