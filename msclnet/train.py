"""Training of one split by one method, on any number of processes.

    torchrun --standalone --nproc-per-node 2 workflow/scripts/train.py --job job.yaml --pack PACK --out FOLDER

A batch by eye: ``TrainingImages.epoch`` -> ``train_step`` -> ``MSCLNet.forward`` -> ``gather`` -> ``objective`` ->
optimiser -> ``Record``. Everything random is a function of (seed, split, epoch, step), so a training resumed at an
epoch's end continues as if it had never stopped.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import yaml
from torch import Tensor, nn

from msclnet import checkpoint
from msclnet.batchnorm import synchronise
from msclnet.config import TrainJob, plain
from msclnet.data.dataset import Recipe, TrainingImages
from msclnet.data.pack import Pack
from msclnet.distributed import Processes, gather, processes
from msclnet.losses import objective
from msclnet.model.msclnet import MSCLNet
from msclnet.model.saved import save_model
from msclnet.record import Live, Record
from msclnet.schedule import rate
from msclnet.types import Batch, DataError

WORK = "work"  # what a resumed training needs; not an output of the workflow, which deletes those before a job
MODEL, METRICS, CONFIG = "model.pt", "metrics.jsonl", "config.yaml"


def train(job: TrainJob, pack_folder: Path, folder: Path, live: Live | None = None) -> None:
    """Trains ``job`` on the pack and leaves model.pt, metrics.jsonl and config.yaml in ``folder``.

    Continues from ``folder/work`` where a training of the same configuration stopped. Raises DataError when what lies
    there is of another configuration, ConfigError when the batch does not fit the data or the processes, and
    NonFiniteLoss.
    """
    with processes(job.train.threads) as process:
        images = TrainingImages(Pack.open(pack_folder), recipe(job), process.rank, process.world)
        network = build_network(job, len(images.identities)).to(process.device).to(memory_format=torch.channels_last)
        optimiser = build_optimiser(network, job)
        model = parallel(network, job, process)
        state = _resume(job, folder / WORK / "checkpoint.pt", network, optimiser)
        record = Record(folder / WORK / METRICS, process, state["step"], job.epochs * images.steps)
        for epoch in range(state["epoch"] + 1, job.epochs + 1):
            train_epoch(model, images, optimiser, job, epoch, process, record)
            if process.first and (epoch % job.train.checkpoint_every == 0 or epoch == job.epochs):
                _save(folder / WORK / "checkpoint.pt", job, network, optimiser, epoch, record.step)
            if process.first and live:
                live.upload(folder)
        record.end()
        if process.first:
            _finish(folder, job, network)


def train_epoch(
    model: nn.Module,
    images: TrainingImages,
    optimiser: torch.optim.Optimizer,
    job: TrainJob,
    epoch: int,
    process: Processes,
    record: Record,
) -> None:
    """One epoch; the losses are read out, and checked, at the logging interval, so that the GPU is not waited for."""
    model.train()
    set_rate(optimiser, epoch, job)
    unread: list[dict[str, Tensor]] = []
    record.begin_epoch(epoch, rate(epoch, job.train), images.pairs * 2)
    for number, batch in enumerate(images.epoch(epoch, process.device), start=1):
        unread.append(train_step(model, batch, optimiser, job))
        if number % job.train.log_every == 0 or number == images.steps:
            record.steps(unread)
            unread.clear()
    record.end_epoch()


def train_step(model: nn.Module, batch: Batch, optimiser: torch.optim.Optimizer, job: TrainJob) -> dict[str, Tensor]:
    """One step on this process's share of a batch; returns the unweighted terms and their ``total``, detached."""
    device = batch.visible.device
    with torch.autocast(device.type, torch.bfloat16, enabled=job.train.precision == "bfloat16"):
        outputs = model(batch)
    outputs = gather(outputs)
    terms = objective.terms(outputs, job.method.losses, job.objective)
    total = objective.total(terms, job.method.losses)
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    optimiser.step()
    return {"total": total.detach(), **{name: value.detach() for name, value in terms.items()}}


def build_network(job: TrainJob, identities: int) -> MSCLNet:
    """The network before its first step, a function of the job's seed and split alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed * 1000 + job.split)
        return MSCLNet(identities, job.model, job.method, job.objective)


def build_optimiser(network: MSCLNet, job: TrainJob) -> torch.optim.SGD:
    """SGD with two groups: the backbone at ``backbone_factor`` of the rate, and the rest."""
    recipe = job.train
    backbone, rest = network.parameter_groups()
    return torch.optim.SGD(
        [{"params": backbone, "factor": recipe.backbone_factor}, {"params": rest, "factor": 1.0}],
        lr=recipe.rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def set_rate(optimiser: torch.optim.Optimizer, epoch: int, job: TrainJob) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate(epoch, job.train) * group["factor"]


def parallel(network: MSCLNet, job: TrainJob, process: Processes) -> nn.Module:
    """The network as DDP trains it; itself for a single process."""
    if process.world == 1:
        return network
    if job.train.sync_batchnorm:
        synchronise(network, process.device.type)
    devices = [process.device] if process.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(network, device_ids=devices)


def recipe(job: TrainJob) -> Recipe:
    """What of a training's configuration decides its batches."""
    return Recipe(
        seed=job.seed,
        split=job.split,
        identities=job.train.identities,
        images=job.train.images,
        padding=job.train.padding,
        flip=job.train.flip,
        erasing=job.method.erasing,
        erasing_area=job.train.erasing_area,
    )


def _save(path: Path, job: TrainJob, network: MSCLNet, optimiser: torch.optim.Optimizer, epoch: int, step: int) -> None:
    state = {"job": plain(job), "epoch": epoch, "step": step}
    checkpoint.save(path, {**state, "network": network.state_dict(), "optimiser": optimiser.state_dict()})


def _resume(job: TrainJob, path: Path, network: MSCLNet, optimiser: torch.optim.Optimizer) -> dict[str, int]:
    """Where to go on from: the end of the checkpoint's epoch, or the beginning."""
    if not path.exists():
        return {"epoch": 0, "step": 0}
    state = checkpoint.load(path)
    if lines := checkpoint.differing(plain(job), state["job"]):
        raise DataError(
            f"{path}: a checkpoint of another configuration:\n  " + "\n  ".join(lines) + "\n"
            f"Restore these values to continue it, or delete {path.parent} to train from the beginning"
        )
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return {"epoch": state["epoch"], "step": state["step"]}


def _finish(folder: Path, job: TrainJob, network: MSCLNet) -> None:
    """The outputs, in an order that lets a kill between any two be finished by the next run."""
    (folder / CONFIG).write_text(yaml.safe_dump(plain(job), sort_keys=False))
    save_model(folder / MODEL, network, job.model, job.method, job.objective, plain(job))
    shutil.copyfile(folder / WORK / METRICS, folder / METRICS)
    shutil.rmtree(folder / WORK)
