"""One step of each method as torchrun starts it: ``steps.py OUT METHOD ...``; the first rank writes what came of it.

float64, and batch normalisation either "fixed" at its running statistics, so that what is left to depend on the number
of processes is the gather, the losses and DDP, or "synchronised", over the rows of all of them.
"""

import sys
from itertools import product
from pathlib import Path

import torch

from msclnet import config as settings
from msclnet.config import replace
from msclnet.core.types import Batch
from msclnet.data.sampling import share
from msclnet.losses import objective
from msclnet.training.gather import gather
from msclnet.training.learner import build_network, parallel
from msclnet.training.process_group import processes

NORMALISATIONS = ("fixed", "synchronised")
PAIRS, IDENTITIES, SIZE = 8, 4, (96, 48)


def global_batch(joint: bool) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, PAIRS, 3, *SIZE, generator=generator, dtype=torch.float64)
    labels = torch.arange(IDENTITIES).repeat_interleave(PAIRS // IDENTITIES)
    cameras = torch.randint(1, 3, (PAIRS,), generator=generator)
    return Batch(images[0], images[1], labels, cameras, cameras + 2, images[2] if joint else None)


def main(out: Path, methods: list[str]) -> None:
    config = settings.load(str(Path(__file__).parents[3] / "config/config.yaml"))
    results = {}
    with processes(1) as process:
        rows = share(PAIRS, process.rank, process.world)
        for method, normalisation in product(methods, NORMALISATIONS):
            job = settings.train_job(config, "sysu", method, 1)
            whole = vars(global_batch(job.method.channels == "joint"))
            mine = Batch(**{name: value[rows] for name, value in whole.items() if value is not None})
            synchronised = normalisation == "synchronised"
            job = replace(job, train=replace(job.train, sync_batchnorm=synchronised))
            network = build_network(job, IDENTITIES).double().train(synchronised)
            model = parallel(network, job, process)  # DDP averages gradients only as long as it lives
            terms = objective.terms(gather(model(mine)), job.method.losses, job.objective)
            objective.total(terms, job.method.losses).backward()
            results[f"{method}, {normalisation}"] = {
                "terms": {name: value.detach() for name, value in terms.items()},
                "gradients": {name: p.grad for name, p in network.named_parameters() if p.grad is not None},
                "statistics": {name: value.double() for name, value in network.named_buffers()},
            }
        if process.first:
            torch.save(results, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
