"""Training on a tiny pack of random images: it learns, records, and stops at a bad loss. faults/ kills it."""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from msclnet.config import Config, TrainJob, build, read_yaml, replace, train_job
from msclnet.core.errors import ConfigError, DataError
from msclnet.core.precision import repeat
from msclnet.core.types import Batch, ImageRecord, Modality, Outputs
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.base import Split
from msclnet.evaluation.embedding import extract
from msclnet.launch.watchdog import Heartbeat
from msclnet.losses import objective
from msclnet.losses.table import MEASURES
from msclnet.model.files import load_model
from msclnet.results.training import read_training
from msclnet.tracking.naming import curves
from msclnet.training import metrics_log, trainer
from msclnet.training.learner import Learner, build_network
from msclnet.training.live_mirror import LiveMirror
from msclnet.training.machine import gpu_busy
from msclnet.training.metrics_log import MetricsLog, NonFiniteLoss
from msclnet.training.process_group import Processes
from msclnet.training.progress import Progress
from msclnet.training.pull import pull
from msclnet.training.trainer import Options, Step, Trainer, recipe, train, train_step

IDENTITIES, IMAGES = 4, 3
ALONE = Processes(0, 1, torch.device("cpu"))
NAMES = ("identity", "wrt", "div", "t", "local", "global", "sub", "intra", "inter", "separation")


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four identities of three images a modality; an identity's images share a random pattern."""
    root = tmp_path_factory.mktemp("images")
    records = []
    for identity in range(1, IDENTITIES + 1):
        pattern = np.random.default_rng(identity).integers(0, 200, (6, 3, 1))
        for modality in Modality:
            for i in range(IMAGES):
                noise = np.random.default_rng((identity, modality, i)).integers(0, 55, (48, 24, 3))
                pixels = (np.kron(pattern, np.ones((8, 8, 1))) + noise).astype(np.uint8)
                path = f"{modality.name}_{identity}_{i}.png"
                Image.fromarray(pixels).save(root / path)
                records.append(ImageRecord(path, identity, 1 + modality, modality))
    split = Split(train=tuple(records), test=tuple(records))
    write_pack({1: split}, root, root / "pack", 48, 24, workers=1)
    return root / "pack"


@pytest.fixture
def job(default: Config) -> TrainJob:
    recipe = replace(
        default.train, identities=4, images=2, rate=0.05, warmup=1, milestones=(), factors=(), log_every=1,
        padding=2,
    )  # fmt: skip
    model = replace(default.model, parts=3, hidden=8, rank=4, rounds=2)
    whole = train_job(default, "sysu", "msclnet", 1)
    return replace(whole, train=recipe, model=model, epochs=4, processes=1, height=48, width=24)


def lines(path: Path, kind: str) -> list[dict]:
    return [line for line in map(json.loads, path.read_text().splitlines()) if line["kind"] == kind]


