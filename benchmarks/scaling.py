"""The measured numbers of docs/scaling.md: what a training step costs by part, and by the number of processes.

    python benchmarks/scaling.py                              # one process: steps, reading, sizes, search
    python -m msclnet.launch.elastic --processes 2 benchmarks/scaling.py    # the gather, and DDP's own exchange

Times are of the process's CPU clock, one thread, the median of several runs, so that other work on the machine weighs
little; exchanges, which wait for each other, are the quickest of several on the wall clock.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from msclnet.config import TrainJob, load, replace, train_job
from msclnet.core import array_file
from msclnet.core.types import Batch, Modality, Outputs
from msclnet.training.gather import gather
from msclnet.training.learner import Learner, build_network
from msclnet.training.process_group import Processes, processes
from msclnet.training.trainer import train_step

ROOT = Path(__file__).parents[1]
IDENTITIES = {"regdb": 206, "sysu": 395}  # of the training half


def main() -> None:
    small = load(str(ROOT / "config/config.yaml"))
    paper = load(*(str(ROOT / f"config/{name}.yaml") for name in ("config", "paper")))
    paper = replace(paper, model=replace(paper.model, weights="none"))  # as fast, and no download
    with processes(1) as process:
        if process.world > 1:
            exchanges(train_job(paper, "sysu", "msclnet", 1), process.world, process.first)
            return
        for method in ("agw", "msclnet"):
            for pairs in (32, 16, 8, 4):
                seconds = step(train_job(small, "regdb", method, 1), pairs, process)
                print(f"small network, {method}, {pairs} pairs a process: {1000 * seconds:.1f} ms a step")
        job = train_job(paper, "sysu", "msclnet", 1)
        print(f"paper's network, msclnet, 32 pairs: {step(job, 32, process, times=3):.1f} s a step")
        sizes(job)
        reading(job)
        search()


def cpu_time(run: Callable[[], object], times: int) -> float:
    """The median of the process's CPU seconds in ``run``, after one to warm up."""
    run()
    taken = []
    for _ in range(times):
        began = time.process_time()
        run()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def step(job: TrainJob, pairs: int, process: Processes, times: int = 15) -> float:
    """A whole training step on ``pairs`` random pairs."""
    learner = Learner.of(job, IDENTITIES[job.set], process)
    learner.model.train()
    labels = torch.arange(pairs) // job.train.images
    images = torch.randn(2, pairs, 3, job.height, job.width)
    cameras = torch.ones(pairs, dtype=torch.int64)
    batch = Batch(images[0], images[1], labels, cameras, cameras + 2)
    return cpu_time(lambda: train_step(learner, batch), times)


def sizes(job: TrainJob) -> None:
    """What the processes exchange in a step of the paper's network."""
    network = build_network(job, IDENTITIES[job.set])
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    pair = sum(value.nbytes for value in outputs(job, 1).values())
    print(f"paper's network: {parameters / 1e6:.1f} M parameters, {4 * parameters / 1e6:.0f} MB of gradients")
    print(f"outputs: {pair / 1e3:.0f} kB a pair, {32 * pair / 1e6:.2f} MB for a batch of 32")


def outputs(job: TrainJob, pairs: int) -> dict[str, Tensor]:
    """Tensors as the network's Outputs hold them, without running it."""
    widths: dict[str, tuple[int, ...]] = {"labels": (), "visible_cameras": (), "infrared_cameras": ()}
    widths |= {field.name: (2048,) for field in dataclasses.fields(Outputs) if field.name not in widths}
    widths |= {name: (IDENTITIES[job.set],) for name in widths if name.endswith("logits")}
    widths |= {name: (job.model.parts, 2048) for name in widths if name.endswith("blocks")}
    kinds = {name: torch.float32 if width else torch.int64 for name, width in widths.items()}
    return {name: torch.ones(pairs, *width, dtype=kinds[name]) for name, width in widths.items()}


def reading(job: TrainJob, images: int = 2000, pairs: int = 32) -> None:
    """A batch's pixels out of a memory map that lies in memory, as a pack's does after the first epoch."""
    shape = (images, job.height, job.width, 3)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        pixels = array_file.create(Path(folder, "pixels.npy"), np.uint8, shape)
        pixels[:] = 1
        seconds = cpu_time(lambda: [pixels[rng.integers(0, images, pairs)] for _ in Modality], 50)
    print(f"reading a batch of {2 * pairs} images: {1000 * seconds:.1f} ms, {2 * pairs / seconds:.0f} images/s")


def exchanges(job: TrainJob, world: int, first: bool) -> None:
    """The gather of a step's outputs, forward and backward, and the mean of the gradients that DDP takes."""
    mine = {n: v.requires_grad_() if v.is_floating_point() else v for n, v in outputs(job, 32 // world).items()}

    def gather_both_ways() -> None:
        whole = gather(Outputs(**mine))
        total = torch.stack([v.sum() for v in vars(whole).values() if v is not None and v.is_floating_point()]).sum()
        total.backward()

    parameters = sum(p.numel() for p in build_network(job, IDENTITIES[job.set]).parameters())
    gradients = torch.ones(parameters)
    for name, run in {"gather": gather_both_ways, "gradients": lambda: dist.all_reduce(gradients)}.items():
        taken = []
        for _ in range(12):
            dist.barrier()
            began = time.perf_counter()
            run()
            taken.append(time.perf_counter() - began)
        if first:
            print(f"{world} processes, gloo, {name}: {1000 * min(taken):.0f} ms")


def search(gallery: int = 100_000, dimension: int = 2048, queries: int = 64) -> None:
    """Exact comparison of queries with a gallery in memory."""
    features, asked = torch.randn(gallery, dimension), torch.randn(queries, dimension)
    seconds = cpu_time(lambda: (asked @ features.T).topk(50), 5)
    rate = 2 * gallery * dimension * queries / seconds / 1e9
    each = 1000 * seconds / queries
    print(f"exact search, {gallery} images: {each:.1f} ms a query in blocks of {queries}, {rate:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
