"""A step, features and distances on a GPU that is not there, at the paper's shapes: nothing waits, all is on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.testing._internal.distributed.fake_pg import FakeStore

from msclnet.config import Config, TrainJob, replace, train_job
from msclnet.core.types import Modality
from msclnet.data import augmentation
from msclnet.evaluation import embedding
from msclnet.evaluation.distance import cosine
from msclnet.evaluation.embedding import embed_pixels
from msclnet.losses import cascade, inputs, objective
from msclnet.model import msclnet
from msclnet.training.batch_norm import SyncBatchNorm, synchronise
from msclnet.training.trainer import Step, forward, train_step
from tests.fake_gpu import GPU, DoublePrecision, MixedDevices, Wait, Watched, batch_of, fake, learner, network_on

IDENTITIES = 395  # of SYSU-MM01's training half


def job_of(paper: Config, method: str = "msclnet", **recipe: object) -> TrainJob:
    job = train_job(paper, "sysu", method, 1)
    return replace(job, model=replace(job.model, weights="none"), train=replace(job.train, **recipe))


def second_step(job: TrainJob, measured: bool = True) -> tuple[Step, Watched]:
    """What a training does for every step but its first, in which things are made that are kept."""
    with fake(), learner(job, IDENTITIES) as made:
        train_step(made, batch_of(job))
        batch = batch_of(job)
        with Watched() as watched:
            step = train_step(made, batch)
            if measured:
                objective.measures(step.outputs, job.method.losses, job.objective)
    return step, watched


@pytest.mark.parametrize(
    ("method", "precision"),
    [("base", "float32"), ("agw", "bfloat16"), ("msclnet", "float32"), ("msclnet", "bfloat16"), ("msclnet", "float16")],
)
def test_a_step_runs_on_a_gpu_and_waits_for_nothing(paper: Config, method: str, precision: str) -> None:
    step, watched = second_step(job_of(paper, method, precision=precision))
    assert {value.device for value in step.terms.values()} == {GPU}
    assert {value.dtype for value in step.terms.values()} == {torch.float32}
    assert ("scale" in step.terms) == (precision == "float16")
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision, torch.float32)
    assert watched.types["convolution"] == {half}, "autocast decides the type of the products of the network"
    assert watched.types["_log_softmax"] == {torch.float32}, "and ends at the losses"
    assert watched.kernels["_fused_sgd_"] == 2


def test_centres_that_are_remembered_wait_for_nothing(paper: Config) -> None:
    job = job_of(paper)
    job = replace(job, objective=replace(job.objective, centre_memory=0.5))
    step, _ = second_step(job)
    assert step.terms["intra"].device == GPU


@pytest.fixture
def one_of_two() -> Iterator[None]:
    """This process thinks that it is the first of two: what the other says is never waited for."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    dist.destroy_process_group()


def test_statistics_over_all_processes_wait_for_nothing(one_of_two: None) -> None:
    """As torch's own, of which each of 63 layers reads values out, would."""
    with fake():
        layer = nn.Sequential(nn.BatchNorm2d(8, device=GPU))
        synchronise(layer)
        with Watched() as watched, torch.autocast("cuda", torch.bfloat16):
            out = layer(torch.zeros(4, 8, 3, 3, device=GPU, dtype=torch.bfloat16))
    assert isinstance(layer[0], SyncBatchNorm)
    assert not isinstance(layer[0], nn.SyncBatchNorm)
    assert (out.device, out.dtype) == (GPU, torch.bfloat16)
    assert watched.types["rsqrt"] == {torch.float32}


def test_a_captured_step_would_read_the_rate_of_its_epoch(default: Config) -> None:
    """As a CUDA graph repeats a step with the tensors it saw: the rate is one, and stays the same one."""
    job = train_job(default, "sysu", "msclnet", 1)
    with fake(), learner(job, IDENTITIES) as made:
        rates = [group["lr"] for group in made.optimiser.param_groups]
        assert [rate.device for rate in rates] == [GPU, GPU]
        with Watched() as watched:
            made.set_rate(2)
        assert watched.kernels == {"fill_": 2}
        made.load(made.state())
        assert all(group["lr"] is rate for group, rate in zip(made.optimiser.param_groups, rates, strict=True))


@pytest.mark.parametrize("capture", [False, True])
def test_a_captured_step_is_captured_or_an_error(
    default: Config, monkeypatch: pytest.MonkeyPatch, capture: bool
) -> None:
    """Else torch goes on without a word where it cannot."""
    asked: list[dict] = []
    monkeypatch.setattr(torch, "compile", lambda function, **options: asked.append(options) or function)
    job = train_job(default, "sysu", "base", 1)
    job = replace(job, train=replace(job.train, compile=True, capture=capture))
    with fake(), learner(job, IDENTITIES) as made:
        step = train_step(made, batch_of(job))
    assert step.terms["total"].device == GPU
    graphs = {"triton.cudagraphs": True, "triton.cudagraph_or_error": True}
    assert asked == [{"fullgraph": True, "options": graphs if capture else None}]
    known = torch._inductor.list_options()
    assert graphs.keys() <= set(known), "torch knows them by these names"


