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
    there = {name: value for name, value in fields.items() if value is not None}
    whole: dict[str, Tensor] = {}
    for dtype in dict.fromkeys(value.dtype for value in there.values()):
        names = [name for name, value in there.items() if value.dtype == dtype]
        values = [there[name] for name in names]
        whole |= zip(names, _gather(values), strict=True)
    return dataclasses.replace(outputs, **whole)


def _gather(values: list[Tensor]) -> list[Tensor]:
    """Tensors of as many rows and of one type, each of all ranks: in one message."""
    rows = len(values[0])
    flat = torch.cat([value.reshape(rows, -1) for value in values], dim=1)
    whole = _Gather.apply(flat) if flat.is_floating_point() else _all_gather(flat)
    parts = whole.split([value[0].numel() for value in values], dim=1)
    return [part.reshape(-1, *value.shape[1:]) for part, value in zip(parts, values, strict=True)]


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
        total = gradient.clone(memory_format=torch.contiguous_format)  # it may be another function's, too
        dist.all_reduce(total)
        return total[dist.get_rank() * ctx.rows :][: ctx.rows]


def _all_gather(local: Tensor) -> Tensor:
    parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, local.contiguous())
    return torch.cat(parts)
