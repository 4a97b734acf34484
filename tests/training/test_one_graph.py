"""Network and losses are one graph without a break, by the recipe for a current card: what train.compile compiles.

As a script ``test_one_graph.py METHOD ...``: a step of each, and how many graphs it was.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys

import torch
from torch import fx

from msclnet.config import TrainJob, load, replace, train_job
from msclnet.training import trainer
from msclnet.training.learner import Learner
from msclnet.training.process_group import Processes
from tests.conftest import ROOT
from tests.fake_gpu import batch_of

CPU = torch.device("cpu")
METHODS = ("agw_ca", "msclnet_ca")  # between them all that is added to the network, and all losses


def test_the_papers_network_and_losses_are_one_graph() -> None:
    """In a process in which no loss was asked for before: what is imported late was not followed by the compiler."""
    command = [sys.executable, "-m", "tests.training.test_one_graph", *METHODS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for method, found in zip(METHODS, map(json.loads, done.stdout.splitlines()), strict=True):
        assert len(found["graphs"]) == 1, method
        assert {"conv2d", "batch_norm", "cross_entropy", "softplus"} <= set(found["graphs"][0])
        assert found["totals"][0] == found["totals"][1] > 0, "batch normalisation reads the batch alone"


def job_of(method: str) -> TrainJob:
    """The paper's network by config/gpu.yaml, on a few small images."""
    config = load(*(str(ROOT / f"config/{name}.yaml") for name in ("config", "paper", "gpu")))
    job = train_job(config, "sysu", method, 1)
    assert (job.model.backbone, job.train.precision, job.train.compile) == ("resnet50", "bfloat16", True)
    few = replace(job.train, identities=2, images=2)
    return replace(job, height=96, width=48, train=few, model=replace(job.model, weights="none"))


def main(methods: list[str]) -> None:
    graphs: list[list[str]] = []

    def backend(graph: fx.GraphModule, inputs: list[object]) -> object:
        """In the place of the code generator, which takes minutes."""
        graphs.append([node.target.__name__ for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    torch.compile = functools.partial(torch.compile, backend=backend)
    for method in methods:
        job = job_of(method)
        learner = Learner.of(job, 395, Processes(0, 1, CPU))
        learner.model.train()
        steps = [learner.whole(trainer.forward)(learner, batch_of(job, CPU)) for _ in range(2)]
        print(json.dumps({"graphs": graphs, "totals": [float(total) for total, _, _ in steps]}))
        graphs.clear()


if __name__ == "__main__":
    main(sys.argv[1:])