def test_a_batch_is_augmented_on_the_gpu_without_a_wait(paper: Config) -> None:
    job = job_of(paper)
    with fake(), Watched():
        batch = batch_of(job)
    assert batch.visible.device == GPU
    assert batch.visible.shape == (32, 3, 288, 144)
    assert batch.visible.is_contiguous(memory_format=torch.channels_last)


def test_features_leave_the_gpu_once_a_batch(paper: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "numpy", lambda value: np.zeros(value.shape, np.float32))  # a fake has no values
    with fake():
        network = network_on(GPU, job_of(paper), IDENTITIES)
        images = np.zeros((128, 288, 144, 3), np.uint8)
        with Watched(copies=True) as watched:
            bn, pooled = embed_pixels(network, images, Modality.INFRARED, flip=True)
    assert bn.shape == pooled.shape == (128, 2048)
    assert watched.crossings == 1 + 2, "the images to it, and both features back"


def test_distances_of_sysu_are_one_product_a_block() -> None:
    with fake(), Watched() as watched:
        query, gallery = torch.zeros(3803, 2048, device=GPU), torch.zeros(6775, 2048, device=GPU)
        block = cosine(query, gallery)(torch.arange(300, device=GPU))
    assert block.shape == (300, 6775)
    assert watched.kernels["mm"] == 1


def kernels(job: TrainJob) -> tuple[int, int]:
    """Of the network and the losses on a GPU; and of a whole step, whose backward runs on fakes of the CPU alone."""
    with fake():
        with learner(job, IDENTITIES) as made:
            batch = batch_of(job)
            with Watched() as ahead:
                forward(made, batch)
        with learner(job, IDENTITIES, torch.device("cpu")) as made:
            batch = batch_of(job, torch.device("cpu"))
            with Watched(refuses=False) as whole:
                train_step(made, batch)
    return ahead.count, whole.count


def test_a_step_starts_as_few_kernels_as_are_recorded(paper: Config) -> None:
    """docs/benchmarks/train_step.md. With more a GPU waits for its host: find out why, or record them."""
    (_, other), (_, half) = (
        second_step(job_of(paper, method, precision="bfloat16"), measured=False) for method in ("agw", "msclnet")
    )
    print(f"in bfloat16, with the optimiser: {other.count} {half.count} (agw, msclnet)")
    assert half.count <= 1080
    assert other.count <= 640
    agw, msclnet = (kernels(job_of(paper, method)) for method in ("agw", "msclnet"))
    print(f"network and losses {agw[0]} {msclnet[0]}, a whole step {agw[1]} {msclnet[1]} (agw, msclnet)")
    assert msclnet[0] <= 720
    assert msclnet[1] <= 1920
    assert msclnet[0] / agw[0] < 2.2
    assert agw[0] <= 340
    assert agw[1] <= 640


def refused() -> set[str]:
    """The operations that torch says it refuses on a GPU where each must repeat, by the names of its kernels."""
    listed = torch.use_deterministic_algorithms.__doc__.partition("operations will throw a")[2].partition(
        "In addition"
    )[0]
    names = re.findall(r"[`.](\w+)(?:\(\))?`", listed)
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().removesuffix("_") for name in names}


def test_a_deterministic_step_asks_for_nothing_that_torch_refuses(paper: Config) -> None:
    """The backward of ``index`` is none of them: torch has a way of it that repeats."""
    refuses = refused()
    assert {"adaptive_avg_pool2d", "nllloss", "median"} <= refuses, sorted(refuses)
    for method in ("agw", "msclnet_ca"):  # between them all that is added to the network, and all losses
        with fake(), learner(job := job_of(paper, method), IDENTITIES, torch.device("cpu")) as made:
            batch = batch_of(job, torch.device("cpu"))
            with Watched(refuses=False) as watched:
                train_step(made, batch)
        assert watched.kernels["convolution_backward"] > 50
        asked = {name.removeprefix("_").removesuffix("_").removesuffix("_backward") for name in watched.kernels}
        assert not asked & refuses, method


# Faults on purpose ----------------------------------------------------------------------------------------------------


def on_the_cpu(of_identity: Tensor, identities: Tensor) -> Tensor:
    return (of_identity * torch.ones(len(of_identity), 1)).sum()


