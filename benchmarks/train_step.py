"""Images per second of a training step beside a plain literal loop: same network, batches and losses, same run.

python benchmarks/train_step.py                                          # the default configuration
python benchmarks/train_step.py --config config/paper.yaml --steps 1     # the paper's; a minute a step on a CPU

The literal loop is that of ``msclnet.doctor.literal``: what the field's scripts do. Variants take turns, an epoch of
``--steps`` steps each, in an order that is reversed every round; a ratio is of two epochs of one round. The images are
drawn into a temporary folder.
Prints Markdown: wall clock, and CPU time (all threads and loader workers; Linux), which other load disturbs less.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.utils.data import DataLoader

from msclnet import config as settings
from msclnet.config import TrainJob, replace
from msclnet.core.errors import ConfigError, UserError
from msclnet.core.precision import repeat
from msclnet.data import loader as dataset
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.regdb import RegDB
from msclnet.doctor.literal import literal
from msclnet.doctor.speed import training
from msclnet.losses import objective
from msclnet.model.msclnet import MSCLNet
from msclnet.training import trainer
from msclnet.training.process_group import Processes, processes

ROOT = Path(__file__).parents[1]
PHASES: dict[str, tuple[Any, str]] = {  # where a step's parts are called, ours and the literal one's
    "augment": (dataset, "augment"),
    "forward": (MSCLNet, "forward"),
    "gather": (trainer, "gather"),
    "losses": (objective, "terms"),
    "backward": (torch.Tensor, "backward"),
    "optimiser": (torch.optim.SGD, "step"),
}
Epoch = Callable[[], None]  # runs the next epoch


class Stopwatch:
    """Seconds by the name of a phase; waits for the GPU before it reads the clock."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def wrap(self, name: str, function: Callable) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = now()
            result = function(*args, **kwargs)
            self.seconds[name] = self.seconds.get(name, 0.0) + now() - began
            return result

        return timed

    def iterate(self, name: str, items: Iterable) -> Iterator:
        step = self.wrap(name, iter(items).__next__)
        while True:
            try:
                item = step()
            except StopIteration:
                return
            yield item

    @contextmanager
    def running(self) -> Iterator[None]:
        """Times the parts of the steps taken inside."""
        with ExitStack() as stack:
            for name, (place, attribute) in PHASES.items():
                timed = self.wrap(name, getattr(place, attribute))
                stack.enter_context(mock.patch.object(place, attribute, timed))
            ahead, batches = dataset._one_ahead, DataLoader.__iter__
            stack.enter_context(
                mock.patch.object(dataset, "_one_ahead", lambda *given: self.iterate("loader", ahead(*given)))
            )
            stack.enter_context(
                mock.patch.object(DataLoader, "__iter__", lambda loader: self.iterate("loader", batches(loader)))
            )
            yield


def ours(images: TrainingImages, job: TrainJob, process: Processes, folder: Path) -> Epoch:
    """``msclnet.training.trainer`` as it trains."""
    return training(images, job, process, folder).train_epoch


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def cpu_seconds() -> float:
    """CPU time so far of this process and of its living children."""
    ticks = os.sysconf("SC_CLK_TCK")
    children = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        children += int(fields[11]) + int(fields[12])  # user and system time
    return time.process_time() + children / ticks


def draw_pack(job: TrainJob, steps: int, folder: Path, workers: int) -> Path:
    """Drawn people in RegDB's layout, enough for epochs of ``steps`` batches."""
    data_set = RegDB()
    size = RegDB.StandIn(like="", identities=2 * job.train.identities, images=job.train.images * steps)
    data_set.draw(folder / "RegDB", size, seed=0, workers=workers)
    splits = data_set.survey(folder / "RegDB", (1,), real=False).require()
    write_pack(splits, folder / "RegDB", folder / "pack", job.height, job.width, workers)
    return folder / "pack"


