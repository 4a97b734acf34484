"""Batch normalisation over the rows of all processes, on the CPU as on GPUs."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """``[N, C, ...]`` on each process, as many rows on each.

    torch's own refuses the CPU, and on a GPU it reads values out at each layer, for which the host waits. The
    statistics carry gradients between the processes, as the gather of the outputs does.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        values = input.to(self.weight.dtype)  # statistics of bfloat16 features are float32
        dims = [dim for dim in range(values.dim()) if dim != 1]
        shape = [-1 if dim == 1 else 1 for dim in range(values.dim())]
        rows = values.numel() // values.shape[1] * dist.get_world_size()
        mean = _Sum.apply(values.sum(dims)) / rows
        centred = values - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(dims)) / rows
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.detach(), self.momentum)
        self.running_var.lerp_(variance.detach() * rows / (rows - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""


class _Sum(torch.autograd.Function):
    """The sum of all ranks' tensors; backward sums the gradients, which come from all of them."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        return _sum(local)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(local: Tensor) -> Tensor:
    total = local.clone(memory_format=torch.contiguous_format)  # it may be another function's, too
    dist.all_reduce(total)
    return total


def synchronise(network: nn.Module) -> None:
    """Puts in the place of each BatchNorm of ``network`` one over all processes, with the same parameter objects."""
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                whole = SyncBatchNorm(module.num_features, module.eps, module.momentum)
                for tensor in module.state_dict():
                    setattr(whole, tensor, getattr(module, tensor))
                setattr(parent, name, whole.train(module.training))