def a_number_on_the_cpu(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity.sum() * torch.tensor(2.0)


def read_out(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity.sum() / of_identity.sum().item()


def decided(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity.sum() if identities.sum() > 0 else of_identity.mean()


def by_places(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity[identities.diagonal().nonzero()].sum()


def by_booleans(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity[identities.diagonal() > 0].sum()


def fetched(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity.cpu().sum().to(of_identity.device)


def sent(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity.sum() * torch.tensor([1.0, 2.0]).to(of_identity.device).sum()


def doubled(of_identity: Tensor, identities: Tensor) -> Tensor:
    return of_identity.double().sum()


FAULTS: dict[Callable, type[AssertionError]] = {
    on_the_cpu: MixedDevices,
    a_number_on_the_cpu: MixedDevices,
    read_out: Wait,
    decided: Wait,
    by_places: Wait,
    by_booleans: Wait,
    fetched: Wait,
    sent: Wait,
    doubled: DoublePrecision,
}


def cpu_zeros(self: Tensor, *shape: int) -> Tensor:
    return torch.zeros(*shape)


def cpu_cameras(visible: Tensor, infrared: Tensor, cascade_on: object) -> Tensor:
    return torch.zeros(3 * len(visible), dtype=torch.int64)


def cpu_shares(masks: Tensor) -> Tensor:
    return torch.ones(masks.shape)


PLACES = [
    *((cascade, "inter", fault, error) for fault, error in FAULTS.items()),
    (Tensor, "new_zeros", cpu_zeros, MixedDevices),
    (inputs, "cascade_cameras", cpu_cameras, MixedDevices),
    (msclnet, "shares", cpu_shares, MixedDevices),
]


def test_faults_on_purpose_are_caught(default: Config) -> None:
    """In a loss, what it reads, the network and the encoder: one at a time, beside a step that has none."""
    job = train_job(default, "sysu", "msclnet", 1)
    with fake(), learner(job, IDENTITIES) as made:
        batch = batch_of(job)
        train_step(made, batch)
        for place, name, fault, error in PLACES:
            with mock.patch.object(place, name, fault), Watched(), pytest.raises(error):
                train_step(made, batch)
        with Watched():
            train_step(made, batch)


def moved(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function, whose result is on the CPU."""
    return lambda *args: torch.zeros(function(*args).shape)


def chosen_by_value(images: Tensor) -> Tensor:
    return images.float()[images.amax((1, 2, 3)) > 0].permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("name", "fault", "error"),
    [
        ("normalise", moved(augmentation.normalise), MixedDevices),
        ("exchanged", moved(augmentation.exchanged), MixedDevices),
        ("normalise", chosen_by_value, Wait),
        ("normalise", lambda images: images.double().permute(0, 3, 1, 2), DoublePrecision),
    ],
)
def test_faults_in_the_augmentation_are_caught(
    default: Config, name: str, fault: Callable, error: type[AssertionError]
) -> None:
    """That the statistics lie on the CPU was one, of a copy a batch."""
    job = train_job(default, "sysu", "msclnet_ca", 1)
    with fake():
        with Watched():
            batch_of(job)
        with mock.patch.object(augmentation, name, fault), Watched(), pytest.raises(error):
            batch_of(job)


def test_faults_in_the_optimiser_are_caught(default: Config) -> None:
    """A rate, or a momentum, that lies on the CPU."""
    job = train_job(default, "sysu", "base", 1)
    with fake(), learner(job, IDENTITIES) as made:
        batch = batch_of(job)
        group = made.optimiser.param_groups[0]
        state = made.optimiser.state[group["params"][0]]
        train_step(made, batch)
        for place, key in ((group, "lr"), (state, "momentum_buffer")):
            right = place[key]
            place[key] = torch.zeros(right.shape)
            with Watched(), pytest.raises(MixedDevices):
                train_step(made, batch)
            place[key] = right
        with Watched():
            train_step(made, batch)


@pytest.mark.parametrize(
    ("place", "name", "fault", "error"),
    [
        (embedding, "normalise", moved(augmentation.normalise), MixedDevices),
        (msclnet, "embedding", lambda maps, p, neck: (neck(maps.mean((2, 3)).cpu()),) * 2, MixedDevices),
        (msclnet, "embedding", lambda maps, p, neck: (maps[maps > 0], maps), Wait),
    ],
)
def test_faults_in_the_features_are_caught(
    default: Config, place: object, name: str, fault: Callable, error: type[AssertionError]
) -> None:
    with fake():
        network = network_on(GPU, train_job(default, "sysu", "msclnet", 1), IDENTITIES)
        images = np.zeros((4, default.data.height, default.data.width, 3), np.uint8)
        with mock.patch.object(place, name, fault), Watched(copies=True), pytest.raises(error):
            embed_pixels(network, images, Modality.INFRARED)


def test_faults_in_the_distances_are_caught() -> None:
    with fake():
        query, gallery = torch.zeros(9, 4, device=GPU), torch.zeros(5, 4, device=GPU)
        rows = torch.arange(3, device=GPU)
        for distances, error in (
            (cosine(query, torch.zeros(5, 4)), MixedDevices),
            (lambda rows: query[rows.sum().item() :] @ gallery.T, Wait),
            (cosine(query.double(), gallery.double()), DoublePrecision),
        ):
            with Watched(), pytest.raises(error):
                distances(rows)
