"""Training of one split by one method, on any number of processes.

    torchrun --standalone --nproc-per-node 2 workflow/scripts/train.py --job job.yaml --pack PACK --out FOLDER

A batch by eye: ``TrainingImages.epoch`` -> ``train_step`` -> ``MSCLNet.forward`` -> ``gather`` -> ``objective`` ->
optimiser -> ``Record``. Everything random is a function of (seed, split, epoch, step), so a training resumed after any
step continues as if it had never stopped.
"""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from msclnet.config import TrainJob, plain
from msclnet.core.files import atomic_write, exclusive_lock
from msclnet.core.types import Batch
from msclnet.data.loader import Recipe, TrainingImages
from msclnet.data.pack import Pack
from msclnet.losses import objective
from msclnet.model.files import save_model
from msclnet.model.msclnet import MSCLNet
from msclnet.training.batch_norm import synchronise
from msclnet.training.checkpoint import Checkpointer, Finished, newest
from msclnet.training.failure import final, forget
from msclnet.training.live_mirror import LiveMirror
from msclnet.training.metrics_log import MetricsLog
from msclnet.training.process_group import Processes, StopRequests, gather, processes
from msclnet.training.progress import Progress
from msclnet.training.schedule import rate

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}
WORK = "work"  # what a resumed training needs; not an output of the workflow, which deletes those before a job
MODEL, METRICS, CONFIG = "model.pt", "metrics.jsonl", "config.yaml"


def train(
    job: TrainJob,
    pack_folder: Path,
    folder: Path,
    live: LiveMirror | None = None,
    *,
    checkpoint_every: float = 60.0,
    timeout: float = 600.0,
    launcher: int = 0,
    terminal: Path | None = None,
    code: str = "",
) -> None:
    """Trains ``job`` on the pack and leaves model.pt, metrics.jsonl and config.yaml in ``folder``.

    Continues from ``folder/work`` where a training of the same configuration stopped, to the same bits. A checkpoint is
    written every ``checkpoint_every`` seconds; a process waits at most ``timeout`` seconds for the others; ``launcher``
    as in StopRequests, ``terminal`` as in Progress. What was finished by the same ``code`` (any name of it) is not
    trained again: its outputs, where they are gone, are put back.

    Raises DataError when what lies there is of another configuration or the pack is corrupt, ConfigError when the batch
    does not fit the data or the processes, NonFiniteLoss, NotFinite, OutOfMemory, StorageError, and Stopped after a
    signal.
    """
    work = folder / WORK
    forget(work)
    with (
        processes(job.train.threads, timeout) as process,
        final(work),
        StopRequests(process, launcher) as stop,
        exclusive_lock(work, timeout / 2) if process.first else nullcontext(),
    ):
        state_tf32(job.train.tf32)
        pack = Pack.open(pack_folder)
        origin = plain(job) | {"pack": pack.verify() if process.first else None}
        finished = Finished(work, folder, origin, code)
        if process.shared(process.first and finished.restored()):
            return
        images = TrainingImages(pack, recipe(job), process.rank, process.world)
        network = build_network(job, len(images.identities)).to(process.device).to(memory_format=torch.channels_last)
        optimiser = build_optimiser(network, job)
        scaler = build_scaler(process.device, job)
        model = parallel(network, job, process)
        state = process.shared(newest(work, origin) if process.first else None)
        if state:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
            scaler.load_state_dict(state["scaler"])
        epoch, taken = (state["epoch"], state["taken"]) if state else (1, 0)
        progress = Progress(job.epochs * images.steps, f"{job.set} {job.method_name} split {job.split}", terminal)
        record = MetricsLog(work / METRICS, process, progress, state and state["record"])

        def contents() -> dict[str, Any]:
            return {
                "step": record.step,
                "record": record.state(),
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "scaler": scaler.state_dict(),
            }

        keeper = Checkpointer(work, checkpoint_every, origin, contents, process, stop)
        if process.first:
            with atomic_write(folder / CONFIG) as partial:  # the live mirror reads it
                partial.write_text(yaml.safe_dump(plain(job), sort_keys=False))
        while epoch <= job.epochs:
            train_epoch(model, images, optimiser, scaler, job, epoch, process, record, keeper, taken)
            epoch, taken = epoch + 1, 0
            if process.first and live:
                live.upload(folder)
            if keeper.due() or epoch > job.epochs:
                keeper.keep(epoch, taken)
        record.end()
        if process.first:
            record.state()  # all of it is on the disk
            with finished.written() as outputs:
                save_model(outputs / MODEL, network, job.model, job.method, job.objective, plain(job))
                shutil.copyfile(folder / CONFIG, outputs / CONFIG)
                shutil.copyfile(work / METRICS, outputs / METRICS)


