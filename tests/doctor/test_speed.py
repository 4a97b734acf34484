"""What is timed is a training as it is, and what is made of the speeds is arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from msclnet import config as settings
from msclnet.config import Config, TrainJob
from msclnet.doctor import speed
from msclnet.doctor.estimate import duration, estimates, kept_up, seen
from msclnet.doctor.line import Line, passed
from msclnet.doctor.literal import literal
from msclnet.doctor.place import Place, job_of
from msclnet.doctor.speed import busy, literal_speed, loader_speed, per_second, recipes_speed
from msclnet.training.process_group import Processes
from msclnet.training.trainer import Trainer
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


def test_the_plain_loop_is_timed_beside_ours(drawn: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself; in the same arithmetic, whatever is configured."""
    asked = []

    def rate(run: Callable, count: int, seconds: float, device: torch.device) -> float:
        run()
        return 150.0 if getattr(run, "__name__", "") == "train_epoch" else 100.0

    def noted(images: object, job: TrainJob, process: object, workers: int) -> Callable[[], None]:
        asked.append((job.train.precision, job.train.compile, job.train.deterministic, workers))
        return literal(images, job, process, workers)

    monkeypatch.setattr(speed, "per_second", rate)
    monkeypatch.setattr(speed, "literal", noted)
    whole = drawn.default()
    train = settings.replace(whole.train, precision="bfloat16", compile=True, deterministic=True)
    run = settings.replace(whole.run, methods=("agw", "msclnet_ca"))
    monkeypatch.setattr(Place, "default", lambda place: settings.replace(whole, train=train, run=run))
    (line,) = literal_speed(drawn)
    assert asked == [("float32", False, False, 1)]
    assert (line.check, line.status) == ("plain loop, default: agw", "pass")
    assert line.found == "ours is 1.50 times as fast: 150 images a second, and 100; both in float32 without TF32"
    assert line.values == {"ratio": 1.5, "images_per_second": 150.0, "plain_images_per_second": 100.0}
    monkeypatch.setattr(speed, "per_second", lambda run, *_: 300.0 - rate(run, *_))
    (line,) = literal_speed(drawn)
    assert (line.status, line.values["ratio"]) == ("warn", 0.75)
    assert "python benchmarks/train_step.py" in line.remedy
    monkeypatch.setattr(speed, "SHARED", Path("/no/such/folder"))
    (line,) = literal_speed(drawn)
    assert line.status == "warn"
    assert line.found == "not timed: its loader needs 6 MB of /no/such/folder, which has 0"


def test_a_gpu_is_busy_once_it_is_warm(drawn: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled, or tried out, before is not counted."""
    monkeypatch.setattr(speed, "SAMPLE", 0.001)
    epochs = []
    trainer = Trainer.train_epoch
    monkeypatch.setattr(Trainer, "train_epoch", lambda work: (epochs.append(1), trainer(work)))
    monkeypatch.setattr(speed, "gpu_busy", lambda device: 100.0 if epochs else 0.0)
    monkeypatch.setattr(speed, "busy", noting_the_start := Noting(busy, epochs))
    config = drawn.timed()
    line = speed.trained(drawn, config, "given", job_of(config, "agw"), Processes(0, 1, CPU))
    assert noting_the_start.epochs == [1]
    assert line.values["gpu_busy_percent"] == 100.0


class Noting:
    """A function that notes how many epochs there were when it was called."""

    def __init__(self, function: Callable, epochs: list[int]) -> None:
        self.function, self.seen, self.epochs = function, epochs, []

    def __call__(self, *arguments: object) -> object:
        self.epochs.append(len(self.seen))
        return self.function(*arguments)


def test_a_gpu_is_timed_as_it_may_be_used(drawn: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's methods, and in bfloat16 the last one's three ways; without a compiler one."""
    asked = []

    def noted(place: Place, config: Config, name: str, job: TrainJob, process: object) -> Line:
        asked.append((name, job.train.precision, job.train.compile, job.train.capture))
        return passed(name, "")

    gpu = replace(drawn, gpus=1)
    monkeypatch.setattr(Place, "at_work", lambda place, threads: nullcontext(Processes(0, 1, CPU)))
    monkeypatch.setattr(speed, "has_bfloat16", lambda: True)
    monkeypatch.setattr(speed, "trained", noted)
    for compiler, ways in ((True, 3), (False, 1)):
        monkeypatch.setattr(speed, "can_compile", lambda device, there=compiler: there)
        assert len(list(recipes_speed(gpu))) == 2 + ways
    assert asked[:5] == [
        *[("given", "float32", False, False)] * 2,
        ("given, bfloat16", "bfloat16", False, False),
        ("given, bfloat16, compiled", "bfloat16", True, False),
        ("given, bfloat16, captured", "bfloat16", True, True),
    ]


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
    run = settings.replace(paper.run, gpus_per_training=4)
    four = by_title(settings.replace(paper, run=run), {"msclnet": 500.0}, 8)["to train RegDB x 10"]
    assert four.values["seconds"]["msclnet"] == pytest.approx(16384 * 5 / 10 / 4), "five rounds, four times as fast"
    assert four.found.endswith("on 8 GPUs, 4 a training")
    run = settings.replace(paper.run, trainings_per_gpu=3)
    three = by_title(settings.replace(paper, run=run), {"agw": 1000.0, "msclnet": 500.0}, 1)
    assert three["to train RegDB x 10"].found == "agw 2.3 h, msclnet 4.6 h on one GPU, or less, as 3 share a GPU"
    assert three["to train SYSU-MM01"].found.endswith("on one GPU"), "there is one to train"
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
