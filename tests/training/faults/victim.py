"""A training that meets a fault at a chosen moment: a process of its own, which can really be killed."""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import os
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from msclnet.config import TrainJob
from msclnet.launch import elastic
from msclnet.results.layout import WORK
from msclnet.training import failure, outputs
from msclnet.training.trainer import Options, train
from tests.patience import PATIENCE, until

CONTEXT = multiprocessing.get_context("forkserver")  # forks a process that has imported torch and done nothing else
CONTEXT.set_forkserver_preload(["tests.training.faults.victim", "torch._dynamo"])  # the latter by every optimiser
PR_SET_PDEATHSIG = 1  # of prctl(2)
LONG = 20  # seconds


@dataclass(frozen=True)
class Fault:
    """What happens when ``call`` (a dotted name) is called for the ``nth`` time, before it does anything."""

    what: str
    call: str
    nth: int
    rank: int | None = 0  # in which process; None: in each
    attempt: int = 0  # of torchrun's

    def plant(self) -> None:
        rank, attempt = (int(os.environ.get(name, "0")) for name in ("RANK", "TORCHELASTIC_RESTART_COUNT"))
        if self.rank not in (None, rank) or self.attempt != attempt:
            return
        owner_name, name = self.call.rsplit(".", 1)
        try:
            owner: Any = importlib.import_module(owner_name)
        except ModuleNotFoundError:  # a class's
            module, of = owner_name.rsplit(".", 1)
            owner = getattr(importlib.import_module(module), of)
        original, calls = getattr(owner, name), 0

        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == self.nth:
                self.happen(args)
            return original(*args, **kwargs)

        setattr(owner, name, called)

    def happen(self, args: tuple) -> None:
        match self.what:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "terminate":
                os.kill(os.getpid(), signal.SIGTERM)
            case "terminate torchrun":  # until it has passed that on: the training is short
                handler, passed_on = signal.getsignal(signal.SIGTERM), []
                signal.signal(signal.SIGTERM, lambda *args: (passed_on.append(args), handler(*args)))
                os.kill(os.getppid(), signal.SIGTERM)
                until(lambda: passed_on)
            case "kill torchrun":  # until it is gone
                torchrun = os.getppid()
                os.kill(torchrun, signal.SIGKILL)
                until(lambda: os.getppid() != torchrun)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "take long":
                time.sleep(LONG)
            case "hang":
                time.sleep(3600)
            case "exhaust memory":
                torch.empty(2**50)
            case "nan":  # in the weights: every later batch's features are no numbers
                learner = args[0]
                with torch.no_grad():
                    next(learner.network.parameters()).fill_(float("nan"))
            case "fill the disk":  # /dev/full answers a write as a full disk does
                path = args[0]
                path.with_name(path.name + ".partial").symlink_to("/dev/full")
            case "nan in a gradient":  # of a loss that is finite
                optimiser = args[0]
                optimiser.param_groups[0]["params"][0].grad.fill_(float("nan"))
            case other:
                raise ValueError(other)


def run(
    job: TrainJob, pack: Path, out: Path, fault: Fault | None = None, log: Path | None = None, **options: Any
) -> None:
    """Trains by these ``options``, and copies the work folder to ``<out>.kept`` before its checkpoints are dropped."""
    if log:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    if failure.failed_for_good(out / WORK):
        raise SystemExit(1)
    drop = outputs.drop

    def kept(work: Path) -> None:
        shutil.copytree(work, out.with_suffix(".kept"), dirs_exist_ok=True)
        drop(work)

    outputs.drop = kept
    if fault:
        fault.plant()
    train(job, pack, out, Options(**options))


def launch(processes: int, restarts: int, log: Path, *args: Any, **place: Any) -> None:
    """As the workflow's launch does, by its own function; ``place`` is of ``elastic.Group``."""
    os.setsid()  # ``finish`` ends it with all it has started
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    # Forked from a process that has imported torch: the workers need not.
    elastic.run(elastic.Group(processes, restarts, **place), _worker, *args, start_method="fork")


def _worker(job: TrainJob, pack: Path, out: Path, fault: Fault | None, options: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)  # a worker of the command torchrun gets no signal when that dies
    run(job, pack, out, fault, **options)


def start(target: Any, *args: Any, **kwargs: Any) -> Any:
    process = CONTEXT.Process(target=target, args=args, kwargs=kwargs)
    process.start()
    return process


def finish(process: Any, seconds: float = PATIENCE) -> int:
    """The exit status, negative for a signal; fails a process that does not end in ``seconds``."""
    process.join(seconds)
    if process.exitcode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # of ``launch``, with all it has started
        process.kill()
        raise AssertionError(f"still running after {seconds} s")
    return process.exitcode
