"""metrics.jsonl, the record of a training; its progress on the terminal; its mirror on the tracking server."""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from msclnet.core.errors import DataError, UserError
from msclnet.training.process_group import Processes
from msclnet.training.progress import Progress


class NonFiniteLoss(UserError):
    """A term of the objective is not a finite number; the message names it."""


class MetricsLog:
    """metrics.jsonl, the record of a training, and its progress on the terminal; only the first process writes.

    Lines: ``start``, then ``step`` (each term as of that step), ``epoch`` (means over it) and ``system`` (what the
    first process used in it), then ``end``. A training that goes on from a checkpoint cuts the file back to the
    checkpoint's step and adds a ``start`` of its own.
    """

    def __init__(
        self, path: Path, process: Processes, progress: Progress, resumed: dict[str, Any] | None = None
    ) -> None:
        """``resumed`` is what ``state`` gave. Raises OSError where the file cannot be written."""
        self.path, self.process = path, process
        self.step, self.size, self.count = 0, 0, 0
        self.epoch_seconds = 0.0  # of the epoch at work, before this process
        self.sums: dict[str, float] = {}
        if resumed:
            self.step, self.size, self.count = resumed["step"], resumed["size"], resumed["count"]
            self.epoch_seconds, self.sums = resumed["seconds"], resumed["sums"]
        self.began = self.epoch_began = time.time()
        self.cpu_began = _cpu_seconds()
        self.epoch, self.rate, self.images = 0, 0.0, 0
        self.unwritten: list[str] = []
        self.progress = progress
        progress.begin(self.step)
        if process.first:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut(path, self.size)
        self._write(
            "start",
            processes=process.world,
            device=process.device.type,
            hardware=_hardware(process.device),
            torch=torch.__version__,
            git=_git_commit(),
            steps=progress.total,
        )
        if process.first:
            self.state()  # not writable: said now, before anything is computed

    def begin_epoch(self, epoch: int, rate: float, images: int, taken: int = 0) -> None:
        """``rate`` is the learning rate of the new layers, ``images`` the number in a global batch.

        ``taken`` steps of the epoch are in the state this record was resumed from.
        """
        self.epoch, self.rate, self.images = epoch, rate, images
        if not taken:
            self.epoch_seconds, self.count, self.sums = 0.0, 0, {}
        self.epoch_began = time.time()
        self.cpu_began = _cpu_seconds()

    def steps(self, unread: list[dict[str, Tensor]], log: bool = True) -> None:
        """Takes the terms of the steps since the last call; ``log`` writes those of the newest.

        In float16 ``scale``, the loss scale, and ``skipped``, 1 for a step whose gradients overflowed, stand beside
        the terms. Raises NonFiniteLoss, on every rank alike, naming the first term that is not finite, or the scale
        when no scale is small enough.
        """
        names = list(unread[0])
        values = torch.stack([torch.stack(list(terms.values())) for terms in unread]).tolist()  # the one wait
        for row in values:
            self.step += 1
            for name, value in sorted(zip(names, row, strict=True), key=lambda pair: pair[0] == "total"):
                if not math.isfinite(value):
                    raise NonFiniteLoss(
                        f"epoch {self.epoch}, step {self.step}: the loss term {name!r} is {value}; the training "
                        f"stops. Lower train.rate, or the weight of {name!r}, and delete {self.path.parent}, whose "
                        "checkpoints another configuration does not continue"
                    )
                self.sums[name] = self.sums.get(name, 0.0) + value
            self.count += 1
            newest = dict(zip(names, row, strict=True))
            if newest.get("skipped") and newest["scale"] < 1:
                raise NonFiniteLoss(
                    f"epoch {self.epoch}, step {self.step}: the gradients overflow float16 even with the loss scaled "
                    f"by {newest['scale']:g}; set train.precision to bfloat16 or float32, or lower train.rate"
                )
        if log:
            self._write("step", epoch=self.epoch, step=self.step, rate=self.rate, **newest)
        if self.process.first:
            self.progress.show(self.step, self.epoch, self.images, newest)

    def end_epoch(self) -> None:
        seconds = self.epoch_seconds + time.time() - self.epoch_began
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

    def state(self) -> dict[str, Any]:
        """What a resumed record needs, once all lines are on the disk; OSError where they cannot be written."""
        with self._append() as file:
            os.fsync(file.fileno())
        seconds = self.epoch_seconds + time.time() - self.epoch_began
        return {"step": self.step, "size": self.size, "count": self.count, "seconds": seconds, "sums": dict(self.sums)}

    def _write(self, kind: str, **values: Any) -> None:
        if self.process.first:
            self.unwritten.append(json.dumps({"kind": kind, "time": time.time(), **values}) + "\n")
            with suppress(OSError):  # a full disk: the lines wait for the next one, or for ``state``, which raises
                self._append().close()

    def _append(self) -> BinaryIO:
        """The file, with the waiting lines at its end: all of them or, where that fails, none."""
        lines = "".join(self.unwritten).encode()
        file = self.path.open("ab", buffering=0)
        try:
            if file.write(lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            with suppress(OSError):
                file.truncate(self.size)
            file.close()
            raise
        self.size += len(lines)
        self.unwritten.clear()
        return file


def _cut(path: Path, size: int) -> None:
    """Cuts the record back to its first ``size`` bytes: the steps after them will be taken again."""
    found = path.stat().st_size if path.exists() else 0
    if found < size:
        raise DataError(
            f"{path}: {found} bytes, and its checkpoint was written after {size}; delete {path.parent} to train from "
            "the beginning"
        )
    if found:
        os.truncate(path, size)


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
