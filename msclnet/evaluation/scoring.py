"""From features to percentages: the rows of scores.json, and ``evaluate`` for features from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, get_origin

import numpy as np
import torch

from msclnet.config import build
from msclnet.core.errors import ConfigError, DataError
from msclnet.core.types import Features, Images, Modality
from msclnet.datasets.dataset import DataSet
from msclnet.datasets.protocol import Comparison, Permutations
from msclnet.datasets.table import SETS
from msclnet.evaluation.distance import Distances, cosine
from msclnet.evaluation.draws import score_draws
from msclnet.evaluation.metrics import Labels, Scores, score
from msclnet.evaluation.re_ranking import reranked
from msclnet.results.scores import COUNTS, FEATURES, METRICS

Row = dict[str, Any]

SHARED = 2**27  # distances kept for all draws of a gallery: half a gigabyte


def split_rows(features: Features, split: int, comparisons: Iterable[Comparison], rerank: bool = False) -> list[Row]:
    """The rows of scores.json, by feature, then as the comparisons come: plain JSON values, percentages, the CMC.

    Raises DataError as ``score`` and ``reranked`` do.
    """
    comparisons = list(comparisons)
    return [
        {
            "feature": feature,
            "flip": _word(features.flip),
            "rerank": _word(rerank),
            **comparison.setting,
            "split": split,
            **_percentages(scores),
            "cmc": (100 * scores.cmc).tolist(),
        }
        for feature in FEATURES
        for comparison, scores in scored(getattr(features, feature), features, comparisons, rerank)
    ]


def scored(
    embedded: np.ndarray, images: Images, comparisons: Iterable[Comparison], rerank: bool = False
) -> Iterator[tuple[Comparison, Scores]]:
    """Each comparison with its scores; ``embedded`` is float32 ``[N, D]`` of unit rows, as ``images`` has them.

    Comparisons of the same queries that follow one another are scored in one pass, where ``_shared`` says so.
    """
    rows = torch.from_numpy(embedded)
    known = Labels(torch.from_numpy(images.identities), torch.from_numpy(images.cameras))
    for _, same in groupby(comparisons, key=lambda comparison: (comparison.query.tobytes(), comparison.rule)):
        group = list(same)
        queries = group[0].query
        query = known.of(queries)
        shared = None if rerank else _shared(group, images.identities)
        if shared:
            used, members = shared
            matrix = cosine(rows[queries], rows[used])(torch.arange(len(queries)))
            scores = score_draws(matrix.__getitem__, query, known.of(used), members, group[0].rule)
            yield from zip(group, scores, strict=True)
            continue
        for comparison in group:
            gallery = comparison.gallery
            distances: Distances = (
                reranked(rows[queries], rows[gallery]).__getitem__ if rerank else cosine(rows[queries], rows[gallery])
            )
            yield comparison, score(distances, query, known.of(gallery), comparison.rule)


def _shared(group: Sequence[Comparison], identities: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """All images of some galleries, rows ``[N]``, and which of them each holds, bool ``[D, N]``; None: each by itself.

    So it is where there is but one, where the distances do not fit in ``SHARED``, and where a gallery does not go by
    identity, or lists an image twice: its own order decides between equally near images.
    """
    used = np.unique(np.concatenate([comparison.gallery for comparison in group]))
    if len(group) == 1 or not 0 < len(group[0].query) * len(used) <= SHARED:
        return None
    used = used[identities[used].argsort(kind="stable")]
    place = np.zeros(len(identities), np.int64)
    place[used] = np.arange(len(used))
    members = np.zeros((len(group), len(used)), bool)
    for held, comparison in zip(members, group, strict=True):
        held[place[comparison.gallery]] = True
        if (np.diff(identities[comparison.gallery]) < 0).any() or held.sum() < len(comparison.gallery):
            return None
    return used, members


def evaluate(
    features: np.ndarray,
    identities: np.ndarray,
    cameras: np.ndarray,
    modality: np.ndarray,
    paths: np.ndarray | None = None,
    *,
    data: str,
    direction: str | None = None,
    mode: str = "all",
    shots: int = 1,
    protocol: str = "community",
    draws: int = 10,
    permutations: Permutations | Path | None = None,
    rerank: bool = False,
    **others: Any,
) -> dict[str, Any]:
    """Scores features of any model by the protocol of a data set.

    RegDB and LLCM ask for ``direction``, SYSU-MM01 for ``mode``, ``shots`` and ``protocol``. SYSU-MM01 and LLCM average
    ``draws`` galleries. Of the named settings, those a set does not ask for are not looked at.

    Args:
        features: ``[N, D]``, finite and not zero, compared by cosine.
        identities: integers ``[N]``.
        cameras: integers ``[N]``.
        modality: integers ``[N]``, 0 visible, 1 infrared.
        paths: ``[N]``. Their order decides which image of an identity and camera a gallery draw means. By default the
            order is that of the rows.
        data: the data set's name: ``sysu``, say.
        direction: ``visible-to-infrared`` or ``infrared-to-visible``.
        mode: ``all`` or ``indoor``.
        shots: gallery images of each identity and camera, 1 or 10.
        protocol: ``community``, or ``official``, which needs ``permutations``.
        draws: galleries drawn, 1 or more.
        permutations: the set's own file, or what ``msclnet.datasets.sysu.load_permutations`` reads of it.
        rerank: whether to re-rank by k-reciprocal neighbours (Zhong et al., CVPR 2017).
        **others: settings of a data set from outside the package.

    Returns:
        ``{"data", <setting>, "rerank", "draws": [...], "mean": {...}, "queries", "queries_without_match", "gallery"}``.
            Each draw (RegDB has one) and the mean hold ``rank1``, ``rank5``, ``rank10``, ``rank20``, ``mAP`` and
            ``mINP``. These are in percent, over the queries that have a match. The last three are numbers of images.

    Raises:
        ConfigError: a setting or a value that there is not, or no ``direction`` where there are two.
        DataError: arrays that do not fit one another, features that have no direction, cameras that the data set has
            not, or no match at all. Or the matrices of a re-ranking would not fit in memory.
    """
    images = Images(
        np.asarray(identities, np.int64),
        np.asarray(cameras, np.int64),
        np.asarray(modality, np.int64),
        np.array([f"{row:09d}" for row in range(len(features))]) if paths is None else np.asarray(paths),
    )
    embedded = _unit(np.asarray(features, np.float32), images)
    data_set = SETS.get(data)
    require_settings(data_set, others)
    given = {"direction": direction, "mode": mode, "shots": shots, "protocol": protocol, "draws": draws, **others}
    options = None
    if data_set.Evaluation:
        options = build(data_set.Evaluation, {name: given[name] for name in _single(data_set) if name in given})
    require_cameras(data_set, images)
    comparisons = _of_one_setting(data_set, given, list(data_set.comparisons(images, options, permutations)))
    setting = {key: value for key, value in comparisons[0].setting.items() if key != "draw"}
    rows = [
        {"draw": draw, **_percentages(scores)}
        for draw, (_, scores) in enumerate(scored(embedded, images, comparisons, rerank))
    ]
    return {
        "data": data,
        **setting,
        "rerank": _word(rerank),
        "draws": rows,
        "mean": {metric: sum(row[metric] for row in rows) / len(rows) for metric in METRICS},
        **{count: rows[0][count] for count in COUNTS},
    }


def require_settings(data_set: DataSet, names: Iterable[str]) -> None:
    """Raises ConfigError where one of ``names`` is no setting of the data set's protocol."""
    known = [*data_set.columns, *_single(data_set), *(["permutations"] if data_set.reads else [])]
    for name in names:
        if name not in known:
            raise ConfigError(f"{name}: {data_set.title} has no such setting; it has {', '.join(known)}: leave it out")


