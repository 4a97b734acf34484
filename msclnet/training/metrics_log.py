"""metrics.jsonl, the record of a training."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from msclnet.core.errors import DataError, UserError
from msclnet.results.scores import TITLES
from msclnet.training.machine import cpu_seconds, git_commit, gpu_busy, hardware, peak_memory
from msclnet.training.process_group import Processes
from msclnet.training.progress import Progress
from msclnet.training.pull import inert


class NonFiniteLoss(UserError):
    """A term of the objective is not a finite number; the message names it."""


class MetricsLog:
    """metrics.jsonl, the record of a training, and its progress on the terminal; only the first process writes.

    Lines: ``start``, then ``step`` (each term as of that step) with ``measure`` (where in their range the losses are),
    ``epoch`` (means over it), ``system`` (what the first process used in it) and, where that is due, ``validation``
    (percent), then ``end``. ``gradient`` holds the norm of each term's gradient, and ``cosine`` its cosine with the
    identity loss's, before an epoch's first step. A training that goes on from a checkpoint cuts the file back to the
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
        self.cpu_began = cpu_seconds()
        self.epoch, self.rate, self.images = 0, 0.0, 0
        self.unread: list[dict[str, Tensor]] = []  # of the steps since the last reading
        self.newest: dict[str, float] = {}  # terms, as read
        self.busy: list[float] = []  # of the GPU, percent, at each written step of the epoch
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
            hardware=hardware(process.device),
            torch=torch.__version__,
            git=git_commit(),
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
        self.cpu_began = cpu_seconds()
        self.busy = []

    def add(self, terms: dict[str, Tensor]) -> None:
        """Takes the terms of a step, and waits for no GPU.

        In float16 ``scale``, the loss scale, and ``skipped``, 1 for a step whose gradients overflowed, stand beside
        the terms.
        """
        self.unread.append(terms)

    def read(self) -> None:
        """Reads out the steps added since the last reading, and shows how far the training is.

        Raises NonFiniteLoss naming the first term that is not finite, or the scale when none is small enough.
        """
        if not self.unread:
            return
        names = list(self.unread[0])
        values = torch.stack([torch.stack(list(terms.values())) for terms in self.unread]).tolist()  # the one wait
        self.unread.clear()
        for row in values:
            self.newest = dict(zip(names, row, strict=True))
            self.step += 1
            self._check()
            for name in self._total_last():
                self.sums[name] = self.sums.get(name, 0.0) + self.newest[name]
            self.count += 1
        if self.process.first:
            self.progress.show(self.step, self.epoch, self.images, self.newest)

    def write_step(self, measures: dict[str, Tensor]) -> None:
        """Reads, and writes the terms of the newest step; raises as ``read``, in every process alike.

        ``measures`` are of that step, scalars by name.
        """
        if (busy := gpu_busy(self.process.device)) is not None:
            self.busy.append(busy)
        self.read()
        self._write("step", epoch=self.epoch, step=self.step, rate=self.rate, **self.newest)
        if measures:
            values = torch.stack(list(measures.values())).tolist()
            self._write("measure", epoch=self.epoch, step=self.step, **dict(zip(measures, values, strict=True)))

    def write_pull(self, norms: dict[str, float], cosines: dict[str, float]) -> None:
        """Writes the norms of the terms' gradients and their cosines with the identity loss's.

        Warns of inert terms, but not before the first step, when classifiers and masks know nothing yet.
        """
        for kind, values in (("gradient", norms), ("cosine", cosines)):
            if finite := {name: value for name, value in values.items() if math.isfinite(value)}:
                self._write(kind, epoch=self.epoch, step=self.step, **finite)
        for name in inert(norms) if self.process.first and self.step else ():
            print(
                f"warning: epoch {self.epoch}: the weighted term {name!r} has a gradient of norm {norms[name]:.2g}, "
                f"less than a thousandth of the total's {norms['total']:.2g}: it trains next to nothing. Raise its "
                "weight, or leave it out",
                file=sys.stderr,
                flush=True,
            )

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
        used = {"process_cpu_percentage": 100 * (cpu_seconds() - self.cpu_began) / seconds}
        used |= {"gpu_utilization_percentage": sum(self.busy) / len(self.busy)} if self.busy else {}
        self._write("system", epoch=self.epoch, step=self.step, **used, **peak_memory(self.process.device))

    def write_validation(self, scores: dict[str, float]) -> None:
        """The scores of the epoch at work, in percent, as a line and on the terminal; after ``end_epoch``."""
        self._write("validation", epoch=self.epoch, step=self.step, **scores)
        if self.process.first:
            words = ", ".join(f"{TITLES[name]} {value:.2f}" for name, value in scores.items())
            self.progress.say(f"epoch {self.epoch}, validation: {words}")

    def end(self, **facts: int) -> None:
        """The last line; ``facts`` of how the training ended stand in it."""
        self._write("end", step=self.step, seconds=time.time() - self.began, **facts)

    def state(self) -> dict[str, Any]:
        """What a resumed record needs, once all lines are on the disk; OSError where they cannot be written."""
        with self._append() as file:
            os.fsync(file.fileno())
        seconds = self.epoch_seconds + time.time() - self.epoch_began
        return {"step": self.step, "size": self.size, "count": self.count, "seconds": seconds, "sums": dict(self.sums)}

    def _check(self) -> None:
        """Raises NonFiniteLoss for the newest step."""
        here = f"epoch {self.epoch}, step {self.step}"
        for name in self._total_last():  # it is no number because a term is none
            if not math.isfinite(self.newest[name]):
                raise NonFiniteLoss(
                    f"{here}: the loss term {name!r} is {self.newest[name]}; the training stops. Lower train.rate, or "
                    f"the weight of {name!r}, and delete {self.path.parent}, whose checkpoints another configuration "
                    "does not continue"
                )
        if self.newest.get("skipped") and self.newest["scale"] < 1:
            raise NonFiniteLoss(
                f"{here}: the gradients overflow float16 even with the loss scaled by {self.newest['scale']:g}; set "
                "train.precision to bfloat16 or float32, or lower train.rate"
            )

    def _total_last(self) -> list[str]:
        """The names of the newest step's terms."""
        return sorted(self.newest, key=lambda name: name == "total")

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
    if size:
        os.truncate(path, size)
    else:  # not emptied: the record of a finished training has a second name
        path.unlink(missing_ok=True)
