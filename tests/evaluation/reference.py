"""The protocols once more, query by query, as their text reads: slow, and sharing nothing with the code under test."""

from __future__ import annotations

import numpy as np


def literal(
    distances: np.ndarray,
    query: list[tuple[int, int]],
    gallery: list[tuple[int, int]],
    data: str,
) -> dict[str, object] | None:
    """CMC (up to rank 50), mAP, mINP and the number of unmatched queries; (identity, camera) for every image."""
    ranks = min(50, len(gallery))
    matched_within, precisions, penalties = [0] * ranks, [], []
    for row, (identity, camera) in zip(distances.tolist(), query, strict=True):
        nearest = sorted(range(len(gallery)), key=lambda g: row[g])  # sorted() is stable
        if data == "sysu":
            nearest = [g for g in nearest if not (camera == 3 and gallery[g][1] == 2)]
        if data == "llcm":
            nearest = [g for g in nearest if gallery[g] != (identity, camera)]
        seen = [gallery[g] for g in nearest]
        people = [person for person, _ in seen]
        if identity not in people:
            continue
        found, precision_sum = 0, 0.0
        for place, person in enumerate(people, start=1):
            if person == identity:
                found += 1
                precision_sum += found / place
                last = place
        precisions.append(precision_sum / found)
        penalties.append(found / last)
        counted = people if data == "regdb" else list(dict.fromkeys(people))
        for rank in range(counted.index(identity), ranks):
            matched_within[rank] += 1
    if not precisions:
        return None
    return {
        "cmc": np.array(matched_within) / len(precisions),
        "mAP": sum(precisions) / len(precisions),
        "mINP": sum(penalties) / len(penalties),
        "unmatched": len(query) - len(precisions),
    }


def literally_reranked(distances: np.ndarray, asked: int, k1: int, k2: int, weight: float) -> np.ndarray:
    """k-reciprocal re-ranking by sets, from squared distances of all images to all, the ``asked`` queries first."""
    count = len(distances)
    scaled = (distances / distances.max(axis=0)).T
    order = [sorted(range(count), key=lambda j, row=row: row[j]) for row in scaled.tolist()]

    def reciprocal(image: int, k: int) -> set[int]:
        return {other for other in order[image][: k + 1] if image in order[other][: k + 1]}

    codes = np.zeros((count, count))
    for image in range(count):
        neighbours = reciprocal(image, k1)
        extended = set(neighbours)
        for other in neighbours:
            theirs = reciprocal(other, round(k1 / 2))
            if 3 * len(theirs & neighbours) > 2 * len(theirs):
                extended |= theirs
        for other in extended:
            codes[image, other] = np.exp(-scaled[image, other])
        codes[image] /= codes[image].sum()
    if k2 > 1:
        codes = np.array([np.mean([codes[other] for other in order[image][:k2]], axis=0) for image in range(count)])
    jaccard = [
        [1 - np.minimum(codes[q], codes[g]).sum() / np.maximum(codes[q], codes[g]).sum() for g in range(asked, count)]
        for q in range(asked)
    ]
    return weight * scaled[:asked, asked:] + (1 - weight) * np.array(jaccard)
