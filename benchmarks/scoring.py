"""Every SYSU-MM01 mode, number of shots and draw at true size against loops over the queries; prints Markdown tables.

PYTHONPATH=. python benchmarks/scoring.py [--permutations .../exp/rand_perm_cam.mat --identities .../exp/test_id.txt]
    [--public Cross-Modal-Re-ID-baseline]

3,803 queries with 2,048-d features. With the real set's own lists the images are the set's; without, 96 drawn
identities of about the same numbers. Ours scores all forty galleries. The loops score one draw of each mode and number
of shots, and their time is multiplied by ten. The literal loop is the tests' reading of the protocol, a query and an
image at a time; the array loop ranks all queries at once by NumPy and goes through them one by one. ``--public`` adds
the AGW authors' own ``eval_sysu``, from a clone of https://github.com/mangye16/Cross-Modal-Re-ID-baseline. A round
times ours before and after every loop; a ratio is to the mean of both. A second table grows the gallery to a million.
"""

import argparse
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from msclnet.core.types import Images, Modality
from msclnet.datasets.protocol import Comparison
from msclnet.datasets.sysu import RULE, SYSU, load_permutations
from msclnet.evaluation.distance import cosine
from msclnet.evaluation.metrics import TOGETHER, Labels, score
from msclnet.evaluation.scoring import scored
from tests.evaluation.reference import literal

QUERIES, CHANNELS, DRAWS = 3803, 2048, 10
T = TypeVar("T")
Loop = Callable[[np.ndarray, Images, Comparison], float]  # features, images, a comparison -> its mAP


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--permutations", type=Path, help="the real set's exp/rand_perm_cam.mat")
    parser.add_argument("--identities", type=Path, help="the real set's exp/test_id.txt")
    parser.add_argument("--public", type=Path, help="a clone of the public AGW code, whose own scoring is timed, too")
    parser.add_argument("--rounds", type=int, default=3, help="of the first table; 0: none of it (default: 3)")
    parser.add_argument("--largest", type=int, default=1_000_000, help="gallery of the second table (default: 1000000)")
    parser.add_argument("--queries", type=int, default=200, help="of the second table (default: 200)")
    parser.add_argument("--channels", type=int, default=256, help="of the second table (default: 256)")
    args = parser.parse_args()
    counts = real_counts(args.permutations, args.identities) if args.permutations else drawn_counts()
    images = images_of(counts)
    rows = features_of(images.identities, CHANNELS)
    loops: dict[str, Loop] = {"literal loop": literally, "array loop": array_loop}
    if args.public:
        loops["public AGW code"] = public_code(args.public)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    if args.rounds:
        true_size(images, rows, loops, args.rounds)
    growing(args.largest, args.queries, args.channels)