def unlike_the_real(found: Row) -> str:
    """In what the images of a comparison are not those of the real set, or nothing.

    Args:
        found: what ``evaluate`` returned.

    Returns:
        A sentence, or an empty text.
    """
    data_set = SETS.get(found["data"])
    real = data_set.real_numbers(found)
    other = [f"{found[name]:,} {name} in place of {number:,}" for name, number in real.items() if found[name] != number]
    return f"{', '.join(other)}: these are not the images of the real {data_set.title}" if other else ""


def readable(found: Row) -> str:
    """What ``evaluate`` returns as a few lines: the setting, the numbers of images, and the mean scores."""
    how = [f"{key} {value}" for key, value in found.items() if isinstance(value, str | int) and key not in COUNTS]
    of = f"mean of {len(found['draws'])} draws" if len(found["draws"]) > 1 else "one comparison"
    return "\n".join(
        (
            ", ".join(how),
            f"{found['queries']:,} queries, {found['queries_without_match']:,} without a match (not counted), "
            f"{found['gallery']:,} gallery images; {of}, percent:",
            "  ".join(f"{metric:>6}" for metric in METRICS),
            "  ".join(f"{found['mean'][metric]:6.2f}" for metric in METRICS),
        )
    )


def _single(data_set: DataSet) -> list[str]:
    """The options that hold for a single comparison; the lists name values of the columns."""
    fields = data_set.Evaluation.model_fields.items() if data_set.Evaluation else ()
    return [name for name, field in fields if get_origin(field.annotation) is not tuple]