def variants(config: settings.Config, names: list[str], threads: int) -> dict[str, TrainJob]:
    """``METHOD precision [compiled|captured]`` -> its job; the literal loop's is that of the first."""
    jobs = {}
    for name in names:
        method, precision, *kind = name.split()
        if kind not in ([], ["compiled"], ["captured"]):
            raise ConfigError(f"--variants {name!r}: expected 'METHOD precision', and then 'compiled' or 'captured'")
        job = settings.train_job(config, "regdb", method, 1)
        recipe = {**settings.plain(job.train), "precision": precision, "threads": threads}
        recipe |= {"compile": bool(kind), "capture": kind == ["captured"]}
        model = replace(job.model, weights="none")
        jobs[name] = replace(job, model=model, train=settings.build(settings.Train, recipe, "train"))
    return jobs


def measure(epochs: dict[str, Epoch], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds of each variant's epochs; the round before the first warms up and is not counted."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in epochs}
    for number in range(rounds + 1):
        for name in list(epochs)[:: 1 if number % 2 else -1]:
            wall, cpu = now(), cpu_seconds()
            epochs[name]()
            taken = now() - wall, cpu_seconds() - cpu
            print(f"round {number} {name}: {taken[0]:.2f} s, {taken[1]:.2f} s of CPU time", file=sys.stderr, flush=True)
            if number:
                seconds[name].append(taken)
    return seconds


def spread(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def tables(
    seconds: dict[str, list[tuple[float, float]]], parts: dict[str, dict[str, float]], images: int, steps: int
) -> str:
    """Speed and ratios, median (least-most) over the rounds; then seconds a step by phase, of one epoch each."""
    reference = seconds["literal"]
    lines = [
        "| variant | images/s | images/CPU s | ratio, wall | ratio, CPU |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, taken in seconds.items():
        cells = [spread([images / t[clock] for t in taken], 1) for clock in (0, 1)]
        cells += [spread([r[clock] / t[clock] for r, t in zip(reference, taken, strict=True)]) for clock in (0, 1)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    phases = ["loader", *PHASES]
    lines += ["", f"| seconds a step | {' | '.join(phases)} |", "| --- |" + " --- |" * len(phases)]
    for name, of in parts.items():
        lines.append(f"| {name} | {' | '.join(f'{of[p] / steps:.4f}' if p in of else '-' for p in phases)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="a file laid over the default configuration")
    parser.add_argument("--steps", type=int, default=20, help="steps of an epoch (default: 20)")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each variant that count (default: 5)")
    parser.add_argument("--workers", type=int, default=2, help="loader workers of the literal loop (default: 2)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--variants",
        nargs="+",
        default=["msclnet float32", "msclnet bfloat16", "agw float32"],
        help="'METHOD precision', then 'compiled', 'captured' or nothing; the literal loop runs the first's method",
    )
    args = parser.parse_args()
    repeat(False)  # cuDNN chooses as in a training
    files = [str(ROOT / "config/config.yaml"), *([str(args.config)] if args.config else [])]
    jobs = variants(settings.load(*files), args.variants, args.threads)
    job = next(iter(jobs.values()))
    with tempfile.TemporaryDirectory() as temporary, processes(args.threads) as process:
        folder = Path(temporary)
        pack = Pack.open(draw_pack(job, args.steps, folder, args.workers or 1))
        images = {name: TrainingImages(pack, trainer.recipe(j)) for name, j in jobs.items()}
        first = images[args.variants[0]]
        epochs = {"literal": literal(first, job, process, args.workers)}
        epochs |= {name: ours(images[name], j, process, folder / name) for name, j in jobs.items()}
        seconds = measure(epochs, args.rounds)
        parts: dict[str, dict[str, float]] = {}
        for name in epochs:
            if name == "literal" or not jobs[name].train.compile:
                watch = Stopwatch()
                with watch.running():
                    epochs[name]()
                parts[name] = watch.seconds
        hardware = json.loads((folder / args.variants[0] / "metrics.jsonl").read_text().splitlines()[0])["hardware"]
        batch = 2 * first.pairs
        source = args.config or "config/config.yaml"
        print(
            f"{source}: {job.model.backbone}, {job.height} x {job.width}, a batch of {batch}; "
            f"{args.rounds} rounds of {first.steps} steps; {hardware}, {args.threads} threads, "
            f"{args.workers} loader workers of the literal loop; "
            f"torch {torch.__version__}, Python {platform.python_version()}\n"
        )
        print(tables(seconds, parts, first.steps * batch, first.steps))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