def true_size(images: Images, rows: np.ndarray, loops: dict[str, Loop], rounds: int) -> None:
    options = SYSU.Evaluation.model_validate({"modes": ("all", "indoor"), "shots": (1, 10), "draws": DRAWS})
    comparisons = list(SYSU().comparisons(images, options))
    firsts = comparisons[::DRAWS]  # the first draw of each mode and number of shots

    def ours() -> list[float]:
        return [scores.mAP for _, scores in scored(rows, images, comparisons)]

    ours()
    print("| loop | round | loop, s | ours, before and after, s | ratio | ratio, CPU time |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number in range(1, rounds + 1):
        for name, loop in loops.items():
            found, *before = timed(ours)
            theirs, *slow = timed(lambda loop=loop: [loop(rows, images, comparison) for comparison in firsts])
            _, *after = timed(ours)
            # Products of other shapes round differently, which turns a few of a million nearly equal pairs round.
            assert np.abs(np.subtract(found[::DRAWS], theirs)).max() < 1e-4
            wall, cpu = (DRAWS * s / ((a + b) / 2) for s, a, b in zip(slow, before, after, strict=True))
            shown = f"{DRAWS * slow[0]:.1f} | {before[0]:.2f}, {after[0]:.2f} | {wall:.0f} | {cpu:.0f}"
            print(f"| {name} | {number} | {shown} |", flush=True)
    print()


def growing(largest: int, queries: int, channels: int) -> None:
    """Five images an identity and camera; ranked twice, for the first time does what is done once."""
    print(
        f"{queries} queries, {channels} channels:\n\n"
        "| gallery | distances, s | ms a query, first | ms a query, again |\n| --- | --- | --- | --- |"
    )
    size = 1000
    while size <= largest:
        rng = np.random.default_rng(size)
        gallery = torch.from_numpy(rng.standard_normal((size, channels), np.float32))
        query = torch.from_numpy(rng.standard_normal((queries, channels), np.float32))
        people = Labels(torch.arange(size) // 20, torch.arange(size) % 4 + 1)
        asked = Labels(torch.randint(size // 20, (queries,)), torch.full((queries,), 3))
        distances = cosine(query, gallery)
        first, again = (timed(lambda d=distances, a=asked, p=people: score(d, a, p, RULE))[1] for _ in range(2))
        _, product, _ = timed(lambda d=distances: [d(rows) for rows in torch.arange(queries).split(TOGETHER)])
        print(f"| {size:,} | {product:.3f} | {1000 * first / queries:.1f} | {1000 * again / queries:.1f} |")
        size *= 10


def timed(function: Callable[[], T]) -> tuple[T, float, float]:
    """What it gives, the seconds of the clock, and those of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def literally(rows: np.ndarray, images: Images, comparison: Comparison) -> float:
    known = [
        list(zip(images.identities[r].tolist(), images.cameras[r].tolist(), strict=True))
        for r in (comparison.query, comparison.gallery)
    ]
    found = literal(1 - rows[comparison.query] @ rows[comparison.gallery].T, *known, "sysu")
    assert found is not None
    return float(found["mAP"])


def public_code(folder: Path) -> Loop:
    """mAP by ``eval_sysu`` of the public code, called as its ``test.py`` does."""
    eval_sysu = runpy.run_path(str(folder / "eval_metrics.py"))["eval_sysu"]

    def loop(rows: np.ndarray, images: Images, comparison: Comparison) -> float:
        query, gallery = comparison.query, comparison.gallery
        known = [column[side] for column in (images.identities, images.cameras) for side in (query, gallery)]
        _, precision, _ = eval_sysu(-np.matmul(rows[query], rows[gallery].T), *known)
        return float(precision)

    return loop


def array_loop(rows: np.ndarray, images: Images, comparison: Comparison) -> float:
    """mAP, with the identity-unique CMC computed on the way."""
    order = np.argsort(1 - rows[comparison.query] @ rows[comparison.gallery].T, axis=1, kind="stable")
    people, cameras = images.identities[comparison.gallery], images.cameras[comparison.gallery]
    precisions, curves = [], []
    for nearest, identity, camera in zip(
        order, images.identities[comparison.query], images.cameras[comparison.query], strict=True
    ):
        kept = nearest[~((camera == 3) & (cameras[nearest] == 2))]
        hits = people[kept] == identity
        if not hits.any():
            continue
        _, first = np.unique(people[kept], return_index=True)
        curves.append((people[kept][np.sort(first)] == identity).cumsum()[:20])
        precisions.append((hits.cumsum() / np.arange(1, len(hits) + 1))[hits].mean())
    assert np.mean(curves, axis=0)[-1] <= 1
    return float(np.mean(precisions))


def real_counts(permutations: Path, identities: Path) -> dict[tuple[int, int], int]:
    """Images of each test identity in each camera."""
    tested = {int(word) for word in identities.read_text().split(",")}
    return {(i, c): drawn.shape[1] for (c, i), drawn in load_permutations(permutations).items() if i in tested}


def drawn_counts() -> dict[tuple[int, int], int]:
    rng = np.random.default_rng(0)
    counts = {(i, c): int(rng.integers(18, 28)) for i in range(96) for c in (1, 2, 4, 5) if rng.random() < 0.78}
    share = rng.multinomial(QUERIES, np.full(192, 1 / 192))
    return counts | {
        (i, c): int(n) for (i, c), n in zip(((i, c) for i in range(96) for c in (3, 6)), share, strict=True)
    }


def images_of(counts: dict[tuple[int, int], int]) -> Images:
    places = [place for place, count in sorted(counts.items()) for _ in range(count)]
    identities, cameras = np.array(places, np.int64).T
    modality = np.where(np.isin(cameras, (3, 6)), Modality.INFRARED, Modality.VISIBLE).astype(np.int64)
    return Images(identities, cameras, modality, np.array([f"{row:06d}" for row in range(len(places))]))


def features_of(identities: np.ndarray, channels: int) -> np.ndarray:
    """Random directions, those of an identity a little alike."""
    rng = np.random.default_rng(1)
    rows = (
        rng.normal(size=(len(identities), channels))
        + 0.2 * rng.normal(size=(identities.max() + 1, channels))[identities]
    )
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