def _of_one_setting(data_set: DataSet, given: Mapping[str, Any], comparisons: Iterable[Comparison]) -> list[Comparison]:
    """The comparisons of one value in each column of the data set: the one given, or the only one."""
    chosen = list(comparisons)
    for column in data_set.columns:
        values = list(dict.fromkeys(comparison.setting[column] for comparison in chosen))
        wanted = given.get(column)
        if wanted is None and len(values) > 1:
            raise ConfigError(f"{column}: {data_set.name} has {len(values)}; name {' or '.join(map(str, values))}")
        if wanted is not None and wanted not in values:
            raise ConfigError(f"{column}: found {wanted!r}, expected {' or '.join(map(str, values))}")
        chosen = [comparison for comparison in chosen if wanted in (None, comparison.setting[column])]
    return chosen


def _unit(features: np.ndarray, images: Images) -> np.ndarray:
    """The features scaled to unit length, after a look at what was given."""
    if features.ndim != 2:
        raise DataError(f"features: an array of shape {list(features.shape)}, expected [images, channels]")
    for name, values in vars(images).items():
        if values.shape != (len(features),):
            raise DataError(
                f"{name}: an array of shape {list(values.shape)}, expected [{len(features)}], a value for each feature"
            )
    if wrong := sorted(set(images.modality.tolist()) - {0, 1}):
        raise DataError(f"modality: found {wrong[0]}, expected 0 (visible) or 1 (infrared)")
    if len(found := set(images.modality.tolist())) == 1:
        only = Modality(found.pop()).name.lower()
        raise DataError(f"modality: all {len(features)} images are {only}; expected both modalities: add the other's")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if bad := np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0))).tolist():
        raise DataError(
            f"features: {len(bad)} rows are zero or not finite, the first is row {bad[0]} ({images.paths[bad[0]]}); "
            "expected finite rows with a direction: extract them again"
        )
    return features / lengths


def require_cameras(data_set: DataSet, images: Images) -> None:
    """Raises DataError where an image is of a camera that its modality has not: a protocol would pass it over."""
    for modality, cameras in data_set.cameras.items():
        mine = images.modality == modality
        if wrong := sorted(set(images.cameras[mine].tolist()) - set(cameras)):
            row = np.flatnonzero(mine & (images.cameras == wrong[0]))[0]
            raise DataError(
                f"cameras: found {wrong[0]} on {modality.name.lower()} images, first in row {row} "
                f"({images.paths[row]}), and {data_set.title} has {', '.join(map(str, cameras))} there: number them as "
                "the set does, and see that modality is 0 for visible and 1 for infrared"
            )


def _percentages(scores: Scores) -> Row:
    cmc = (100 * scores.cmc).tolist()
    return {
        **{f"rank{k}": cmc[min(k, len(cmc)) - 1] for k in (1, 5, 10, 20)},  # a smaller gallery is met whole
        "mAP": 100 * scores.mAP,
        "mINP": 100 * scores.mINP,
        **{count: getattr(scores, count) for count in COUNTS},
    }


def _word(value: bool) -> str:
    return "yes" if value else "no"
