"""Who is compared with whom: the protocols of RegDB and SYSU-MM01."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from msclnet.config import ConfigError
from msclnet.evaluation.distance import Distances, columns, cosine
from msclnet.evaluation.metrics import Labels, Rule, Scores, score
from msclnet.types import Features, Modality

FEATURES = ("bn", "pooled")  # the headline first
REGDB = Rule()
# Cameras 2 and 3 of SYSU-MM01 stand in one place (Wu et al., ICCV 2017).
SYSU = Rule(ignored=((3, 2),), identity_unique=True)


@dataclass(frozen=True)
class Comparison:
    """Which rows of ``Features`` are queries and which the gallery (int64, in the gallery's order), and by what rule.

    ``setting`` says of which comparison it is one, in the words of scores.json.
    """

    setting: dict[str, str | int]
    query: np.ndarray
    gallery: np.ndarray
    rule: Rule


def regdb_comparisons(features: Features) -> Iterator[Comparison]:
    """Both directions over all test images of a split: one modality asks, the other answers."""
    visible, infrared = (np.flatnonzero(features.modality == m) for m in (Modality.VISIBLE, Modality.INFRARED))
    yield Comparison({"direction": "visible-to-infrared"}, visible, infrared, REGDB)
    yield Comparison({"direction": "infrared-to-visible"}, infrared, visible, REGDB)


def sysu_comparisons(
    features: Features, modes: Sequence[str], shots: Sequence[int], protocol: str, draws: int
) -> Iterator[Comparison]:
    """Every mode, number of shots and draw 0..draws-1; the queries are all infrared images, in every mode.

    The gallery holds 1 or 10 images (all, where there are fewer) of each identity from each visible camera: 1, 2, 4, 5
    in mode ``all``, 1, 2 in mode ``indoor``. ``community`` draws them as AGW's public code does: for draw t a generator
    seeded with t goes through the sorted identities, for each through the cameras, and chooses from the sorted paths.
    That code defines the single-shot draw only; the multi-shot draw, ``sample`` where it has ``choice``, is this
    project's extension of it.

    Raises ConfigError for a mode or protocol of another name, and for no draw at all.
    """
    if draws < 1:
        raise ConfigError(f"evaluate.sysu.draws: found {draws}, expected 1 or more")
    if protocol != "community":
        raise ConfigError(f"evaluate.sysu.protocol: found {protocol!r}, expected 'community'")
    query = np.flatnonzero(features.modality == Modality.INFRARED)
    for mode in modes:
        for shot in shots:
            for draw in range(draws):
                setting: dict[str, str | int] = {"mode": mode, "shots": shot, "protocol": protocol, "draw": draw}
                gallery = community_gallery(features, sysu_cameras(mode), shot, draw)
                yield Comparison(setting, query, gallery, SYSU)


def sysu_cameras(mode: str) -> tuple[int, ...]:
    """The visible cameras of a search mode."""
    match mode:
        case "all":
            return 1, 2, 4, 5
        case "indoor":
            return 1, 2
        case _:
            raise ConfigError(f"evaluate.sysu.modes: found {mode!r}, expected 'all' or 'indoor'")


def community_gallery(features: Features, cameras: Sequence[int], shots: int, draw: int) -> np.ndarray:
    """Rows of the gallery of one draw, by identity, then camera; see ``sysu_comparisons``."""
    rng = random.Random(draw)
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(features.modality == Modality.VISIBLE).tolist():
        rows[int(features.identities[row]), int(features.cameras[row])].append(row)
    gallery: list[int] = []
    for identity in sorted({identity for identity, _ in rows}):
        for camera in cameras:
            images = sorted(rows.get((identity, camera), []), key=lambda row: str(features.paths[row]))
            if images and shots == 1:
                gallery.append(rng.choice(images))
            elif images:
                gallery += rng.sample(images, min(shots, len(images)))
    return np.array(gallery, dtype=np.int64)


def evaluate_regdb(features: Features, split: int) -> list[dict[str, object]]:
    """The rows of scores.json, by feature and direction: percentages, counts and the CMC as plain JSON values."""
    rows = []
    for feature in FEATURES:
        embedded = torch.from_numpy(getattr(features, feature))
        for comparison in regdb_comparisons(features):
            distances = cosine(embedded[comparison.query], embedded[comparison.gallery])
            rows.append(_row(feature, split, comparison, _scores(features, comparison, distances)))
    return rows


def evaluate_sysu(
    features: Features, modes: Sequence[str], shots: Sequence[int], protocol: str, draws: int, split: int = 1
) -> list[dict[str, object]]:
    """As ``evaluate_regdb``, by feature, mode, shots and draw. Distances are computed once and shared by all draws."""
    comparisons = list(sysu_comparisons(features, modes, shots, protocol, draws))
    visible = np.flatnonzero(features.modality == Modality.VISIBLE)
    infrared = np.flatnonzero(features.modality == Modality.INFRARED)
    rows = []
    for feature in FEATURES:
        embedded = torch.from_numpy(getattr(features, feature))
        matrix = cosine(embedded[infrared], embedded[visible])(slice(None))
        for comparison in comparisons:
            chosen = torch.from_numpy(np.searchsorted(visible, comparison.gallery))
            rows.append(_row(feature, split, comparison, _scores(features, comparison, columns(matrix, chosen))))
    return rows


def _scores(features: Features, comparison: Comparison, distances: Distances) -> Scores:
    identities, cameras = torch.from_numpy(features.identities), torch.from_numpy(features.cameras)
    query, gallery = (Labels(identities[rows], cameras[rows]) for rows in (comparison.query, comparison.gallery))
    return score(distances, query, gallery, comparison.rule)


def _row(feature: str, split: int, comparison: Comparison, scores: Scores) -> dict[str, object]:
    cmc = (100 * scores.cmc).tolist()
    return {
        "feature": feature,
        **comparison.setting,
        "split": split,
        **{f"rank{k}": cmc[min(k, len(cmc)) - 1] for k in (1, 5, 10, 20)},  # a smaller gallery is met whole
        "mAP": 100 * scores.mAP,
        "mINP": 100 * scores.mINP,
        "queries": scores.queries,
        "queries_without_match": scores.queries_without_match,
        "gallery": scores.gallery,
        "cmc": cmc,
    }
