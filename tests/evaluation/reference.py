"""The protocols once more, query by query, as their text reads: slow, and sharing nothing with the code under test."""

from __future__ import annotations

import numpy as np


def literal(
    distances: np.ndarray,
    query: list[tuple[int, int]],
    gallery: list[tuple[int, int]],
    sysu: bool,
) -> dict[str, object] | None:
    """CMC (up to rank 50), mAP, mINP and the number of unmatched queries; (identity, camera) for every image."""
    ranks = min(50, len(gallery))
    matched_within, precisions, penalties = [0] * ranks, [], []
    for row, (identity, camera) in zip(distances.tolist(), query, strict=True):
        nearest = sorted(range(len(gallery)), key=lambda g: row[g])  # sorted() is stable
        seen = [gallery[g] for g in nearest if not (sysu and camera == 3 and gallery[g][1] == 2)]
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
        counted = list(dict.fromkeys(people)) if sysu else people
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
