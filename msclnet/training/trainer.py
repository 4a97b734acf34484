"""Training of one split by one method, on any number of processes.

    python workflow/scripts/launch.py --device cpu --processes 2 workflow/scripts/train.py --job job.yaml ...

A batch by eye: ``TrainingImages.epoch`` -> ``train_step`` -> ``MSCLNet.forward`` -> ``objective`` -> ``MetricsLog``.
Everything random is a function of (seed, split, epoch, step), so a training resumed after any step continues as if it
had never stopped.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from msclnet.config import TrainJob, plain
from msclnet.config.rules import NO_FILE
from msclnet.core import yaml_text
from msclnet.core.files import exclusive_lock, sha256, write_text
from msclnet.core.precision import allow_tf32, repeat
from msclnet.core.types import Batch, Outputs
from msclnet.data.loader import Recipe, TrainingImages
from msclnet.data.pack import Pack
from msclnet.launch.usable import require_compiler, require_precision
from msclnet.launch.watchdog import Heartbeat
from msclnet.losses import objective
from msclnet.model.files import save_model
from msclnet.results.layout import CONFIG, METRICS, MODEL, WORK
from msclnet.training.checkpoint import Checkpointer, newest
from msclnet.training.failure import final, forget
from msclnet.training.gather import gather
from msclnet.training.learner import Learner
from msclnet.training.live_mirror import LiveMirror
from msclnet.training.metrics_log import MetricsLog
from msclnet.training.outputs import LOCK, OutputFiles, begin_anew
from msclnet.training.process_group import processes
from msclnet.training.progress import Progress
from msclnet.training.pull import pull
from msclnet.training.stop_requests import StopRequests
from msclnet.training.validation import Validation, held_out

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Options:
    """How a training is run; nothing here decides its bits."""

    checkpoint_every: float = 60.0  # seconds between two checkpoints; 0: after every step
    timeout: float = 600.0  # seconds that a process waits for the others
    launcher: int = 0  # the process without which nobody waits for the training, see StopRequests; 0: none
    code: str = ""  # any name of the code: what the same has finished is not trained again
    anew: bool = False  # from the first step, whatever the work folder holds
    mirror: LiveMirror | None = None


def train(job: TrainJob, pack_folder: Path, folder: Path, options: Options | None = None) -> None:
    """Trains a network on a pack, and leaves model.pt, metrics.jsonl and config.yaml in a folder.

    Where ``train.validate_every`` says so, some training identities are held out and the network is scored on them.
    Continues from ``folder/work`` where a training of the same configuration stopped, to the same bits. What was
    finished there is not trained again: its outputs, where they are gone, are put back.

    Args:
        job: the training's configuration.
        pack_folder: the pack of the data set's images.
        folder: where the outputs are to lie.
        options: how the training is run; by default as ``Options`` says.

    Raises:
        DataError: what lies there is of another configuration, or the pack is corrupt or of another size.
        ConfigError: the batch, or what is held out, does not fit the data; or the batch not the processes; or there is
            no compiler for ``train.compile``, or no bfloat16 on the GPU.
        NonFiniteLoss: a term of the objective is not a finite number.
        NotFinite: a weight, or what is kept of its gradients, is not a finite number.
        OutOfMemory: a process has less memory than the training takes.
        StorageError: a file cannot be written.
        Stopped: the training was asked to end by a signal.
    """
    options = options or Options()
    work = folder / WORK
    forget(work)
    with (
        processes(job.train.threads, options.timeout) as process,
        final(work),
        StopRequests(process, options.launcher) as stop,
        exclusive_lock(work / LOCK, options.timeout / 2, file=True) if process.first else nullcontext(),
    ):
        state_precision(job)
        require_precision(process.device.type, job.train.precision)
        if job.train.compile:
            require_compiler(process.device.type)
        pack = Pack.open(pack_folder)
        pack.require_size((job.height, job.width), "the training")
        origin = plain(job) | {"pack": pack.verify() if process.first else None} | _weights(job)
        outputs = OutputFiles(work, folder, origin, options.code)
        if options.anew and process.first:
            begin_anew(work)
        if process.shared(process.first and outputs.put_back()):
            return
        people = held_out(job, pack)
        images = TrainingImages(pack, recipe(job, people), process.rank, process.world)
        validation = Validation(job, pack, people, process) if people and job.epochs else None
        learner = Learner.of(job, len(images.identities), process, images.cameras)
        state = process.shared(newest(work, origin, options.code) if process.first else None)
        if state:
            learner.load(state)
            if validation:
                validation.load(state["validation"])
        log = MetricsLog(work / METRICS, process, Progress(job.epochs * images.steps), state and state["record"])
        if process.first:
            write_text(work / CONFIG, yaml_text.write(plain(job)))
            outputs.place(CONFIG)  # the live mirror reads it
            print(learner.rates(), file=sys.stderr, flush=True)
        checkpoints = Checkpointer(work, options.checkpoint_every, origin, process, stop, options.code)
        mirror = options.mirror if process.first else None
        with Heartbeat() as heart:  # what was before is no step: a pack's disk may be slow
            trainer = Trainer(learner, images, log, checkpoints, mirror, validation, heart)
            trainer.run(state)
        kept = validation.kept if validation else {}
        log.end(**({"kept_epoch": kept["epoch"]} if kept else {}))
        if process.first:
            log.state()  # all of it is on the disk
            if validation:
                validation.leave(learner.network)
            save_model(work / MODEL, learner.network, plain(job), kept)
            outputs.finish()


def state_precision(job: TrainJob) -> None:
    """States for this process how precisely a GPU computes for a training, and whether twice the same."""
    allow_tf32(job.train.tf32)
    repeat(job.train.deterministic)


def _weights(job: TrainJob) -> dict[str, str]:
    """What the file of the backbone's weights holds, where it is one: other weights are another training."""
    path = Path(job.model.weights)
    return {"weights": sha256(path)} if job.model.weights not in NO_FILE and path.is_file() else {}


