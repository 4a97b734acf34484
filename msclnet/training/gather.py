"""The whole batch's outputs on every process, with gradients; the identity for a single process."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from msclnet.core.types import Outputs


def gather(outputs: Outputs) -> Outputs:
    """The whole batch's outputs on every rank; gradients flow back to the rank each row came from.

    Every rank must hold the same number of pairs.
    """
    if not dist.is_initialized():
        return outputs
    fields = {f.name: getattr(outputs, f.name) for f in dataclasses.fields(outputs)}
    whole = {name: _gather(value) for name, value in fields.items() if value is not None}
    return dataclasses.replace(outputs, **whole)


def _gather(value: Tensor) -> Tensor:
    return _Gather.apply(value) if value.is_floating_point() else _all_gather(value)


class _Gather(torch.autograd.Function):
    """All ranks' rows, in the order of the ranks; backward sums every rank's gradient of this rank's rows.

    With the same loss computed on every rank that sum is ``world`` times the gradient, which DDP's mean undoes: the
    result is exactly the single-process gradient of the whole batch.
    """

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        ctx.rows = len(local)
        return _all_gather(local)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[dist.get_rank() * ctx.rows :][: ctx.rows]


def _all_gather(local: Tensor) -> Tensor:
    parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, local.contiguous())
    return torch.cat(parts)