def train_epoch(
    model: nn.Module,
    images: TrainingImages,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    job: TrainJob,
    epoch: int,
    process: Processes,
    record: MetricsLog,
    keeper: Checkpointer,
    taken: int = 0,
) -> None:
    """One epoch, after its first ``taken`` steps.

    The losses are read out, and checked, at the logging interval and before a checkpoint, so that the GPU is not waited
    for.
    """
    model.train()
    set_rate(optimiser, epoch, job)
    unread: list[dict[str, Tensor]] = []
    record.begin_epoch(epoch, rate(epoch, job.train), images.pairs * 2, taken)
    for number, batch in enumerate(images.epoch(epoch, process.device, taken), start=taken + 1):
        unread.append(train_step(model, batch, optimiser, scaler, job))
        last = number == images.steps
        log, keep = number % job.train.log_every == 0 or last, keeper.due() and not last
        if log or keep:
            record.steps(unread, log)
            unread.clear()
        if keep:
            keeper.keep(epoch, number)
    record.end_epoch()


def train_step(
    model: nn.Module,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    job: TrainJob,
) -> dict[str, Tensor]:
    """One step on this process's share of a batch; returns the unweighted terms and their ``total``, detached.

    Mixed precision ends where the outputs are gathered. In float16 a step whose gradients overflow changes no weight;
    the ``scale`` of the loss and whether the step was ``skipped`` are returned too. Nothing waits for a GPU.
    """
    half = HALF.get(job.train.precision)
    with torch.autocast(batch.visible.device.type, half, enabled=half is not None):
        outputs = model(batch)
    outputs = gather(outputs.at_least_float32())
    terms = objective.terms(outputs, job.method.losses, job.objective)
    total = objective.total(terms, job.method.losses)
    optimiser.zero_grad(set_to_none=True)
    scaler.scale(total).backward()
    scaler.step(optimiser)
    read = {"total": total.detach(), **{name: value.detach() for name, value in terms.items()}}
    return read | _update(scaler, torch.ones_like(read["total"]))


def _update(scaler: torch.amp.GradScaler, one: Tensor) -> dict[str, Tensor]:
    """The scale of this step, and whether it was too large; nothing without scaling."""
    if not scaler.is_enabled():
        return {}
    scale = scaler.scale(one)
    scaler.update()
    return {"scale": scale, "skipped": (scaler.scale(one) < scale).float()}


def build_network(job: TrainJob, identities: int) -> MSCLNet:
    """The network before its first step, a function of the job's seed and split alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed * 1000 + job.split)
        return MSCLNet(identities, job.model, job.method, job.objective)


def build_optimiser(network: MSCLNet, job: TrainJob) -> torch.optim.SGD:
    """SGD with two groups: the backbone at ``backbone_factor`` of the rate, and the rest."""
    recipe = job.train
    backbone, rest = network.parameter_groups()
    optimiser = torch.optim.SGD(
        [{"params": backbone, "factor": recipe.backbone_factor}, {"params": rest, "factor": 1.0}],
        lr=recipe.rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    # A fused SGD whose first step is skipped (float16) would go on with the uninitialised momentum it had set aside.
    optimiser.state.update({p: {"momentum_buffer": torch.zeros_like(p)} for p in (*backbone, *rest)})
    return optimiser


def build_scaler(device: torch.device, job: TrainJob) -> torch.amp.GradScaler:
    """The loss scaling of float16; passes everything through in another precision."""
    return torch.amp.GradScaler(device.type, enabled=job.train.precision == "float16")


def state_tf32(allowed: bool) -> None:
    """Whether GPUs may round the factors of float32 products to TF32, stated for this process.

    By the older two of torch's settings: what exports a network reads those, and raises where only newer ones are set.
    """
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def set_rate(optimiser: torch.optim.Optimizer, epoch: int, job: TrainJob) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate(epoch, job.train) * group["factor"]


def parallel(network: MSCLNet, job: TrainJob, process: Processes) -> nn.Module:
    """The network as it is trained: by DDP, itself for a single process; compiled if so configured."""
    model: nn.Module = network
    if process.world > 1:
        if job.train.sync_batchnorm:
            synchronise(network, process.device.type)
        cuda = process.device.type == "cuda"
        # Else DDP orders its buckets anew after the first step, and a training resumed after any later one would add up
        # the processes' gradients in another order than one that was never interrupted.
        model = nn.parallel.DistributedDataParallel(
            network, device_ids=[process.device] if cuda else None, find_unused_parameters=not cuda
        )
    if job.train.compile:
        model.compile()
    return model


def recipe(job: TrainJob) -> Recipe:
    """What of a training's configuration decides its batches."""
    return Recipe(
        seed=job.seed,
        split=job.split,
        identities=job.train.identities,
        images=job.train.images,
        least=1 if job.train.sync_batchnorm else 2,  # one row of a modality has no variance to be normalised by
        padding=job.train.padding,
        flip=job.train.flip,
        erasing=job.method.erasing,
        erasing_area=job.train.erasing_area,
    )
