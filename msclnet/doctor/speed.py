"""Images a second: of trainings as they are, and of the loader alone."""

from __future__ import annotations

import math
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from msclnet.config import Config, TrainJob, replace
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.doctor.line import Line, passed, warned
from msclnet.doctor.literal import literal
from msclnet.doctor.place import ALL, BATCH, Place, job_of
from msclnet.doctor.room import SHARED
from msclnet.launch.usable import can_compile, has_bfloat16
from msclnet.losses.needs import remembers
from msclnet.training.checkpoint import Checkpointer
from msclnet.training.learner import Learner
from msclnet.training.machine import gpu_busy, hardware, peak_memory
from msclnet.training.metrics_log import MetricsLog
from msclnet.training.process_group import Processes
from msclnet.training.progress import Progress
from msclnet.training.stop_requests import StopRequests
from msclnet.training.trainer import Trainer, recipe, state_precision

LOADER = "loader alone"
SECONDS = {"CPU": 4.0, "GPU": 8.0}  # of each measurement, at least
SAMPLE = 0.2  # seconds between two looks at how busy a GPU is
IDLE = 80.0  # percent: a GPU that is less busy waits for something
WAYS = {  # what a recipe in float32 may gain on a current card: whether compiled, and captured
    "bfloat16": (False, False),
    "bfloat16, compiled": (True, False),
    "bfloat16, captured": (True, True),
}
BATCHES = 4  # of the loader, between two looks at the clock
WORKERS = 4  # of the plain loop's loader
AHEAD = 3  # batches of each worker in shared memory: two that are read ahead, and one that is taken
FOREVER = 10**6  # epochs: a checkpoint is written after the last


def default_speed(place: Place) -> Iterator[Line]:
    """A line for each method of the default configuration's run."""
    config = place.default()
    with place.at_work(config.train.threads) as process:
        for method in config.run.methods:
            yield trained(place, config, "default", job_of(config, method), process)


def recipes_speed(place: Place) -> Iterator[Line]:
    """The same of the recipe's; on the CPU one step of its last method, the first.

    On a GPU a recipe in float32 is timed in bfloat16, too, with its last method: as it is, compiled, and captured.
    """
    config = place.timed()
    with place.at_work(config.train.threads) as process:
        methods = config.run.methods if place.gpus else config.run.methods[-1:]
        for method in methods:
            yield trained(place, config, place.name, job_of(config, method, ALL if place.gpus else BATCH), process)
        if place.gpus and config.train.precision == "float32" and has_bfloat16():
            job = job_of(config, methods[-1])
            for words, (compiled, captured) in WAYS.items():
                if compiled and not can_compile(process.device.type):
                    break
                if captured and remembers(job.method.losses, job.objective):
                    break  # what is remembered lies outside a graph
                train = replace(job.train, precision="bfloat16", compile=compiled, capture=captured)
                yield trained(place, config, f"{place.name}, {words}", replace(job, train=train), process)


def literal_speed(place: Place) -> Iterator[Line]:
    """The default configuration's last method beside the field's plain loop; on a GPU the recipe's, too.

    The same arithmetic in both: float32 without TF32, not compiled. A method whose visible images are seen twice is
    passed over, as the plain loop shows them once.
    """
    configs = {"default": place.default()} | ({place.name: place.timed()} if place.gpus else {})
    workers = min(WORKERS, place.cores)
    with place.at_work(place.default().train.threads) as process:
        for name, config in configs.items():
            methods = [method for method in config.run.methods if config.methods[method].channels != "joint"]
            if not methods:
                continue
            job = job_of(config, methods[-1])
            plain = replace(
                job.train, precision="float32", tf32=False, compile=False, capture=False, deterministic=False
            )
            job = replace(job, train=plain)
            check = f"plain loop, {name}: {job.method_name}"
            images = TrainingImages(Pack.open(place.pack(config)), recipe(job))
            free = shutil.disk_usage(SHARED).free if SHARED.is_dir() else 0
            if free < (wanted := workers * AHEAD * 2 * images.pairs * 3 * job.height * job.width * 4):
                remedy = "in a container give it the host's: docker run --ipc host"
                said = f"not timed: its loader needs {wanted / 1e6:.0f} MB of {SHARED}, which has {free / 1e6:.0f}"
                yield warned(check, said, remedy)
                continue
            state_precision(job)
            ours = training(images, job, process, place.folder / f"literal-{name}").train_epoch
            yield beside(check, images, literal(images, job, process, workers), ours, place, process.device)


