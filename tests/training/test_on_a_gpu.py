"""What is asked of CUDA by a process on a GPU, by a CUDA that only takes notes: there is none here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from msclnet.config import Config, TrainJob, replace, train_job
from msclnet.data.loader import Copies, _one_ahead
from msclnet.training.learner import parallel
from msclnet.training.machine import peak_memory
from msclnet.training.process_group import Processes, processes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def job(default: Config) -> TrainJob:
    return train_job(default, "sysu", "msclnet", 1)


@pytest.mark.parametrize(
    ("device", "deterministic", "looks"), [(GPU, False, False), (GPU, True, True), (CPU, False, True)]
)
def test_ddp_is_asked_for_what_a_training_needs(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch, device: torch.device, deterministic: bool, looks: bool
) -> None:
    """No statistic is sent: a step reads none. Unused weights are looked for where sums must keep their order."""
    asked: list[dict] = []
    monkeypatch.setattr(
        nn.parallel, "DistributedDataParallel", lambda network, **options: asked.append(options) or network
    )
    job = replace(job, train=replace(job.train, deterministic=deterministic))
    parallel(nn.Linear(2, 2), job, Processes(0, 2, device))
    parallel(nn.Linear(2, 2), job, Processes(0, 1, device))
    assert asked == [
        {
            "device_ids": [GPU] if device == GPU else None,
            "find_unused_parameters": looks,
            "broadcast_buffers": False,
        }
    ], "and of one process nothing"


def test_a_process_begins_without_tf32(tf32: Callable[[], tuple[bool, bool]]) -> None:
    """Until a training says otherwise: what it computes besides has none."""
    with processes(torch.get_num_threads()):
        assert tf32() == (False, False)


class Stream:
    """One that notes what is done on it."""

    def __init__(self, notes: list[str], name: str) -> None:
        self.notes, self.name = notes, name

    def record_event(self) -> str:
        self.notes.append(f"{self.name} records")
        return "arrived"

    def wait_event(self, event: str) -> None:
        self.notes.append(f"{self.name} waits for {event}")


def test_batches_are_copied_beside_the_work_and_waited_for_by_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """From page-locked memory, by a stream of their own; and their memory is not reused while it is read."""
    notes: list[str] = []
    current = [Stream(notes, "work")]

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        current.append(stream)
        yield
        current.pop()

    def to(values: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
        notes.append(f"{current[-1].name} copies to {device}{', unwaited' if non_blocking else ''}")
        return values

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream(notes, "copies"))
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[-1])
    monkeypatch.setattr(Tensor, "pin_memory", lambda values: notes.append("locked") or values)
    monkeypatch.setattr(Tensor, "to", to)
    monkeypatch.setattr(Tensor, "record_stream", lambda values, stream: notes.append(f"read by {stream.name}"))
    copies = Copies(GPU)
    sent = copies.of([torch.zeros(2), torch.ones(2)])
    assert notes == ["locked", "copies copies to cuda:0, unwaited"] * 2 + ["copies records"]
    notes.clear()
    assert [values.tolist() for values in copies.take(sent)] == [[0, 0], [1, 1]]
    assert notes == ["work waits for arrived", "read by work", "read by work"]


def test_the_thread_that_reads_ahead_is_on_the_processs_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread begins on the first GPU, where every process would take memory."""
    told: list[tuple[torch.device, int]] = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: told.append((device, threading.get_ident())))
    device = torch.device("cuda", 3)
    threads = set(_one_ahead((threading.get_ident() for _ in range(3)), device))
    assert told == [(device, thread) for thread in threads]
    assert threading.get_ident() not in threads
    told.clear()
    assert len(list(_one_ahead(iter("abc"), CPU))) == 3
    assert told == []


def test_on_the_cpu_nothing_is_copied() -> None:
    copies, given = Copies(CPU), [torch.zeros(2)]
    assert copies.take(copies.of(given)) is given


def test_the_most_memory_of_a_gpu_is_in_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", {GPU: 5_000_000}.__getitem__)
    assert peak_memory(GPU)["gpu_memory_peak_megabytes"] == 5.0
    assert "gpu_memory_peak_megabytes" not in peak_memory(CPU)
