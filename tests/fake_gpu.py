"""A GPU that is not there: torch's fake tensors, which have a shape, a type and the device ``cuda``, and no values.

The real code runs on them at the paper's shapes in seconds. Backward is the one thing that does not: ``learner``'s
gradients are made up, for the optimiser's sake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from msclnet.config import TrainJob
from msclnet.core.types import Batch
from msclnet.data import augmentation
from msclnet.training import learner as learners
from msclnet.training.learner import Learner, build_network
from msclnet.training.process_group import Processes
from msclnet.training.trainer import recipe

GPU = torch.device("cuda", 0)
META = torch.library.Library("aten", "IMPL", "Meta")  # torch knows the shapes of all operations of a step but this
for overload in ("", ".tensor_lr"):
    META.impl(f"_fused_sgd_{overload}", lambda *args, **kwargs: None)

# What starts no kernel: it gives the same memory another shape, or takes memory.
NO_KERNEL = {
    "detach",
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "_unsafe_view",
    "promote_types",
    "lift_fresh",
    "is_same_size",
}
READS = {"_local_scalar_dense", "item", "is_nonzero", "nonzero", "masked_select", "equal", "unique", "_unique2"}


class Wait(AssertionError):
    """The host would wait for the GPU."""


class MixedDevices(AssertionError):
    """An operation reads tensors of two devices."""


class DoublePrecision(AssertionError):
    """An operation gives float64, a hundredth of a GPU's speed."""


class Watched(TorchDispatchMode):
    """Counts operations, and refuses those that would make a GPU or its host wait.

    Attributes:
        crossings: copies between devices that the host waits for.
        kernels: how often each operation that starts a kernel was called; views start none.
        types: of each operation's floating-point results.
    """

    def __init__(self, copies: bool = False, refuses: bool = True) -> None:
        """``copies``: between devices are allowed, and counted. Else only those that nobody waits for."""
        super().__init__()
        self.copies, self.refuses = copies, refuses
        self.crossings = 0
        self.kernels: Counter[str] = Counter()
        self.types: dict[str, set[torch.dtype]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace != "aten":
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        devices = {value.device.type for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        copy = name in ("_to_copy", "copy_", "to")
        chosen = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if self.refuses and (name in READS or chosen):
            raise Wait(f"{func} reads a value out")
        if self.refuses and len(devices) > 1 and not copy:
            raise MixedDevices(f"{func} reads tensors of {' and '.join(sorted(devices))}")
        result = func(*args, **kwargs)
        made = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
        crossed = copy and len(devices | {value.device.type for value in made}) > 1
        if crossed and not (kwargs.get("non_blocking") or True in args[2:]):
            self.crossings += 1
            if self.refuses and not self.copies:
                raise Wait(f"{func} copies between devices, and waits for it")
        found = {value.dtype for value in made if value.is_floating_point()}
        if self.refuses and torch.float64 in found:
            raise DoublePrecision(f"{func} gives float64")
        if not func.is_view and name not in NO_KERNEL:
            self.kernels[name] += 1
        self.types.setdefault(name, set()).update(found)
        return result

    @property
    def count(self) -> int:
        """Of all kernels."""
        return self.kernels.total()


@contextmanager
def fake() -> Iterator[None]:
    """In it tensors are fake, and torch takes itself to have a GPU of this decade."""
    with (
        mock.patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
        mock.patch("torch.cuda.is_bf16_supported", return_value=True),
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        statistics = augmentation._on.__wrapped__(GPU)  # made once, and kept
        with mock.patch.object(augmentation, "_on", return_value=statistics):
            yield


def network_on(device: torch.device, job: TrainJob, identities: int) -> nn.Module:
    """The network of a job on fake memory, laid out as the trainer lays it."""
    with torch.device("meta"):  # fakes cannot be copied deeply, as the stems are
        network = build_network(job, identities)
    twins: dict[Tensor, Tensor] = {}

    def twin(value: Tensor) -> Tensor:
        if value not in twins:
            layout = torch.channels_last if value.dim() == 4 else torch.contiguous_format
            made = torch.zeros(value.shape, dtype=value.dtype, device=device).to(memory_format=layout)
            parameter = isinstance(value, nn.Parameter)
            twins[value] = nn.Parameter(made, value.requires_grad) if parameter else made
        return twins[value]

    for module in network.modules():
        for tensors in (module._parameters, module._buffers):
            tensors.update({name: twin(value) for name, value in tensors.items() if value is not None})
    network.to = lambda *args, **kwargs: network  # type: ignore[method-assign]  # torch moves no fake parameter
    return network


@contextmanager
def learner(job: TrainJob, identities: int, device: torch.device = GPU) -> Iterator[Learner]:
    """The learner of a job; on a GPU, ``backward`` gives each weight a made-up gradient."""
    with mock.patch.object(learners, "build_network", lambda job, identities: network_on(device, job, identities)):
        made = Learner.of(job, identities, Processes(0, 1, device))
    made.model.train()

    def backward(total: Tensor) -> None:
        assert total.requires_grad
        for group in made.optimiser.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)

    with mock.patch.object(Tensor, "backward", backward) if device.type == "cuda" else nullcontext():
        yield made


def batch_of(job: TrainJob, device: torch.device = GPU) -> Batch:
    """A batch of a job: uint8 images, augmented on the device as the loader does."""
    pairs = job.train.identities * job.train.images
    images = torch.zeros(pairs, job.height, job.width, 3, dtype=torch.uint8, device=device)
    draws = torch.zeros(8, pairs, dtype=torch.int64, device=device)
    visible, infrared, *second = (
        augmentation.augment(images, draws, job.train.padding, channels) for _, channels in recipe(job).streams
    )
    labels = torch.zeros(pairs, dtype=torch.int64, device=device)
    return Batch(visible, infrared, labels, labels + 1, labels + 2, *second)