def beside(
    check: str,
    images: TrainingImages,
    plain: Callable[[], object],
    ours: Callable[[], object],
    place: Place,
    device: torch.device,
) -> Line:
    """Whether our epoch is faster than the plain loop's, of the same images."""
    count = 2 * images.pairs * images.steps
    theirs, rate = (per_second(epoch, count, SECONDS[place.device], device) for epoch in (plain, ours))
    said = f"ours is {rate / theirs:.2f} times as fast: {rate:,.0f} images a second, and {theirs:,.0f}"
    said += "; both in float32 without TF32"
    values = {"ratio": rate / theirs, "images_per_second": rate, "plain_images_per_second": theirs}
    if rate < theirs:
        remedy = "see which part of a step takes so long: python benchmarks/train_step.py, in the repository"
        return warned(check, said, remedy, **values)
    return passed(check, said, **values)


def loader_speed(place: Place) -> Iterator[Line]:
    """The images of the recipe, read and augmented on the device, and nothing else."""
    config = place.timed()
    with place.at_work(config.train.threads) as process:
        job = job_of(config, config.run.methods[-1])
        images = TrainingImages(Pack.open(place.pack(config)), recipe(job))
        batches = _batches(images, process.device)

        def some() -> None:
            for _ in range(BATCHES):
                next(batches)

        rate = per_second(some, 2 * images.pairs * BATCHES, SECONDS[place.device], process.device)
        said = f"{rate:,.0f} images a second of {job.height} x {job.width}, augmented on the {place.device}"
        yield passed(LOADER, said, images_per_second=rate)


def trained(place: Place, config: Config, name: str, job: TrainJob, process: Processes) -> Line:
    """The speed of a training by ``job``, once it is warm; of a batch's split the first step's."""
    once = job.split == BATCH
    images = TrainingImages(Pack.open(place.pack(config)), recipe(job))
    state_precision(job)
    work = training(images, job, process, place.folder / f"speed-{name}-{job.method_name}")
    if process.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(process.device)
    if not once:
        work.train_epoch()  # compiles, and tries ways of convolving
    with busy(process.device) as shares:
        count = 2 * images.pairs * images.steps
        seconds = 0.0 if once else SECONDS[place.device]
        rate = per_second(work.train_epoch, count, seconds, process.device, warm=False)
    held = peak_memory(process.device)
    share = statistics.mean(shares) if shares else None
    memory = held.get("gpu_memory_peak_megabytes")
    kind = "one step, the first" if once else f"batches of {2 * images.pairs}"
    where = "" if place.gpus else f", threads: {torch.get_num_threads()}"
    shown = f"{rate:,.0f}" if rate > 100 else f"{rate:.2g}"
    words = [f"{shown} images a second ({kind}, {job.train.precision}{where})"]
    words += [f"GPU {share:.0f} % busy"] if share is not None else []
    words += [f"{memory / 1e3:.1f} GB of its memory"] if memory is not None else []
    values: dict[str, Any] = {"images_per_second": rate, "gpu_busy_percent": share, **held}
    values |= {"method": job.method_name, "recipe": name, "hardware": hardware(process.device)}
    check = f"speed, {name}: {job.method_name}"
    if share is not None and share < IDLE and name != "default":
        next_key = "" if job.train.capture else "capture" if job.train.compile else "compile"
        faster = f"train.{next_key}: true, or " if next_key else ""
        remedy = f"it waits for its host: {faster}several trainings on it (run.trainings_per_gpu)"
        return warned(check, ", ".join(words), remedy, **values)
    return passed(check, ", ".join(words), **values)


def training(images: TrainingImages, job: TrainJob, process: Processes, folder: Path) -> Trainer:
    """A training as it is, but for the looks at its gradients, that ends at no epoch and writes no checkpoint."""
    endless = replace(job, epochs=FOREVER, train=replace(job.train, gradients_every=0))
    learner = Learner.of(endless, len(images.identities), process, images.cameras)
    log = MetricsLog(folder / "metrics.jsonl", process, Progress(images.steps * FOREVER))
    return Trainer(learner, images, log, Checkpointer(folder, math.inf, {}, process, StopRequests(process)))


def per_second(run: Callable[[], object], count: int, seconds: float, device: torch.device, warm: bool = True) -> float:
    """How many things a second ``run`` does, ``count`` a call: called until ``seconds`` have gone, once at least.

    ``warm``: once before, and not counted.
    """
    if warm:
        run()
    _wait(device)
    began, done = time.perf_counter(), 0
    while not done or time.perf_counter() - began < seconds:
        run()
        done += count
    _wait(device)
    return done / (time.perf_counter() - began)


@contextmanager
def busy(device: torch.device) -> Iterator[list[float]]:
    """Percent, of now and then while it lasts; empty where the driver tells none."""
    shares: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(SAMPLE):
            if (share := gpu_busy(device)) is None:
                return
            shares.append(share)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield shares
    finally:
        done.set()
        thread.join()


def _batches(images: TrainingImages, device: torch.device) -> Iterator[object]:
    for epoch in range(1, FOREVER):
        yield from images.epoch(epoch, device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