class Trainer:
    """A training at work: what learns, from which images, how it is scored and recorded, and how far it is."""

    def __init__(
        self,
        learner: Learner,
        images: TrainingImages,
        log: MetricsLog,
        checkpoints: Checkpointer,
        mirror: LiveMirror | None = None,
        validation: Validation | None = None,
        heart: Heartbeat | None = None,
    ) -> None:
        self.learner, self.images, self.validation = learner, images, validation
        self.log, self.checkpoints, self.mirror = log, checkpoints, mirror
        self.heart = heart or Heartbeat()
        self.epoch, self.taken = 1, 0  # at work, and its steps so far

    def run(self, state: dict[str, Any] | None = None) -> None:
        """Trains to the last epoch, from the first step or after those of a checkpoint's ``state``."""
        if state:
            self.epoch, self.taken = state["epoch"], state["taken"]
        while self.epoch <= self.learner.job.epochs:
            self.train_epoch()

    def train_epoch(self) -> None:
        """The rest of the epoch at work.

        The losses are read out, and checked, at the logging interval and before a checkpoint, so that the GPU is not
        waited for.
        """
        job = self.learner.job
        self.begin_epoch()
        for batch in self.images.epoch(self.epoch, self.learner.device, self.taken):
            if self.taken == 0 and looks_at_gradients(job, self.epoch):
                with self.heart.rest():
                    self.log.write_pull(*pull(self.learner, batch))
            step = train_step(self.learner, batch)
            self.log.add(step.terms)
            self.taken += 1
            self.heart.beat()
            last = self.taken == self.images.steps
            if last or self.taken % job.train.log_every == 0:
                self.log.write_step(objective.measures(step.outputs, job.method.losses, job.objective))
            if last:
                self.end_epoch()
            if self.checkpoints.due() or self.epoch > job.epochs:
                self.log.read()
                self.checkpoints.write(self.state)

    def begin_epoch(self) -> None:
        """Sets what holds for an epoch."""
        self.learner.model.train()
        rate = self.learner.set_rate(self.epoch)
        self.log.begin_epoch(self.epoch, rate, 2 * self.images.pairs, self.taken)

    def end_epoch(self) -> None:
        """Writes of the epoch, scores it where that is due, and turns to the next."""
        self.log.end_epoch()
        if self.validation and self.validation.due(self.epoch):
            with self.heart.rest():
                self.log.write_validation(self.validation.score(self.epoch, self.learner.network))
        self.epoch, self.taken = self.epoch + 1, 0
        if self.mirror:
            self.mirror.upload()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds; all lines of the log are then on the disk."""
        position = {"step": self.log.step, "epoch": self.epoch, "taken": self.taken}
        validation = {"validation": self.validation.state()} if self.validation else {}
        return position | {"record": self.log.state()} | validation | self.learner.state()


class Step(NamedTuple):
    """What a step leaves to be logged."""

    terms: dict[str, Tensor]  # unweighted, and their weighted ``total``; in float16 ``scale`` and ``skipped``, too
    outputs: Outputs  # of the whole batch, detached


def looks_at_gradients(job: TrainJob, epoch: int) -> bool:
    """Whether each term's gradient is looked at before the first step of an epoch (from 1)."""
    return job.train.gradients_every > 0 and (epoch - 1) % job.train.gradients_every == 0


