"""The process group, and a gather that carries gradients; both are the identity for a single process."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from msclnet.types import Outputs


@dataclass(frozen=True)
class Processes:
    """This process among those of its training."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0


@contextmanager
def processes(threads: int) -> Iterator[Processes]:
    """Joins the group torchrun describes in the environment (alone without one) and leaves it at the end.

    One GPU per process where there are GPUs (NCCL), else the CPU (gloo) with ``threads`` threads a process.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
        torch.set_num_threads(threads)
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(rank, world, device)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


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


def _all_gather(local: Tensor) -> Tensor:
    parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, local.contiguous())
    return torch.cat(parts)
