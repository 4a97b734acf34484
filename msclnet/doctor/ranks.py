"""A step of each method as torchrun starts it, and whether more processes give the same.

float64, and batch normalisation either ``fixed`` at its running statistics, so that what is left to depend on the
number of processes is the gather, the losses and DDP, or ``synchronised``, over the rows of all of them. As a script
``ranks.py OUT NORMALISATIONS METHOD ...``: the first process writes what came of it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from msclnet.config import Config, replace
from msclnet.core.types import Batch
from msclnet.data.sampling import share
from msclnet.doctor.line import Line, failed, passed
from msclnet.doctor.place import Place, job_of
from msclnet.launch.torchrun import Layout
from msclnet.losses import objective
from msclnet.training.gather import gather
from msclnet.training.learner import build_network, parallel
from msclnet.training.process_group import Processes, processes

NORMALISATIONS = ("fixed", "synchronised")
PAIRS, IDENTITIES, SIZE = 8, 4, (96, 48)
TOLERANCE = 1e-6  # of a tensor, relative to its largest value
TIMEOUT = 100.0  # seconds that processes wait for each other
Found = dict[str, dict[str, Tensor]]  # by what it is, and its name


def counts(most: int) -> list[int]:
    """The numbers of processes to try beside one: 2, 4, ... and ``most``, of those that share the batch."""
    return [n for n in range(2, most + 1) if PAIRS % n == 0 and (n & (n - 1) == 0 or n == most)]


def ranks(place: Place) -> Iterator[Line]:
    """A line for each number of processes beyond one, as torchrun's agent starts them for a training."""
    methods = tuple(place.default().methods)
    alone = launched(place, 1, methods)
    for world in counts(place.processes):
        yield compared(place, world, alone, launched(place, world, methods))


def launched(place: Place, world: int, methods: tuple[str, ...]) -> dict[str, Found]:
    """What a step gives on ``world`` processes, started as the workflow starts a training's."""
    out = place.folder / f"ranks-{world}.pt"
    layout = Layout("gpu" if place.gpus else "cpu", world if world > 1 else None, 1, place.cores, timeout=TIMEOUT)
    script = [__file__, str(out), "synchronised", *methods]
    code = f"from msclnet.launch.torchrun import Layout, launch; launch({script!r}, {layout!r})"
    done = subprocess.run([sys.executable, "-c", code], stdout=sys.stderr)
    if done.returncode:
        raise RuntimeError(f"{world} processes ended with status {done.returncode}")
    return torch.load(out, weights_only=True)


def compared(place: Place, world: int, alone: dict[str, Found], shared: dict[str, Found]) -> Line:
    """Whether ``world`` processes gave what one did."""
    differences = {
        f"{step}, {kind} {name}": difference(shared[step][kind][name], value)
        for step, found in alone.items()
        for kind, values in found.items()
        for name, value in values.items()
    }
    worst = max(differences, key=lambda name: differences[name])
    backend = "NCCL" if place.gpus else "gloo"
    check = f"{world} processes by {backend}"
    said = f"losses, gradients and statistics are those of one process within {differences[worst]:.1g} ({worst})"
    values = {"difference": differences[worst], "allowed": TOLERANCE}
    if differences[worst] <= TOLERANCE:
        return passed(check, said, **values)
    remedy = "train on one GPU each (run.gpus_per_training: 1) until what exchanges the gradients is mended"
    return failed(check, f"{said}; allowed {TOLERANCE:g}", remedy, **values)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference of a value, relative to the largest value; infinite where one is no number."""
    if found.numel() == 0:
        return 0.0
    largest = (found - expected).abs().max() / expected.abs().max().clamp(min=1e-3)
    return float(largest.nan_to_num(nan=float("inf")))


def step(config: Config, method: str, normalisation: str, process: Processes) -> Found:
    """What this process and the others of its group find of a step on one batch, which they share."""
    job = job_of(config, method)
    rows = share(PAIRS, process.rank, process.world)
    whole = vars(global_batch(job.method.channels == "joint"))
    mine = Batch(**{name: value[rows].to(process.device) for name, value in whole.items() if value is not None})
    synchronised = normalisation == "synchronised"
    job = replace(job, train=replace(job.train, sync_batchnorm=synchronised))
    network = build_network(job, IDENTITIES).double().to(process.device).train(synchronised)
    model = parallel(network, job, process)  # DDP averages gradients only as long as it lives
    terms = objective.terms(gather(model(mine)), job.method.losses, job.objective)
    objective.total(terms, job.method.losses).backward()
    return {
        "terms": {name: value.detach().cpu() for name, value in terms.items()},
        "gradients": {name: p.grad.cpu() for name, p in network.named_parameters() if p.grad is not None},
        "statistics": {name: value.double().cpu() for name, value in network.named_buffers()},
    }


def global_batch(joint: bool) -> Batch:
    """Eight pairs of four people, of random values; ``joint``: with the visible images augmented a second time."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, PAIRS, 3, *SIZE, generator=generator, dtype=torch.float64)
    labels = torch.arange(IDENTITIES).repeat_interleave(PAIRS // IDENTITIES)
    cameras = torch.randint(1, 3, (PAIRS,), generator=generator)
    return Batch(images[0], images[1], labels, cameras, cameras + 2, images[2] if joint else None)


def main(out: Path, normalisations: list[str], methods: list[str]) -> None:
    place = Place(out.parent, out.parent, 0, 1, 1)
    with processes(1, TIMEOUT) as process:
        pairs: list[tuple[str, Any]] = list(product(methods, normalisations))
        results = {f"{method}, {how}": step(place.default(), method, how, process) for method, how in pairs}
        if process.first:
            torch.save(results, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:])
