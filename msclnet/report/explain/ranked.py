"""Ranked lists: a query and the gallery images nearest to it, of the best, the worst and random queries."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from msclnet.core.errors import DataError
from msclnet.core.types import Features, Modality
from msclnet.datasets.dataset import DataSet
from msclnet.datasets.protocol import Comparison
from msclnet.evaluation.distance import cosine
from msclnet.evaluation.metrics import Labels, average_precision
from msclnet.report.figures.tables import TOP, RankedImage


def ranked_lists(
    data_set: DataSet, method: str, features: Features, comparisons: Iterable[Comparison], queries: int, seed: int
) -> list[RankedImage]:
    """The first ``TOP`` of the lists of ``queries`` best, worst and random queries of each comparison.

    Best and worst are by average precision, among the queries that have a match, as the comparison's rule leaves the
    gallery; equally good ones in the features' order. Random ones are drawn from the rest by ``seed``; where there are
    too few queries for all, the groups come in this order. Raises DataError when no query has a match.
    """
    images = []
    for comparison in comparisons:
        setting = data_set.heading(comparison.setting)
        precision = _average_precision(features, comparison)
        matched = np.flatnonzero(~np.isnan(precision))
        if not len(matched):
            raise DataError(f"{method}, {setting}: no query has a match; expected some: check the split's test images")
        order = matched[np.argsort(-precision[matched], kind="stable")]
        best, rest = order[:queries], order[queries:]
        worst, rest = rest[::-1][:queries], rest[: max(0, len(rest) - queries)]
        random = np.random.default_rng(seed).permutation(rest)[:queries]
        for group, chosen in (("best", best), ("worst", worst), ("random", random)):
            for number, query in enumerate(chosen, start=1):
                percent = 100 * float(precision[query])
                shown = _list(features, comparison, int(query))
                images += [RankedImage(method, setting, group, number, percent, *image) for image in shown]
    return images


def _average_precision(features: Features, comparison: Comparison) -> np.ndarray:
    """Of each query, by the project's own metric; NaN for one without a match."""
    distances = cosine(*(torch.from_numpy(features.bn[rows]) for rows in (comparison.query, comparison.gallery)))
    query, gallery = (_labels(features, rows) for rows in (comparison.query, comparison.gallery))
    return average_precision(distances, query, gallery, comparison.rule).numpy()


def _labels(features: Features, rows: np.ndarray) -> Labels:
    return Labels(torch.from_numpy(features.identities[rows]), torch.from_numpy(features.cameras[rows]))


def _list(features: Features, comparison: Comparison, query: int) -> list[tuple[int, str, str, int, int, float, int]]:
    """The query itself, and the first ``TOP`` that the rule leaves it: the last fields of ``RankedImage``."""
    row = int(comparison.query[query])
    identity, camera = int(features.identities[row]), int(features.cameras[row])
    gallery = comparison.gallery
    seen = comparison.rule.seen(identity, camera, features.identities[gallery], features.cameras[gallery])
    gallery = gallery[seen]
    cosines = features.bn[gallery] @ features.bn[row]
    nearest = np.argsort(1 - cosines, kind="stable")[:TOP]
    shown = [(row, 1.0), *((int(gallery[place]), float(cosines[place])) for place in nearest)]
    return [
        (
            position,
            str(features.paths[image]),
            Modality(int(features.modality[image])).name.lower(),
            int(features.identities[image]),
            int(features.cameras[image]),
            similarity,
            int(features.identities[image] == features.identities[row]),
        )
        for position, (image, similarity) in enumerate(shown)
    ]
