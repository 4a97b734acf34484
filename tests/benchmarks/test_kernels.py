"""The count of a compiled step's kernels finds each convolution, forward and backward."""

from __future__ import annotations

from torch import nn

from benchmarks.kernels import kernels, kind
from msclnet.config import Config, train_job
from msclnet.training.learner import build_network


def test_each_convolution_is_found_twice(default: Config) -> None:
    job = train_job(default, "sysu", "base", 1)
    convolutions = sum(isinstance(module, nn.Conv2d) for module in build_network(job, 4).modules())
    found = kernels(job)
    assert found["convolutions"] == 2 * convolutions
    assert found["products"] == 2 * (1 + 2), "classifier and distances, each with two gradients"
    assert found["joined"] > convolutions, "at least each one's batch normalisation"


def test_calls_are_told_apart() -> None:
    calls = ("cpp_fused", "extern_kernels.bmm", "torch.ops.aten.convolution_backward", "torch.ops.aten._foreach_mul")
    assert [kind(call) for call in calls] == ["joined", "products", "convolutions", "other"]
