"""A step of training in each precision of the device, beside the same step in float64 on the CPU."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from msclnet.config import Config, TrainJob, replace
from msclnet.core.precision import allow_tf32
from msclnet.core.types import Batch
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.doctor.line import Line, failed, passed
from msclnet.doctor.place import BATCH, Place, job_of
from msclnet.launch.usable import can_compile, has_bfloat16
from msclnet.losses.needs import remembers
from msclnet.training.learner import Learner, build_optimiser
from msclnet.training.process_group import Processes
from msclnet.training.trainer import recipe, train_step

CPU = torch.device("cpu")
IDENTITIES, IMAGES = 4, 2  # of a batch: float64 is slow
REPEATED = 3  # steps before one that repeats what was captured
SKIPPED = 20  # steps that float16 may skip, until its scale is small enough


@dataclass(frozen=True)
class Tolerance:
    """How far a step may be from the one in float64."""

    losses: float  # of any term, relative to it or, where that is less, to 1
    weights: float  # of the movement of all weights together, relative to it


TOLERANCES = {
    "float32": Tolerance(1e-4, 1e-2),
    "tf32": Tolerance(0.02, 0.2),  # as many digits as float16
    "float16": Tolerance(0.02, 0.2),
    "bfloat16": Tolerance(0.05, 0.4),
}


@dataclass(frozen=True)
class Taken:
    """What a step has left: its unweighted terms, and how it moved each weight; float64 on the CPU."""

    terms: dict[str, Tensor]
    moved: dict[str, Tensor]


def steps(place: Place) -> Iterator[Line]:
    """A line for each method of the default configuration and each precision."""
    with place.at_work() as process:
        config = place.default()
        for method in config.methods:
            yield from of_method(place, config, method, process.device)


def recipes_steps(place: Place) -> Iterator[Line]:
    """The same of the recipe's network, with its last method; then its step compiled, and captured."""
    with place.at_work(place.cores) as process:
        config = place.timed()
        method = config.run.methods[-1]
        yield from of_method(place, config, method, process.device, f"{place.name}, ")
        yield from compiled(place, config, method, process.device, f"{place.name}, ")


def of_method(
    place: Place,
    config: Config,
    method: str,
    device: torch.device,
    prefix: str = "",
    tolerances: Mapping[str, Tolerance] = TOLERANCES,
) -> Iterator[Line]:
    """A line for each precision that the device has."""
    job, batch, identities = _small(place, config, method)
    exact = step(job, batch, identities, CPU, torch.float64)
    for precision in precisions(device):
        found = step(_in(job, precision), batch, identities, device)
        yield compared(f"{prefix}{method}, a step in {precision}", found, exact, tolerances[precision])


def compiled(place: Place, config: Config, method: str, device: torch.device, prefix: str = "") -> Iterator[Line]:
    """A line each for a step that is compiled, and that is captured, too; none where there is no compiler.

    In the shortest precision that the device has, as ``config/gpu.yaml`` says it. A captured step is repeated before it
    is looked at: the first ones are those that are captured.
    """
    job, batch, identities = _small(place, config, method)
    if not can_compile(device.type) or remembers(job.method.losses, job.objective):
        return  # what is remembered lies outside a graph
    exact = step(job, batch, identities, CPU, torch.float64)
    precision = precisions(device)[-1]
    for kind, capture in (("compiled", False), ("captured", True)):
        train = replace(_in(job, precision).train, compile=True, capture=capture)
        found = step(replace(job, train=train), batch, identities, device, before=REPEATED if capture else 0)
        yield compared(f"{prefix}{method}, a {kind} step in {precision}", found, exact, TOLERANCES[precision])


def precisions(device: torch.device) -> tuple[str, ...]:
    """Those that are of use on a device."""
    if device.type == "cpu":
        return ("float32", "bfloat16")
    bfloat16 = ("bfloat16",) if has_bfloat16() else ()
    tf32 = ("tf32",) if torch.cuda.get_device_capability(device) >= (8, 0) else ()
    return ("float32", *tf32, "float16", *bfloat16)


def step(
    job: TrainJob,
    batch: Batch,
    identities: int,
    device: torch.device,
    kind: torch.dtype = torch.float32,
    before: int = 0,
) -> Taken:
    """A training's first step, as the trainer takes it, on a batch that lies on the CPU.

    ``before``: how often it is taken and undone first.
    """
    allow_tf32(job.train.tf32)
    learner = Learner.of(job, identities, Processes(0, 1, device))
    if kind != torch.float32:
        learner.network.to(kind)
        learner = dataclasses.replace(learner, optimiser=build_optimiser(learner.network, job))
    learner.model.train()
    learner.set_rate(1)
    given = {name: _to(value, device, kind) for name, value in vars(batch).items() if value is not None}
    for _ in range(before):
        state = copy.deepcopy(learner.state())
        train_step(learner, Batch(**given))
        learner.load(state)
    start = {name: value.detach().clone() for name, value in learner.network.named_parameters()}
    for _ in range(SKIPPED):
        taken = train_step(learner, Batch(**given))
        if not taken.terms.get("skipped"):
            break
    terms = {name: _exact(value) for name, value in taken.terms.items() if name not in ("scale", "skipped")}
    after = learner.network.named_parameters()
    return Taken(terms, {name: _exact(value) - _exact(start[name]) for name, value in after})


def compared(check: str, found: Taken, exact: Taken, tolerance: Tolerance) -> Line:
    """Whether a step is within its tolerance of the exact one."""
    losses = {name: distance(found.terms[name], value) for name, value in exact.terms.items()}
    worst = max(losses, key=lambda name: losses[name])
    whole, true = (torch.cat([value.flatten() for value in taken.moved.values()]) for taken in (found, exact))
    weights = float((whole - true).norm() / true.norm())
    said = (
        f"losses within {losses[worst]:.1g} ({worst}), weights' movement within {weights:.1g} of float64 on the CPU; "
        f"allowed {tolerance.losses:g} and {tolerance.weights:g}"
    )
    values = {"losses": losses[worst], "weights": weights, **{f"allowed_{k}": v for k, v in vars(tolerance).items()}}
    if losses[worst] <= tolerance.losses and weights <= tolerance.weights:  # not where one is no number
        return passed(check, said, **values)
    remedy = "do not train in this precision here; see that driver and torch are those of requirements.lock"
    return failed(check, said, remedy, **values)


def distance(found: Tensor, exact: Tensor) -> float:
    """Of two scalars, relative to the exact one or, where that is less, to 1."""
    return float((found - exact).abs() / exact.abs().clamp(min=1))


def _small(place: Place, config: Config, method: str) -> tuple[TrainJob, Batch, int]:
    """A training of so few images that float64 takes seconds, its first batch, and how many identities there are."""
    whole = job_of(config, method, BATCH)
    few = replace(whole.train, identities=IDENTITIES, images=IMAGES, compile=False, capture=False)
    job = replace(whole, train=few)
    images = TrainingImages(Pack.open(place.pack(config)), recipe(job))
    return job, next(images.epoch(1, CPU)), len(images.identities)


def _in(job: TrainJob, precision: str) -> TrainJob:
    tf32 = precision == "tf32"
    return replace(job, train=replace(job.train, tf32=tf32, precision="float32" if tf32 else precision))


def _to(value: Tensor, device: torch.device, kind: torch.dtype) -> Tensor:
    return value.to(device, kind) if value.is_floating_point() else value.to(device)


def _exact(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float64)
