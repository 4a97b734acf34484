"""One training step as torchrun starts it: ``steps.py METHOD OUT``; the first rank writes losses and gradients.

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


def main(method: str, out: Path) -> None:
    config = settings.load(str(Path(__file__).parents[2] / "config/config.yaml"))
    job = settings.train_job(config, "sysu", method, 1)
    with processes(1) as process:
        network = build_network(job, IDENTITIES).double().eval()
        model = parallel(network, job, process)
        rows = share(PAIRS, process.rank, process.world)
        outputs = gather(model(Batch(**{name: value[rows] for name, value in vars(global_batch()).items()})))
        terms = objective.terms(outputs, job.method.losses, job.objective)
        objective.total(terms, job.method.losses).backward()
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        if process.first:
            torch.save({"terms": {k: v.detach() for k, v in terms.items()}, "gradients": gradients}, out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
