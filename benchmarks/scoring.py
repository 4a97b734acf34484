"""Every SYSU-MM01 mode, number of shots and draw at true size against loops over the queries; prints Markdown tables.

PYTHONPATH=. python benchmarks/scoring.py [--permutations .../exp/rand_perm_cam.mat --identities .../exp/test_id.txt]

3,803 queries with 2,048-d features. With the real set's own lists the images are the set's; without, 96 drawn
identities of about the same numbers. The literal loop is the tests' reading of the protocol, a query and an image at a
time; the array loop ranks all queries at once by NumPy and goes through them one by one, as the field's scripts do.
Both are timed on one draw of each setting. A second table grows the gallery to a million images.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from msclnet.core.types import Images, Modality
from msclnet.datasets.protocol import Comparison
from msclnet.datasets.sysu import RULE, SYSU, load_permutations
from msclnet.evaluation.distance import cosine
from msclnet.evaluation.metrics import Labels, score
from msclnet.evaluation.scoring import scored
from tests.evaluation.reference import literal

QUERIES, CHANNELS, DRAWS = 3803, 2048, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--permutations", type=Path, help="the real set's exp/rand_perm_cam.mat")
    parser.add_argument("--identities", type=Path, help="the real set's exp/test_id.txt")
    parser.add_argument("--largest", type=int, default=1_000_000, help="gallery of the second table (default: 1000000)")
    args = parser.parse_args()
    counts = real_counts(args.permutations, args.identities) if args.permutations else drawn_counts()
    images = images_of(counts)
    rows = features_of(images.identities, CHANNELS)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    true_size(images, rows)
    growing(args.largest)


def true_size(images: Images, rows: np.ndarray) -> None:
    print("| mode | shots | gallery | here, 10 draws, s | literal loop, s | ratio | array loop, s | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    total = np.zeros(3)
    for mode in ("all", "indoor"):
        for shots in (1, 10):
            options = SYSU.Evaluation.model_validate({"modes": (mode,), "shots": (shots,), "draws": DRAWS})
            comparisons = list(SYSU().comparisons(images, options))
            found, own = timed(lambda c=comparisons: [scores for _, scores in scored(rows, images, c)])
            slow, loop = timed(lambda c=comparisons[0]: literally(rows, images, c))
            near, array = timed(lambda c=comparisons[0]: array_loop(rows, images, c))
            # Products of other shapes round differently, which turns a few of a million nearly equal pairs round.
            assert max(abs(found[0].mAP - slow["mAP"]), abs(found[0].mAP - near)) < 1e-4
            times = np.array([own, DRAWS * loop, DRAWS * array])
            total += times
            print(line(mode, shots, len(comparisons[0].gallery), times))
    print(line("together", "", "", total) + "\n")


def line(mode: str, shots: object, gallery: object, times: np.ndarray) -> str:
    own, loop, array = times
    cells = (
        mode,
        shots,
        gallery,
        f"{own:.2f}",
        f"{loop:.1f}",
        f"{loop / own:.0f}",
        f"{array:.1f}",
        f"{array / own:.1f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def growing(largest: int) -> None:
    """A hundred queries, 256 channels, five images an identity and camera."""
    print("| gallery | distances, s | ranking, s | ms a query |\n| --- | --- | --- | --- |")
    size = 1000
    while size <= largest:
        rng = np.random.default_rng(size)
        gallery = torch.from_numpy(rng.normal(size=(size, 256)).astype(np.float32))
        query = torch.from_numpy(rng.normal(size=(100, 256)).astype(np.float32))
        people = Labels(torch.arange(size) // 20, torch.arange(size) % 4 + 1)
        asked = Labels(torch.randint(size // 20, (100,)), torch.full((100,), 3))
        distances = cosine(query, gallery)
        _, product = timed(lambda d=distances: [d(rows) for rows in torch.arange(100).split(4)])
        _, whole = timed(lambda d=distances, a=asked, p=people: score(d, a, p, RULE))
        print(f"| {size:,} | {product:.3f} | {whole - product:.3f} | {10 * whole:.1f} |")
        size *= 10


def timed(function: Callable) -> tuple:
    function()
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def literally(rows: np.ndarray, images: Images, comparison: Comparison) -> dict:
    known = [
        list(zip(images.identities[r].tolist(), images.cameras[r].tolist(), strict=True))
        for r in (comparison.query, comparison.gallery)
    ]
    return literal(1 - rows[comparison.query] @ rows[comparison.gallery].T, *known, "sysu")


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
