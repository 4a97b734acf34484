"""How long a search among many features takes on the CPU, what it needs, and how much of the exact answer it finds.

    python benchmarks/search.py --images 1000000 --dimension 2048 --folder /tmp/search

The features are synthetic and clustered: identities' centres are drawn on a sphere of 32 dimensions, images around
them with as much noise there as makes other identities mix with the right one; that is turned into the space of the
features, and noise in all of its dimensions is added. The queries are further images of some identities.
"""

import argparse
import json
import platform
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from msclnet.core.types import Modality
from msclnet.inference.feature_cache import BLOCK, Image, Store
from msclnet.inference.index import PROBES, Hits, Index, exact

IMAGES_OF_ONE = 20
DEGREES = 32  # dimensions in which identities differ; features of trained networks fill few of theirs
IDENTITY_NOISE, IMAGE_NOISE = 0.7, 0.3  # lengths, beside a centre of length 1, in those dimensions and in all
TOP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=2048, help="2048: ResNet-50; 128: the small network")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--probes", type=int, nargs="+", default=[PROBES], help="cells looked at")
    parser.add_argument("--folder", type=Path, required=True, help="for features and index; kept for the next call")
    args = parser.parse_args()

    folder = args.folder / f"{args.images}x{args.dimension}"
    store = Store(folder, args.dimension)
    people = People(args.images, args.dimension)
    start = time.perf_counter()
    for number, features in people.blocks(len(store.rows(Modality.VISIBLE))):
        rows = range(number, number + len(features))
        store.put([Image(str(i), 0, 0, Modality.VISIBLE, 0.0) for i in rows], features)
    report(step="store", seconds=time.perf_counter() - start, bytes=store.file("features", ".f32").stat().st_size)

    for step in ("build", "open"):
        start = time.perf_counter()
        index = Index(store, Modality.VISIBLE)
        report(step=step, seconds=time.perf_counter() - start, bytes=index.file.stat().st_size)

    queries = people.queries(args.queries)
    start = time.perf_counter()
    truth = exact(store, queries, Modality.VISIBLE, TOP)
    report(step=f"exact, {args.queries} queries at once", seconds=time.perf_counter() - start)
    for probes in args.probes:
        index.search(queries[:1], TOP, probes)
        hits, seconds = [], []
        for query in queries:
            start = time.perf_counter()
            hits.append(index.search(query[None], TOP, probes))
            seconds.append(time.perf_counter() - start)
        median, slow = 1000 * np.percentile(seconds, (50, 95))
        report(step="index, a query", probes=probes, median_ms=median, slowest_5th_ms=slow, recall=recall(hits, truth))
    if args.images <= 100_000 or args.dimension <= 128:
        start = time.perf_counter()
        exact(store, queries[:1], Modality.VISIBLE, TOP)
        report(step="exact, a query", seconds=time.perf_counter() - start)


class People:
    """The synthetic features; a function of the numbers given alone."""

    def __init__(self, images: int, dimension: int) -> None:
        self.images, self.identities = images, images // IMAGES_OF_ONE
        rng = np.random.default_rng(0)
        self.centres = unit(rng.standard_normal((self.identities, DEGREES), np.float32))
        self.axes = np.linalg.qr(rng.standard_normal((dimension, DEGREES)))[0].T.astype(np.float32)

    def blocks(self, start: int) -> Iterator[tuple[int, np.ndarray]]:
        """Features from image ``start`` on, with the number of the first of each block."""
        for number in range(start, self.images, BLOCK):
            numbers = np.arange(number, min(number + BLOCK, self.images))
            yield number, self._near(numbers % self.identities, np.random.default_rng((1, number)))

    def queries(self, count: int) -> np.ndarray:
        rng = np.random.default_rng(2)
        return self._near(rng.integers(0, self.identities, count), rng)

    def _near(self, identities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An image of each of some identities."""
        features = noisy(self.centres[identities], IDENTITY_NOISE, rng) @ self.axes
        return unit(noisy(features, IMAGE_NOISE, rng))


def noisy(rows: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """``rows`` with normal noise of about ``length`` added to each."""
    scale = length / np.sqrt(rows.shape[1], dtype=np.float32)
    return rows + scale * rng.standard_normal(rows.shape, np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def recall(hits: list[Hits], truth: Hits) -> float:
    """The fraction of the exact answers' images that the index found."""
    pairs = zip(hits, truth.rows, strict=True)
    return float(np.mean([len(np.intersect1d(hit.rows[0], rows)) / len(rows) for hit, rows in pairs]))


def report(**values: object) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({**values, "peak_memory_MiB": memory}), flush=True)


if __name__ == "__main__":
    print(f"{platform.machine()}, {torch.get_num_threads()} threads", file=sys.stderr)
    main()
