"""metrics.jsonl, the record of a training; its progress on the terminal; its mirror on the tracking server."""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from msclnet.distributed import Processes
from msclnet.types import UserError


class NonFiniteLoss(UserError):
    """A term of the objective is not a finite number; the message names it."""


class Record:
    """metrics.jsonl, the record of a training, and its progress on the terminal; only the first process writes.

    Lines: ``start``, then ``step`` (each term as of that step), ``epoch`` (means over it) and ``system`` (what the
    first process used in it), then ``end``.
    """

    def __init__(self, path: Path, process: Processes, step: int, total_steps: int) -> None:
        self.path, self.process, self.step = path, process, step
        self.began = self.epoch_began = time.time()
        self.cpu_began = _cpu_seconds()
        self.epoch, self.rate, self.images = 0, 0.0, 0
        self.sums: dict[str, float] = {}
        self.count = 0
        self.progress = Progress(total_steps, step)
        if process.first:
            path.parent.mkdir(parents=True, exist_ok=True)
            _keep_until(path, step)
        self._write(
            "start",
            processes=process.world,
            device=process.device.type,
            hardware=_hardware(process.device),
            torch=torch.__version__,
            git=_git_commit(),
            steps=total_steps,
        )

    def begin_epoch(self, epoch: int, rate: float, images: int) -> None:
        """``rate`` is the learning rate of the new layers, ``images`` the number in a global batch."""
        self.epoch, self.rate, self.images = epoch, rate, images
        self.epoch_began, self.count = time.time(), 0
        self.cpu_began = _cpu_seconds()
        self.sums = {}

    def steps(self, unread: list[dict[str, Tensor]]) -> None:
        """Takes the terms of the steps since the last call; writes those of the newest.

        Raises NonFiniteLoss, on every rank alike, naming the first term that is not finite.
        """
        names = list(unread[0])
        values = torch.stack([torch.stack(list(terms.values())) for terms in unread]).tolist()  # the one wait
        for row in values:
            self.step += 1
            for name, value in sorted(zip(names, row, strict=True), key=lambda pair: pair[0] == "total"):
                if not math.isfinite(value):
                    raise NonFiniteLoss(
                        f"epoch {self.epoch}, step {self.step}: the loss term {name!r} is {value}; the training "
                        f"stops before its checkpoint is touched. Lower train.rate, or the weight of {name!r}"
                    )
                self.sums[name] = self.sums.get(name, 0.0) + value
            self.count += 1
        newest = dict(zip(names, values[-1], strict=True))
        self._write("step", epoch=self.epoch, step=self.step, rate=self.rate, **newest)
        if self.process.first:
            self.progress.show(self.step, f"epoch {self.epoch}, loss {newest['total']:.3f}")

    def end_epoch(self) -> None:
        seconds = time.time() - self.epoch_began
        self._write(
            "epoch",
            epoch=self.epoch,
            step=self.step,
            seconds=seconds,
            images_per_second=self.images * self.count / seconds,
            **{name: total / self.count for name, total in self.sums.items()},
        )
        cpu = 100 * (_cpu_seconds() - self.cpu_began) / seconds
        self._write(
            "system", epoch=self.epoch, step=self.step, process_cpu_percentage=cpu, **_memory(self.process.device)
        )

    def end(self) -> None:
        self._write("end", step=self.step, seconds=time.time() - self.began)

    def _write(self, kind: str, **values: Any) -> None:
        if self.process.first:
            with self.path.open("a") as file:
                file.write(json.dumps({"kind": kind, "time": time.time(), **values}) + "\n")


class Progress:
    """A bar on a terminal; in a log a plain line every half minute."""

    LOG_SECONDS = 30

    def __init__(self, total: int, step: int) -> None:
        self.total, self.first = total, step
        self.began = self.shown = time.monotonic()

    def show(self, step: int, text: str) -> None:
        now = time.monotonic()
        left = (now - self.began) / max(1, step - self.first) * (self.total - step)
        line = f"step {step}/{self.total}, {text}, {left:.0f} s left"
        if sys.stderr.isatty():
            filled = 30 * step // self.total
            end = "\n" if step == self.total else ""
            print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {line}\033[K", end=end, file=sys.stderr, flush=True)
        elif now - self.shown >= self.LOG_SECONDS or step == self.total:
            self.shown = now
            print(line, file=sys.stderr, flush=True)


class Live:
    """Mirrors a running training to the tracking server, at most once in ``every`` seconds, by a process of its own.

    Whatever becomes of that process, the training goes on; the record is the file.
    """

    def __init__(self, uri: str, every: float) -> None:
        self.uri, self.every = uri, every
        self.last = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None

    def upload(self, folder: Path) -> None:
        busy = self.process is not None and self.process.poll() is None
        if not self.every or busy or time.monotonic() - self.last < self.every:
            return
        self.last = time.monotonic()
        command = [sys.executable, "-m", "msclnet.tracking", "mirror", str(folder), "--uri", self.uri]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def _keep_until(path: Path, step: int) -> None:
    """Drops the lines after ``step`` from the record: their steps will be taken again."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    kept = [line for line in lines if line.endswith("}") and json.loads(line).get("step", 0) <= step]
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(line + "\n" for line in kept))
    partial.replace(path)


def _cpu_seconds() -> float:
    """Of all threads of this process and of the children it has waited for."""
    return sum(os.times()[:4])


def _memory(device: torch.device) -> dict[str, float]:
    """The most this process has held so far, in MB (10^6 bytes)."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    memory = {"process_memory_peak_megabytes": resident / 1e6}
    if device.type == "cuda":
        memory["gpu_memory_peak_megabytes"] = torch.cuda.max_memory_allocated(device) / 1e6
    return memory


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _git_commit() -> str:
    """The commit of the source, empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
