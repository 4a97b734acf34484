"""One step of each method as torchrun starts it: ``steps.py OUT METHOD ...``; the first rank writes what came of it.

float64, batch normalisation fixed at its running statistics: what is left to depend on the number of processes is
the gather, the losses and DDP.
"""

import sys
from pathlib import Path

import torch

from msclnet import config as settings
from msclnet.data.sampling import share
from msclnet.distributed import gather, processes
from msclnet.losses import objective
from msclnet.train import build_network, parallel
from msclnet.types import Batch

PAIRS, IDENTITIES, SIZE = 8, 4, (96, 48)


def global_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, PAIRS, 3, *SIZE, generator=generator, dtype=torch.float64)
    labels = torch.arange(IDENTITIES).repeat_interleave(PAIRS // IDENTITIES)
    cameras = torch.randint(1, 3, (PAIRS,), generator=generator)
    return Batch(images[0], images[1], labels, cameras, cameras + 2)


def main(out: Path, methods: list[str]) -> None:
    config = settings.load(str(Path(__file__).parents[2] / "config/config.yaml"))
    results = {}
    with processes(1) as process:
        rows = share(PAIRS, process.rank, process.world)
        mine = Batch(**{name: value[rows] for name, value in vars(global_batch()).items()})
        for method in methods:
            job = settings.train_job(config, "sysu", method, 1)
            network = build_network(job, IDENTITIES).double().eval()
            model = parallel(network, job, process)  # DDP averages gradients only as long as it lives
            terms = objective.terms(gather(model(mine)), job.method.losses, job.objective)
            objective.total(terms, job.method.losses).backward()
            gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
            results[method] = {"terms": {k: v.detach() for k, v in terms.items()}, "gradients": gradients}
        if process.first:
            torch.save(results, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
