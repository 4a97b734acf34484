"""What each term of the objective does to the weights: its gradient's norm, and whom it pulls with or against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from msclnet.core.types import Batch, Outputs
from msclnet.losses import objective
from msclnet.training.gather import gather
from msclnet.training.learner import Learner

INERT = 1e-3  # a term below this share of the total gradient's norm does next to nothing
FIRST = "identity"  # the term whose direction the others are held against


def pull(learner: Learner, batch: Batch) -> tuple[dict[str, float], dict[str, float]]:
    """The gradient of each weighted term on a batch, over all the weights that are trained.

    It is taken on the network as a step would see it, in training mode and the step's precision, but for float16,
    whose small gradients need a scale: float32. Nothing of the training changes: what the forward pass moves (running
    means) is moved on a copy. Every process must take part.

    Args:
        learner: what learns.
        batch: this process's share of a batch.

    Returns:
        The norm of each term's gradient, and of the ``total``'s.
        Each term's cosine with the gradient of ``identity``; nothing where that is not among the terms.
    """
    weights = learner.job.method.losses
    terms = objective.terms(_outputs(learner, batch), weights, learner.job.objective, learner.memory)
    parameters = [p for p in learner.network.parameters() if p.requires_grad]
    norms, cosines = {"total": 0.0}, {}
    total, first = None, None
    for name, value in terms.items():
        gradient = gradient_of(weights[name] * value, parameters)
        if dist.is_initialized():  # by the gather each process's is world times too large, as in a step
            dist.all_reduce(gradient)
            gradient /= dist.get_world_size()
        norms[name] = float(gradient.norm())
        if name == FIRST:
            first = gradient
        elif first is not None:
            cosines[name] = float(torch.cosine_similarity(gradient, first, dim=0))
        total = gradient.clone() if total is None else total.add_(gradient)
    norms["total"] = float(total.norm()) if total is not None else 0.0
    return norms, cosines


def _outputs(learner: Learner, batch: Batch) -> Outputs:
    """The whole batch's outputs, of the network not compiled: a compiled one's graph gives one gradient only."""
    network, precision = learner.network, learner.job.train.precision
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    half = torch.autocast(learner.device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with half, torch.compiler.set_stance("force_eager"):
        outputs = torch.func.functional_call(network, buffers, (batch,))
    return gather(outputs.at_least_float32())


def gradient_of(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """The gradient of a scalar in some parameters as one vector, in float32; 0 where it does not depend on one."""
    if not loss.requires_grad:
        return torch.cat([torch.zeros_like(p).flatten() for p in parameters])
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    flat = [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]
    return torch.cat([g.flatten() for g in flat])


def inert(norms: Mapping[str, float]) -> list[str]:
    """The terms whose gradient is below ``INERT`` of the total's norm."""
    return [name for name, norm in norms.items() if name != "total" and norm < INERT * norms["total"]]
