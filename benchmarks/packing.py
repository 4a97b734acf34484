"""Packing against a plain loop, on the same images in the same run; prints a Markdown table.

python benchmarks/packing.py [--images 2000] [--root /data/SYSU-MM01] [--workers 2]

Without ``--root`` it draws a stand-in in SYSU-MM01's layout. The plain loop is what the field's preprocessing scripts
do: open, convert, resize, append to a list, make one array of it and save that. Packing is timed with one worker and
with all; the order alternates. Memory is the largest sum of proportional set sizes of a fresh process and its workers.
"""

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from msclnet.core.types import ImageRecord
from msclnet.data.images import read_rgb
from msclnet.data.pack import in_order, write_images
from msclnet.datasets.sysu import SYSU

HEIGHT, WIDTH = 288, 144


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, help="how many are packed (default: 2000)")
    parser.add_argument("--root", type=Path, help="a SYSU-MM01 tree, real or drawn")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="(default: all cores)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = args.root or drawn(Path(folder, "set"), args.images, args.workers)
        split = SYSU().survey(root, real=False).require()[1]
        records = in_order((*split.train, *split.test))
        records = in_order(random.Random(0).sample(records, min(args.images, len(records))))
        out = Path(folder, "images.npy")
        workers = {"plain loop": 0, "packing, 1 worker": 1, f"packing, {args.workers} workers": args.workers}
        run(records, root, out, 1)  # the images are in the page cache from here on
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        memory = dict.fromkeys(workers, 0.0)
        for _ in range(args.rounds):
            for name, count in workers.items():
                took, peak = measured(records, root, out, count)
                seconds[name].append(took)
                memory[name] = max(memory[name], peak)
    print(f"{len(records)} images, {args.rounds} rounds, {os.cpu_count()} cores\n")
    print("| | images/s | against the plain loop | memory, MiB |\n| --- | --- | --- | --- |")
    for name, took in seconds.items():
        ratios = [loop / own for loop, own in zip(seconds["plain loop"], took, strict=True)]
        low, high = min(ratios), max(ratios)
        rate = len(records) / statistics.median(took)
        print(
            f"| {name} | {rate:.0f} | {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}) | {memory[name]:.0f} |"
        )


def drawn(root: Path, images: int, workers: int) -> Path:
    """Six cameras of twelve images at most, of which about two thirds are there."""
    people = max(6, images // 36)
    SYSU().draw(root, SYSU.StandIn(like="", train=people - 4, val=2, test=2, images=12), seed=0, workers=workers)
    return root


def plain(records: list[ImageRecord], root: Path, out: Path) -> None:
    images = []
    for record in records:
        image = read_rgb(root / record.path)
        images.append(np.array(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)))
    np.save(out, np.array(images))


def run(records: list[ImageRecord], root: Path, out: Path, workers: int, took: SimpleQueue | None = None) -> None:
    """The plain loop for no worker, else packing; puts the seconds into ``took``."""
    start = time.perf_counter()
    if workers:
        write_images(records, root, out, HEIGHT, WIDTH, workers)
    else:
        plain(records, root, out)
    if took:
        took.put(time.perf_counter() - start)


def measured(records: list[ImageRecord], root: Path, out: Path, workers: int) -> tuple[float, float]:
    """Seconds and MiB at the peak of ``run`` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    took = context.SimpleQueue()
    child = context.Process(target=run, args=(records, root, out, workers, took))
    child.start()
    watched, peak = psutil.Process(child.pid), 0.0
    while child.is_alive():
        total = 0
        try:
            for process in (watched, *watched.children(recursive=True)):
                total += process.memory_full_info().pss
        except psutil.Error:  # one of them has just ended
            continue
        peak = max(peak, total / 2**20)
        child.join(0.2)
    if child.exitcode:
        raise SystemExit(f"error: the process that packs with {workers} workers ended with {child.exitcode}")
    return took.get(), peak


if __name__ == "__main__":
    main()
