"""How many kernels a compiled step starts, with its backward: the calls in the code that torch writes for it.

PYTHONPATH=. python benchmarks/kernels.py [--config config/paper.yaml config/gpu.yaml] [--methods agw msclnet]

Needs no GPU: the generator writes for the CPU here. For a GPU it joins operations by the same rules, in other places.
The images are few and small; the operations are the same. The optimiser's are not among them. Prints Markdown.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path
from unittest import mock

import torch
from torch._inductor.utils import run_and_get_code

from msclnet.config import TrainJob, load, replace, train_job
from msclnet.training.learner import Learner
from msclnet.training.process_group import Processes
from msclnet.training.trainer import train_step
from tests.fake_gpu import batch_of

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
IDENTITIES = 395  # of SYSU-MM01's training half
CALL = re.compile(r"^ +(?:\w+ = )?(cpp_fused|extern_kernels\.\w+|torch\.ops\.aten\.\w+)", re.MULTILINE)
KINDS = {"convolution": "convolutions", "mm": "products", "bmm": "products", "addmm": "products", "baddbmm": "products"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paper = ["config/paper.yaml", "config/gpu.yaml"]
    parser.add_argument("--config", nargs="+", default=paper, help=f"over the default one (default: {' '.join(paper)})")
    parser.add_argument("--methods", nargs="+", default=["agw", "msclnet"], help="(default: agw msclnet)")
    args = parser.parse_args()
    config = load(str(ROOT / "config/config.yaml"), *args.config)
    print("| method | kernels | convolutions | products | joined by the generator | other |")
    print("| --- | --- | --- | --- | --- | --- |")
    for method in args.methods:
        found = kernels(train_job(config, "sysu", method, 1))
        columns = (found[kind] for kind in ("convolutions", "products", "joined", "other"))
        print(f"| {method} | {found.total()} | {' | '.join(map(str, columns))} |", flush=True)


def kernels(job: TrainJob) -> Counter[str]:
    """The kernels of a step, forward and backward, by their kind."""
    few = replace(job.train, identities=2, images=2, compile=True)
    job = replace(job, height=96, width=48, train=few, model=replace(job.model, weights="none"))
    learner = Learner.of(job, IDENTITIES, Processes(0, 1, CPU))
    learner.model.train()
    with mock.patch.object(torch._inductor.config, "fx_graph_cache", False):  # what is kept is not written again
        _, written = run_and_get_code(train_step, learner, batch_of(job, CPU))
    calls = (call for code in written for call in CALL.findall(code.partition("def call(")[2]))
    return Counter(kind(call) for call in calls)


def kind(call: str) -> str:
    """What a call in generated code does."""
    name = call.rpartition(".")[2].removesuffix("_backward")
    return "joined" if call == "cpp_fused" else KINDS.get(name, "other")


if __name__ == "__main__":
    main()
