"""A training that is killed, and goes on from its checkpoint, beside one that is not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from msclnet.config import TrainJob, replace
from msclnet.core import torch_file
from msclnet.doctor.line import Line, failed, passed, warned
from msclnet.doctor.place import BATCH, Place, job_of
from msclnet.launch.gpu_lease import lease
from msclnet.results.layout import MODEL, WORK
from msclnet.training.trainer import Options, train

CHECK = "killed, and gone on with"
STEPS = 12  # each an epoch of the pack's small split
KILLED = 4  # steps of which the checkpoint is there when the kill comes
POLL = 0.01
TOLERANCE = 1e-4  # on a GPU: of all weights together, relative to them


def resume(place: Place) -> Iterator[Line]:
    """Trains twice, once with a SIGKILL in between, and compares the models."""
    if place.gpus:
        lease(1)
    config = place.default()
    whole = job_of(config, config.run.methods[-1], BATCH)
    job = replace(whole, epochs=STEPS, train=replace(whole.train, deterministic=bool(place.gpus)))
    pack, undisturbed, disturbed = place.pack(config), place.folder / "undisturbed", place.folder / "disturbed"
    how = "spawn" if place.gpus else "fork"  # CUDA survives no fork
    _finish(_start(how, job, pack, undisturbed))
    at = _kill(_start(how, job, pack, disturbed), disturbed)
    _finish(_start(how, job, pack, disturbed))
    yield compared(undisturbed / MODEL, disturbed / MODEL, at, exactly=not place.gpus)


def compared(undisturbed: Path, disturbed: Path, at: int, exactly: bool) -> Line:
    """Whether two models are the same: to the bit where ``exactly``, else within the tolerance."""
    if undisturbed.read_bytes() == disturbed.read_bytes():
        said = f"SIGKILL after {at} of {STEPS} steps: the model is that of an undisturbed training, to the bit"
        return passed(CHECK, said, difference=0.0)
    one, other = (_weights(path) for path in (undisturbed, disturbed))
    difference = float((one - other).norm() / one.norm())
    said = f"SIGKILL after {at} of {STEPS} steps: the weights differ by {difference:.1g} from an undisturbed training's"
    if exactly or not difference <= TOLERANCE:
        remedy = "do not rely on resumed trainings here: train anew what was interrupted (train.py --anew)"
        return failed(CHECK, said, remedy, difference=difference)
    remedy = "the GPU does not repeat itself even with train.deterministic; compare results by their spread over seeds"
    return warned(CHECK, said, remedy, difference=difference)


def _start(how: str, job: TrainJob, pack: Path, out: Path) -> Any:
    """A training in a process of its own; this one has used neither threads nor GPU."""
    context: Any = multiprocessing.get_context(how)
    process = context.Process(target=_train, args=(job, pack, out))
    process.start()
    return process


def _train(job: TrainJob, pack: Path, out: Path) -> None:
    train(job, pack, out, Options(checkpoint_every=0))


def _finish(process: Any) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a training ended with status {process.exitcode}")


def _kill(process: Any, out: Path) -> int:
    """Kills a training by SIGKILL once it has written a checkpoint of some steps; the step of the newest."""
    while process.exitcode is None and newest(out) < KILLED:
        time.sleep(POLL)
    if process.exitcode is None and process.pid:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode != -signal.SIGKILL:
        raise RuntimeError(f"a training that was to be killed ended with status {process.exitcode}")
    return newest(out)


def newest(out: Path) -> int:
    """The step of a training's newest checkpoint; 0 where there is none."""
    names = (path.stem.rpartition("-")[2] for path in (out / WORK).glob("checkpoint-*.pt"))
    return max((int(name) for name in names if name.isdecimal()), default=0)


def _weights(path: Path) -> torch.Tensor:
    """All floating-point tensors of a model file, one after the other."""
    found = [value for value in _tensors(torch_file.load(path)) if value.is_floating_point()]
    return torch.cat([value.double().flatten() for value in found])


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _tensors(value[key])
