"""The paper's configuration at its real scale for some steps, and what each term does in them.

    python benchmarks/rehearsal.py --pack data/packs/sysu-0123456789 --steps 150 --out rehearsal
    python benchmarks/rehearsal.py --out rehearsal --only-summary

Leaves ``<method>/metrics.jsonl`` (a line a step; each term's gradient every ``--every`` steps), ``rehearsal.csv`` with
the same numbers, ``rehearsal.png``, and prints the tables of docs/benchmarks/rehearsal.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import time
from pathlib import Path

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from msclnet.config import TrainJob, load, replace, train_job
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.losses import objective
from msclnet.training.learner import Learner
from msclnet.training.machine import peak_memory
from msclnet.training.process_group import Processes
from msclnet.training.pull import pull
from msclnet.training.trainer import recipe, train_step

ROOT = Path(__file__).parents[1]
KINDS = {"step": "the terms, unweighted", "gradient": "norm of the weighted gradient", "cosine": "cosine with identity",
         "measure": "measured beside"}  # fmt: skip
Line = dict[str, float | str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, help="a pack of images at the configuration's size")
    parser.add_argument("--config", nargs="*", default=[], help="files laid over config/paper.yaml")
    parser.add_argument("--set", default="sysu", help="the data set whose split is trained (default: sysu)")
    parser.add_argument("--methods", nargs="+", default=["agw", "msclnet"])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--every", type=int, default=30, help="steps between two looks at the gradients (default: 30)")
    parser.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only-summary", action="store_true", help="of what lies in --out")
    args = parser.parse_args()
    files = [str(ROOT / "config/config.yaml"), str(ROOT / "config/paper.yaml"), *args.config]
    config = load(*files, "{model: {weights: none}}")
    for method in () if args.only_summary else args.methods:
        job = train_job(config, args.set, method, 1)
        job = replace(job, train=replace(job.train, precision=args.precision, threads=os.cpu_count() or 1))
        rehearse(job, args.pack, args.out / method, args.steps, args.every)
    lines = {method: read(args.out / method / "metrics.jsonl") for method in args.methods}
    write_csv(args.out / "rehearsal.csv", lines)
    draw(args.out / "rehearsal.png", lines)
    for method, found in lines.items():
        summarise(method, found)


def rehearse(job: TrainJob, pack_folder: Path, folder: Path, steps: int, every: int) -> None:
    """Takes ``steps`` steps of a training's first epochs, and records each."""
    torch.set_num_threads(job.train.threads)
    process = Processes(0, 1, torch.device("cpu"))
    images = TrainingImages(Pack.open(pack_folder), recipe(job))
    learner = Learner.of(job, len(images.identities), process, images.cameras)
    learner.model.train()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open("w", buffering=1) as file:

        def write(kind: str, step: int, **values: float) -> None:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")

        step, epoch = 0, 1
        while step < steps:
            rate = learner.set_rate(epoch)
            for batch in images.epoch(epoch, learner.device):
                if step % every == 0 or step == steps - 1:
                    norms, cosines = pull(learner, batch)
                    write("gradient", step, **norms)
                    write("cosine", step, **cosines)
                began = time.perf_counter()
                terms, outputs = train_step(learner, batch)
                seconds = time.perf_counter() - began
                step += 1
                write("step", step, rate=rate, seconds=seconds, **{name: float(v) for name, v in terms.items()})
                found = objective.measures(outputs, job.method.losses, job.objective)
                write("measure", step, **{name: float(value) for name, value in found.items()})
                print(f"{job.method_name}: step {step} of {steps}, {seconds:.1f} s, loss {float(terms['total']):.3f}")
                if step == steps:
                    break
            epoch += 1
        write("memory", step, **peak_memory(learner.device))


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def values_of(lines: list[dict], kind: str) -> dict[str, list[tuple[int, float]]]:
    """The curves of a kind of line: by name, (step, value)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        if line["kind"] == kind:
            for name in line:
                if name not in ("kind", "step", "rate", "seconds"):
                    found.setdefault(name, []).append((line["step"], line[name]))
    return found


def write_csv(path: Path, lines: dict[str, list[dict]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("method", "what", "name", "step", "value"))
        for method, found in lines.items():
            for kind in KINDS:
                for name, curve in values_of(found, kind).items():
                    writer.writerows((method, kind, name, step, f"{value:.6g}") for step, value in curve)


def draw(path: Path, lines: dict[str, list[dict]]) -> None:
    """A row a method: the terms, their gradients, their cosines, and what is measured beside."""
    figure = Figure(figsize=(19, 4.6 * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), len(KINDS), squeeze=False)
    for row, (method, found) in zip(grid, lines.items(), strict=True):
        for axes, (kind, title) in zip(row, KINDS.items(), strict=True):
            axes.set_prop_cycle(color=colormaps["tab20"].colors)
            for name, curve in values_of(found, kind).items():
                if kind != "step" or name != "total":
                    axes.plot(
                        *zip(*curve, strict=True), label=name, marker="o" if kind in ("gradient", "cosine") else ""
                    )
            axes.set_title(f"{method}: {title}")
            axes.set_xlabel("step")
            if kind in ("gradient", "measure"):
                axes.set_yscale("log" if kind == "gradient" else "symlog")
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def summarise(method: str, lines: list[dict]) -> None:
    """Prints a Markdown table of the first and last looks, the seconds of a step and the memory."""
    steps = [line for line in lines if line["kind"] == "step"]
    ten = max(1, len(steps) // 15)
    gradients, cosines, measured = (values_of(lines, kind) for kind in ("gradient", "cosine", "measure"))
    print(f"\n### {method}, {len(steps)} steps\n")
    print("| term | first | last | gradient's norm, first | last | cosine with identity, first | last |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in gradients:
        curve = [step[name] for step in steps]
        ends = [f"{statistics.fmean(part):.3g}" for part in (curve[:ten], curve[-ten:])]
        pulls = [f"{gradients[name][at][1]:.3g}" for at in (0, -1)]
        sides = [f"{cosines[name][at][1]:+.2f}" if name in cosines else "" for at in (0, -1)]
        print(f"| {name} | {' | '.join((*ends, *pulls, *sides))} |")
    print("\n| measured | first | last |\n| --- | --- | --- |")
    for name, curve in measured.items():
        print(f"| {name} | {curve[0][1]:.3g} | {statistics.fmean(value for _, value in curve[-ten:]):.3g} |")
    seconds = [step["seconds"] for step in steps]
    memory = next((line for line in lines if line["kind"] == "memory"), {})
    print(
        f"\nSeconds a step: median {statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}). ",
        end="",
    )
    print(", ".join(f"{name}: {value:.0f}" for name, value in memory.items() if name not in ("kind", "step")))


if __name__ == "__main__":
    main()
