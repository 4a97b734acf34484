"""What learns: the network, its optimiser and the scaling of its loss, as a job's configuration builds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from msclnet.config import TrainJob
from msclnet.losses import objective
from msclnet.losses.inputs import every_camera
from msclnet.losses.memory import CentreMemory
from msclnet.losses.needs import needed, remembers
from msclnet.model.architecture import Architecture
from msclnet.model.msclnet import MSCLNet
from msclnet.training.batch_norm import synchronise
from msclnet.training.process_group import Processes
from msclnet.training.schedule import rate

Function = TypeVar("Function", bound=Callable)
CAPTURED: dict[str, Any] = {"triton.cudagraphs": True, "triton.cudagraph_or_error": True}  # for torch.compile
Cameras = tuple[np.ndarray, np.ndarray]  # of a training's visible and infrared images, int64, each once


@dataclass(frozen=True)
class Learner:
    """A network and what moves its weights; the same on every process of its training."""

    job: TrainJob
    device: torch.device
    network: MSCLNet
    model: nn.Module  # the network as a step calls it: by DDP, compiled, or itself
    optimiser: torch.optim.SGD
    scaler: torch.amp.GradScaler
    memory: CentreMemory | None = None  # the same on every process, which all see the whole batch
    graphs: dict[Callable, Callable] = field(default_factory=dict)  # compiled functions, by the plain ones

    @classmethod
    def of(cls, job: TrainJob, identities: int, process: Processes, cameras: Cameras | None = None) -> Learner:
        """As it is before its first step, on the process's device; ``cameras`` where centres are remembered."""
        network = build_network(job, identities).to(process.device).to(memory_format=torch.channels_last)
        optimiser = build_optimiser(network, job)
        scaler = torch.amp.GradScaler(process.device.type, enabled=job.train.precision == "float16")
        memory = None
        if cameras is not None and remembers(job.method.losses, job.objective):
            visible, infrared = map(torch.from_numpy, cameras)
            every = every_camera(visible, infrared, job.objective.cascade_on)
            memory = CentreMemory(identities, every, network.backbone.channels, job.objective.centre_memory)
            memory.to(process.device)
        model = parallel(network, job, process)
        if job.train.compile and (model is not network or memory is not None):
            model.compile()  # what is gathered or remembered lies outside a graph
        return cls(job, process.device, network, model, optimiser, scaler, memory)

    def whole(self, function: Function) -> Function:
        """A function of the network and the losses as one graph, where that is configured and can be; else itself.

        Where ``train.capture`` says so, a GPU repeats it, and its backward, as CUDA graphs: what it returned is
        overwritten by the next call, so what is to be kept must be copied. What cannot be captured is torch's error.
        """
        if not self.job.train.compile or self.model is not self.network or self.memory is not None:
            return function
        if function not in self.graphs:
            objective.load(self.job.method.losses)
            options = CAPTURED if self.job.train.capture and self.device.type == "cuda" else None
            self.graphs[function] = torch.compile(function, fullgraph=True, options=options)
        return cast(Function, self.graphs[function])

    def set_rate(self, epoch: int) -> float:
        """Sets the learning rate of ``epoch`` (from 1), and returns that of the new layers."""
        new = rate(epoch, self.job.train)
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(new * group["factor"])
            else:
                group["lr"] = new * group["factor"]
        return new

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "memory": self.memory.state_dict() if self.memory is not None else {},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state`` gave."""
        self.network.load_state_dict(state["network"])
        rates = [group["lr"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, own in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = own  # its own number or tensor: ``set_rate`` says what it is
        self.scaler.load_state_dict(state["scaler"])
        if self.memory is not None:
            self.memory.load_state_dict(state["memory"])

    def rates(self) -> str:
        """Which layers learn at which rate, for whoever watches the training."""
        lines = []
        for group in sorted(self.optimiser.param_groups, key=lambda group: -group["factor"]):
            layers = dict.fromkeys(name.split(".")[0] for name in group["param_names"])
            count = sum(parameter.numel() for parameter in group["params"])
            rate = self.job.train.rate * group["factor"]
            lines.append(f"rate {rate:g}: {', '.join(layers) or 'nothing'} ({count / 1e6:.2f} million parameters)")
        return "\n".join(lines)


def build_network(job: TrainJob, identities: int) -> MSCLNet:
    """The network before its first step, a function of the job's seed and split alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed * 1000 + job.split)
        outputs = needed(job.method.losses, job.objective)
        return MSCLNet(identities, Architecture.of(job.model, job.method), outputs, job.model.weights)


def build_optimiser(network: MSCLNet, job: TrainJob) -> torch.optim.SGD:
    """SGD with two groups: neck and classifiers at the rate, the rest at ``backbone_factor`` of it."""
    recipe = job.train
    groups: list[dict[str, Any]] = [
        {"params": list(parameters.items()), "factor": factor}
        for parameters, factor in zip(network.parameter_groups(), (recipe.backbone_factor, 1.0), strict=True)
    ]
    device = next(network.parameters()).device
    # On a GPU the rate is a tensor, so that a whole step can be repeated as a CUDA graph: it reads that of its epoch.
    for group in groups if device.type == "cuda" else ():
        group["lr"] = torch.full((), recipe.rate, device=device)
    optimiser = torch.optim.SGD(
        groups,
        lr=recipe.rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    # A fused SGD whose first step is skipped (float16) would go on with the uninitialised momentum it had set aside.
    for group in optimiser.param_groups:
        optimiser.state.update({p: {"momentum_buffer": torch.zeros_like(p)} for p in group["params"]})
    return optimiser


def parallel(network: MSCLNet, job: TrainJob, process: Processes) -> nn.Module:
    """The network as it is trained: by DDP, itself for a single process."""
    model: nn.Module = network
    if process.world > 1:
        if job.train.sync_batchnorm:
            synchronise(network)
        cuda = process.device.type == "cuda"
        # To look for unused parameters keeps DDP from ordering its buckets anew after the first step: a training
        # resumed after any later one would add up gradients in another order than one never interrupted. A step reads
        # no running statistics, and the first process's are those that are validated and saved: none is sent.
        model = nn.parallel.DistributedDataParallel(
            network,
            device_ids=[process.device] if cuda else None,
            find_unused_parameters=not cuda or job.train.deterministic,
            broadcast_buffers=False,
        )
    return model