def test_msclnet_overfits_a_handful_of_identities(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    method = replace(job.method, erasing=0.0)
    train(replace(job, epochs=40, method=method), pack, tmp_path)
    epochs = lines(tmp_path / "metrics.jsonl", "epoch")
    assert epochs[0]["identity"] > 1.2, "begins at log 4"
    assert epochs[-1]["identity"] < 0.2
    network = load_model(tmp_path / "model.pt")
    features = extract(network, Pack.open(pack), 1, batch=5, device=torch.device("cpu"))
    visible, infrared = (features.modality == m for m in Modality)
    nearest = (features.bn[infrared] @ features.bn[visible].T).argmax(1)
    assert (features.identities[visible][nearest] == features.identities[infrared]).mean() > 0.9


def test_the_outputs_are_the_model_its_record_and_its_configuration(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    train(job, pack, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml", "metrics.jsonl", "model.pt", "work"]
    assert build(TrainJob, read_yaml(str(tmp_path / "config.yaml"))) == job
    metrics = tmp_path / "metrics.jsonl"
    (start,) = lines(metrics, "start")
    assert (start["processes"], start["device"], start["steps"]) == (1, "cpu", 4)
    steps = lines(metrics, "step")
    assert [line["step"] for line in steps] == [1, 2, 3, 4]
    for line in steps:
        weights = job.method.losses
        assert line["total"] == pytest.approx(sum(weights[name] * line[name] for name in NAMES), rel=1e-5)
    assert len(lines(metrics, "epoch")) == 4
    assert lines(metrics, "epoch")[0]["images_per_second"] > 0
    assert len(lines(metrics, "end")) == 1


def test_what_is_measured_and_each_terms_gradient_stand_beside_the_losses(
    job: TrainJob, pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(with_recipe(job, gradients_every=2), pack, tmp_path)
    metrics = tmp_path / "metrics.jsonl"
    measured = lines(metrics, "measure")
    assert [line["step"] for line in measured] == [1, 2, 3, 4]
    assert measured[0].keys() - {"kind", "time", "epoch", "step"} == set(MEASURES.names())
    norms, cosines = lines(metrics, "gradient"), lines(metrics, "cosine")
    assert [(line["epoch"], line["step"]) for line in norms] == [(1, 0), (3, 2)]
    assert norms[0].keys() - {"kind", "time", "epoch", "step"} == {"total", *NAMES}
    assert cosines[0].keys() - {"kind", "time", "epoch", "step"} == set(NAMES) - {"identity"}
    assert all(abs(value) <= 1 + 1e-6 for line in cosines for name, value in line.items() if name in NAMES)
    said = capfd.readouterr().err
    assert re.search(r"rate 0.0\d+: bottleneck, classifier \(", said), said
    assert re.search(r"rate 0.0\d+: backbone, instance_norm, .*synergy, .*part_masks \(", said), said


def test_a_look_at_the_gradients_changes_no_bit_and_finds_those_of_the_step(
    job: TrainJob, pack: Path, tmp_path
) -> None:
    learner = started(job)
    batch = next(iter(TrainingImages(Pack.open(pack), recipe(job)).epoch(1, learner.device)))
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    norms, _ = pull(learner, batch)
    assert all(torch.equal(value, before[name]) for name, value in learner.network.state_dict().items())
    trainer.train_step(learner, batch)
    gradients = [p.grad.flatten() for p in learner.network.parameters() if p.grad is not None]
    assert norms["total"] == pytest.approx(float(torch.cat(gradients).norm()), rel=1e-4)
    for folder, every in (("looked", 1), ("not", 0)):
        train(with_recipe(job, gradients_every=every), pack, tmp_path / folder)
    looked, never = (load_model(tmp_path / folder / "model.pt").state_dict() for folder in ("looked", "not"))
    assert all(torch.equal(value, never[name]) for name, value in looked.items())


def test_a_term_that_trains_next_to_nothing_is_said_once_a_look(
    job: TrainJob, pack: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    idle = job.method.losses | {"div": 1e-9}
    quiet = replace(with_recipe(job, gradients_every=3), method=replace(job.method, losses=idle))
    train(quiet, pack, tmp_path)
    (warning,) = [
        line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: ") and "'div'" in line
    ]
    assert re.match(
        r"warning: epoch 4: the weighted term 'div' has a gradient of norm \S+, less than a thousandth of the total's "
        r"\S+: it trains next to nothing. Raise its weight, or leave it out",
        warning,
    )


def test_remembered_centres_survive_a_stop_to_the_bit(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembering = replace(job, objective=replace(job.objective, centre_memory=0.5))
    train(remembering, pack, tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt(patch, step=3)
        with pytest.raises(Killed):
            train(remembering, pack, tmp_path / "halves", Options(checkpoint_every=0))
    train(remembering, pack, tmp_path / "halves")
    train(job, pack, tmp_path / "without")
    whole, halves, without = (
        load_model(tmp_path / folder / "model.pt").state_dict() for folder in ("whole", "halves", "without")
    )
    assert all(torch.equal(value, halves[name]) for name, value in whole.items())
    assert not all(torch.equal(value, without[name]) for name, value in whole.items())


class Killed(Exception):
    pass


def interrupt(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Raises Killed before ``step`` is taken."""
    taken, real = 0, trainer.train_step

    def interrupted(*args, **kwargs):
        nonlocal taken
        taken += 1
        if taken == step:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(trainer, "train_step", interrupted)


def terms_by_step(job: TrainJob, pack: Path, folder: Path) -> list[dict]:
    train(job, pack, folder)
    return lines(folder / "metrics.jsonl", "step")


def with_recipe(job: TrainJob, **recipe: object) -> TrainJob:
    return replace(job, train=replace(job.train, **recipe))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_stays_near_float32(job: TrainJob, pack: Path, tmp_path: Path, precision: str) -> None:
    (full, half) = (terms_by_step(with_recipe(job, precision=p), pack, tmp_path / p)[0] for p in ("float32", precision))
    for name in ("total", *NAMES):
        assert half[name] == pytest.approx(full[name], rel=0.02, abs=0.03), name
    assert half["identity"] != full["identity"], "the network did not compute in float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_the_gather_and_the_losses_compute_in_float32(
    job: TrainJob, pack: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    gathered: set[torch.dtype] = set()
    computed: set[torch.dtype] = set()

    def gather(outputs: Outputs) -> Outputs:
        gathered.update(v.dtype for v in vars(outputs).values() if v is not None and v.is_floating_point())
        return outputs

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            computed.update(v.dtype for v in tree_leaves(result) if isinstance(v, torch.Tensor))
            return result

    def terms(*args):
        with Seen():
            return objective_terms(*args)

    objective_terms = objective.terms
    monkeypatch.setattr(trainer, "gather", gather)
    monkeypatch.setattr(objective, "terms", terms)
    take_a_step(with_recipe(job, precision=precision), pack)
    assert gathered == {torch.float32}
    assert {dtype for dtype in computed if dtype.is_floating_point} == {torch.float32}


def take_a_step(job: TrainJob, pack: Path, mode: AbstractContextManager | None = None) -> dict[str, torch.Tensor]:
    """The second step of a training, its batch included, under ``mode``."""
    images = TrainingImages(Pack.open(pack), recipe(job))
    learner = started(job)
    trainer.train_step(learner, next(iter(images.epoch(1, learner.device))))
    with mode or nullcontext():
        return trainer.train_step(learner, next(iter(images.epoch(2, learner.device)))).terms


def started(job: TrainJob) -> Learner:
    """Before its first step, by a single process."""
    learner = Learner.of(job, IDENTITIES, ALONE)
    learner.model.train()
    return learner


class NoSynchronisation(TorchDispatchMode):
    """Refuses operations that make the CPU wait for a GPU: reading a number out, a shape that depends on data."""

    WAITS = ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "masked_select", "equal", "unique", "_unique2")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        booleans = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        assert name not in self.WAITS, f"{func} waits for the device"
        assert not booleans, "indexing by booleans waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_step_and_its_batch_wait_for_no_device(job: TrainJob, pack: Path, precision: str) -> None:
    values = torch.ones(3)
    for waits in (values.sum().item, values.nonzero, lambda: values[values > 0], lambda: float(values[0])):
        with NoSynchronisation(), pytest.raises(AssertionError, match="waits for the device"):
            waits()
    for method in ("base", "msclnet"):
        losses = job.method.losses | {"triplet": float(method == "base")}
        whole = replace(job, method=replace(job.method, losses=losses))
        assert take_a_step(with_recipe(whole, precision=precision), pack, NoSynchronisation())["total"].isfinite()


def test_a_skipped_step_changes_no_weight_and_the_next_starts_clean(job: TrainJob, pack: Path) -> None:
    """A first step that overflows is as if it had not been: momentum too, which a fused SGD leaves uninitialised."""
    half = with_recipe(job, precision="float16")
    images = TrainingImages(Pack.open(pack), recipe(half))
    batch, after = (next(iter(images.epoch(epoch, ALONE.device))) for epoch in (1, 2))
    learner = started(half)
    network, optimiser, scaler = learner.network, learner.optimiser, learner.scaler
    before = {name: p.clone() for name, p in network.named_parameters()}
    scaler.load_state_dict(scaler.state_dict() | {"scale": 2.0**40})
    skipped = trainer.train_step(learner, batch).terms
    assert (skipped["scale"], skipped["skipped"]) == (2.0**40, 1.0)
    assert skipped["total"].isfinite()
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert all(not state["momentum_buffer"].any() for state in optimiser.state.values())
    scaler.load_state_dict(scaler.state_dict() | {"scale": 1024.0})
    taken = trainer.train_step(learner, after).terms
    assert (taken["scale"], taken["skipped"]) == (1024.0, 0.0)
    assert not all(torch.equal(p, before[name]) for name, p in network.named_parameters())


def test_a_scale_that_cannot_be_small_enough_stops_the_run(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", ALONE, Progress(1))
    step = {"total": torch.ones(()), "scale": torch.tensor(0.5), "skipped": torch.ones(())}
    log.add(step | {"scale": torch.tensor(1.0)})
    log.read()
    log.add(step)
    with pytest.raises(NonFiniteLoss, match=r"step 2: the gradients overflow float16 even .* by 0\.5; set train\.prec"):
        log.read()


def test_float16_records_its_scale_and_resumes_with_it(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    half = with_recipe(job, precision="float16")
    whole = terms_by_step(half, pack, tmp_path / "whole")
    assert all(line["scale"] > 0 and line["skipped"] in (0.0, 1.0) for line in whole)
    epoch = Trainer.train_epoch

    def until_three(training: Trainer) -> None:
        if training.epoch == 3:
            raise Killed
        scaler = training.learner.scaler
        scaler.load_state_dict(scaler.state_dict() | {"scale": 512.0})
        epoch(training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", until_three)
        with pytest.raises(Killed):
            train(half, pack, tmp_path / "halves", Options(checkpoint_every=0))
    resumed = terms_by_step(half, pack, tmp_path / "halves")
    assert [line["scale"] for line in resumed] == [512.0] * 4


def test_the_compiled_network_takes_the_same_steps(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captured with the losses as one graph by torch.compile; run without its code generator, which takes a minute."""
    graphs = 0

    def backend(graph, inputs):
        nonlocal graphs
        graphs += 1
        names = {node.target.__name__ for node in graph.graph.nodes if node.op == "call_function"}
        assert {"conv2d", "batch_norm", "cross_entropy", "softplus"} <= names, (
            "the network, or the losses, are not in it"
        )
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend, fullgraph=True))
    short = replace(job, epochs=2)
    plain, compiled = (terms_by_step(with_recipe(short, compile=c), pack, tmp_path / str(c)) for c in (False, True))
    assert graphs == 1
    for ours, theirs in zip(plain, compiled, strict=True):
        assert ours["total"] == pytest.approx(theirs["total"], rel=1e-4)


def test_a_captured_step_keeps_nothing_that_the_next_one_writes_over(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CUDA graphs do, which give each step's results in the same memory; here they are spoiled by the next call."""

    def compile(function: Callable, *, fullgraph: bool, options: dict | None) -> Callable:
        given: list[torch.Tensor] = []

        def captured(learner: Learner, batch: Batch) -> tuple:
            for value in given:
                value.fill_(torch.nan)
            total, terms, outputs = function(learner, batch)
            results = [total, *terms.values(), *vars(outputs.detached()).values()]
            given[:] = [value.detach() for value in results if value is not None and value.is_floating_point()]
            return total, terms, outputs

        return captured

    monkeypatch.setattr(torch, "compile", compile)
    short = replace(with_recipe(job, identities=2, log_every=3), epochs=2)
    plain = terms_by_step(short, pack, tmp_path / "plain")
    captured = terms_by_step(with_recipe(short, compile=True, capture=True), pack, tmp_path / "captured")
    assert len(lines(tmp_path / "captured/metrics.jsonl", "step")) == 2, "every third is read"
    assert [line | {"time": 0} for line in captured] == [line | {"time": 0} for line in plain]


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_as_configured_and_never_in_the_losses_distances(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tf32: bool
) -> None:
    asked = []

    def step(learner: Learner, batch: Batch) -> Step:
        asked.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
        return train_step(learner, batch)

    monkeypatch.setattr(trainer, "train_step", step)
    train(replace(with_recipe(job, tf32=tf32), epochs=1), pack, tmp_path)
    assert set(asked) == {(tf32, False)}


def test_a_deterministic_training_asks_all_libraries_for_it(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    """On the CPU it is to the bit what any other is."""
    short = replace(job, epochs=1)
    train(short, pack, tmp_path / "plain")
    assert torch.backends.cudnn.benchmark
    try:
        train(with_recipe(short, deterministic=True), pack, tmp_path / "exactly")
        plain, exactly = (load_model(tmp_path / name / "model.pt").state_dict() for name in ("plain", "exactly"))
        assert all(torch.equal(plain[name], exactly[name]) for name in plain)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        repeat(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_compiled_training_without_a_compiler_ends_before_its_work(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(
        ConfigError, match=r"train\.compile: true needs a C\+\+ compiler, and found no no-such-compiler"
    ):
        train(with_recipe(job, compile=True), pack, tmp_path)


def test_how_busy_a_gpu_was_is_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_busy(torch.device("cpu")) is None
    told = iter([40, 60])
    monkeypatch.setattr(metrics_log, "gpu_busy", lambda device: next(told))
    log = MetricsLog(tmp_path / "metrics.jsonl", ALONE, Progress(2))
    log.begin_epoch(1, 0.1, 8)
    for _ in range(2):
        log.add({"total": torch.ones(())})
        log.write_step({})
    log.end_epoch()
    log.state()
    (system,) = lines(tmp_path / "metrics.jsonl", "system")
    assert system["gpu_utilization_percentage"] == 50


def test_a_gpu_that_does_not_say_how_busy_it_is_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 73)
    assert gpu_busy(torch.device("cuda", 0)) == 73.0

    def not_supported(device: torch.device) -> int:
        raise RuntimeError("NVML: not supported on a part of a GPU")

    monkeypatch.setattr(torch.cuda, "utilization", not_supported)
    assert gpu_busy(torch.device("cuda", 0)) is None


def test_a_running_training_can_be_mirrored(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, step=3)
    with pytest.raises(Killed):
        train(job, pack, tmp_path)
    training = read_training(tmp_path)
    assert training.job == job
    assert sorted(curves(training)["train/total"]) == [1, 2]
    assert training.ended is None


@pytest.mark.parametrize("tracking", ["vanished", "locked"])
def test_a_tracking_server_that_does_not_answer_stops_no_training(
    job: TrainJob, pack: Path, tmp_path: Path, tracking: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        uri = "http://127.0.0.1:9" if tracking == "vanished" else f"sqlite:///{tmp_path}/mlflow.db"
        mirror = LiveMirror(tmp_path / "out", uri, 1e-6, "other")
        train(job, pack, tmp_path / "out", Options(mirror=mirror))
        assert mirror.process, "it was called"
        assert mirror.command[-4:] == ["--experiment", "other", "--", str(tmp_path / "out")]
        assert uri not in " ".join(mirror.command), "a password in it would be everybody's to read"
        assert (tmp_path / "out/model.pt").exists()
        mirror.process.kill()
        mirror.process.wait()


def test_a_mirror_that_cannot_be_started_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a user may have no more processes, say."""
    refusal = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    monkeypatch.setattr(subprocess, "Popen", mock.Mock(side_effect=refusal))
    mirror = LiveMirror(tmp_path, "sqlite:///mlflow.db", 1e-6, "other")
    mirror.upload()
    assert "warning: no live curves for now: [Errno 11] Resource temporarily" in capsys.readouterr().err


def test_a_pack_that_takes_long_to_read_is_no_step_that_takes_long(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher kills a process that counts its steps and stands still: it counts none yet."""
    order: list[str] = []
    verify, begin = Pack.verify, Heartbeat.__enter__
    monkeypatch.setattr(Pack, "verify", lambda pack: order.append("the pack is read") or verify(pack))
    monkeypatch.setattr(Heartbeat, "__enter__", lambda heart: order.append("steps are counted") or begin(heart))
    train(replace(job, epochs=1), pack, tmp_path)
    assert order == ["the pack is read", "steps are counted"]


def test_a_full_disk_costs_no_line_of_the_record(
    job: TrainJob, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record's disk is full in the third of four epochs."""
    real, record = Trainer.train_epoch, tmp_path / "work/metrics.jsonl"

    def epoch(training: Trainer) -> None:
        third = training.epoch == 3
        if third:
            record.rename(tmp_path / "aside")
            record.symlink_to("/dev/full")
        real(training)
        if third:
            training.checkpoints.write(training.state)
            record.unlink()
            (tmp_path / "aside").rename(record)

    monkeypatch.setattr(Trainer, "train_epoch", epoch)
    train(job, pack, tmp_path)
    assert [line["step"] for line in lines(tmp_path / "metrics.jsonl", "step")] == [1, 2, 3, 4]
    assert len(lines(tmp_path / "metrics.jsonl", "epoch")) == 4
    assert "/work: cannot be written (No space left on device): " in capsys.readouterr().err


def test_a_checkpoint_of_another_configuration_is_refused_by_key(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, step=3)
    with pytest.raises(Killed):
        train(job, pack, tmp_path, Options(checkpoint_every=0))
    other = replace(job, train=replace(job.train, rate=0.5))
    with pytest.raises(DataError, match=r"train\.rate: 0\.05 in the checkpoint, 0\.5 now(.|\n)*delete .*work"):
        train(other, pack, tmp_path)


def test_a_non_finite_loss_stops_the_run_and_is_named(
    job: TrainJob, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = objective.terms

    def poisoned(*args):
        values = terms(*args)
        return values | {"wrt": values["wrt"] * float("nan")}

    monkeypatch.setattr(objective, "terms", poisoned)
    with pytest.raises(NonFiniteLoss, match=r"epoch 1, step 1: the loss term 'wrt' is nan"):
        train(job, pack, tmp_path)
    assert not list((tmp_path / "work").glob("checkpoint*"))


def test_more_identities_than_the_pack_has_are_refused(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    greedy = replace(job, train=replace(job.train, identities=5))
    with pytest.raises(ConfigError, match=r"a batch needs 5 identities, and the training set has 4"):
        train(greedy, pack, tmp_path)


def test_untrained_is_the_network_before_its_first_step(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    train(replace(job, epochs=0), pack, tmp_path)
    network = load_model(tmp_path / "model.pt")
    fresh = build_network(job, IDENTITIES).state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in network.state_dict().items())


def test_methods_start_from_the_same_backbone(default: Config) -> None:
    networks = [build_network(train_job(default, "regdb", m, 2), 5) for m in ("agw", "msclnet")]
    ours, theirs = (network.backbone.state_dict() for network in networks)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_images_pass_through_their_own_modalitys_stream(job: TrainJob, pack: Path) -> None:
    """Breaking the infrared stem changes every infrared feature and no visible one."""
    network = build_network(job, IDENTITIES)
    before = extract(network, Pack.open(pack), 1, batch=4, device=torch.device("cpu"))
    with torch.no_grad():
        network.backbone.infrared_stem[0].weight.mul_(-1)
    after = extract(network, Pack.open(pack), 1, batch=4, device=torch.device("cpu"))
    changed = (before.pooled != after.pooled).any(1)
    assert np.array_equal(changed, before.modality == Modality.INFRARED)


def test_the_size_of_the_batch_does_not_change_features(job: TrainJob, pack: Path) -> None:
    network = build_network(job, IDENTITIES)
    one, all_ = (extract(network, Pack.open(pack), 1, batch=n, device=torch.device("cpu")) for n in (1, 100))
    np.testing.assert_allclose(one.bn, all_.bn, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(one.pooled, axis=1), 1, atol=1e-6)
    assert list(one.paths) == list(all_.paths)