def train_step(learner: Learner, batch: Batch) -> Step:
    """One step on this process's share of a batch.

    Mixed precision ends where the outputs are gathered. In float16 a step whose gradients overflow changes no weight;
    the ``scale`` of the loss and whether the step was ``skipped`` are returned too. Nothing waits for a GPU.
    """
    scaler = learner.scaler
    total, terms, outputs = learner.whole(forward)(learner, batch)
    learner.optimiser.zero_grad(set_to_none=True)
    scaler.scale(total).backward()
    scaler.step(learner.optimiser)
    if learner.memory is not None:
        learner.memory.remember()
    read = {"total": total.detach(), **{name: value.detach() for name, value in terms.items()}}
    if learner.job.train.capture:
        read = {name: value.clone() for name, value in read.items()}  # the next step writes over what this one gave
    return Step(read | _update(scaler, torch.ones_like(read["total"])), outputs.detached())


def forward(learner: Learner, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Outputs]:
    """The network and the losses: the weighted total, its terms, and the outputs of the whole batch.

    On one process it is one graph of operations, which ``train.compile`` compiles and ``train.capture`` captures.
    """
    job = learner.job
    half = HALF.get(job.train.precision)
    with torch.autocast(learner.device.type, half, enabled=half is not None):
        outputs = learner.model(batch)
    outputs = gather(outputs.at_least_float32())
    terms = objective.terms(outputs, job.method.losses, job.objective, learner.memory)
    return objective.total(terms, job.method.losses), terms, outputs


def _update(scaler: torch.amp.GradScaler, one: Tensor) -> dict[str, Tensor]:
    """The scale of this step, and whether it was too large; nothing without scaling."""
    if not scaler.is_enabled():
        return {}
    scale = scaler.scale(one)
    scaler.update()
    return {"scale": scale, "skipped": (scaler.scale(one) < scale).float()}


def recipe(job: TrainJob, people: tuple[int, ...] = ()) -> Recipe:
    """What of a training's configuration decides its batches; ``people`` are held out of it, as ``held_out`` says."""
    return Recipe(
        seed=job.seed,
        split=job.split,
        identities=job.train.identities,
        images=job.train.images,
        least=job.train.least_share,
        padding=job.train.padding,
        flip=job.train.flip,
        erasing=job.method.erasing,
        erasing_area=job.train.erasing_area,
        channels=job.method.channels,
        held_out=people,
    )
