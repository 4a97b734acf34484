"""The paper's two studies: Table 1, terms added to the baseline, and Figure 6, one weight varied.

A variant is a method that differs from the studied one (``studies.method``) in the weights of its losses alone. It is
trained once a seed, on one split, and scored as every other training. Reads and writes text; imports no torch.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msclnet import config as settings
from msclnet.config import Config, Studies, TrainJob
from msclnet.core.errors import DataError
from msclnet.datasets.table import SETS
from msclnet.results.layout import SCORES, STUDIES, StudyPlace
from msclnet.results.scores import HEADLINE, HOW, METRICS, Row, headline, read_scores

FOLDER = STUDIES  # of their trainings, in the place of a method's
PARTS = {"MS": ("div", "t"), "MC": ("global", "local"), "CA": ("sub", "intra", "inter")}
LAMBDAS = ("div", "t", "local", "global")  # Eq. 17, in the order of Figure 6
COMPLETE = ("MS", "MC", "CA")
IN_PARTS = {*PARTS["MC"], *PARTS["CA"]}  # the terms that read f^s, of which there are parts to be kept apart
SEPARATION = "separation"
PRINTED_ON = "SYSU-MM01"  # the images of the numbers in print, all-search
# What is added to the baseline B = AGW*, Rank-1 and mAP in percent: Table 1 of the paper.
TABLE_1: tuple[tuple[tuple[str, ...], float, float], ...] = (
    ((), 59.82, 56.07),
    (("div",), 60.32, 56.79),
    (("t",), 60.67, 58.12),
    (("global",), 62.14, 59.94),
    (("local",), 61.33, 59.23),
    (("sub",), 61.74, 59.88),
    (("intra",), 61.96, 60.40),
    (("inter",), 63.55, 60.97),
    (("MS",), 62.82, 60.25),
    (("MC",), 64.84, 61.00),
    (("CA",), 66.13, 61.99),
    (("MS", "MC"), 71.16, 66.30),
    (("MS", "CA"), 69.78, 65.29),
    (("MC", "CA"), 72.81, 67.66),
    (COMPLETE, 76.99, 71.64),
)
# The paper's choice of each lambda, Eq. 17.
PRINTED_WEIGHTS = {"div": 0.5, "t": 1.25, "local": 0.8, "global": 1.5}


class SensitivityPoint(NamedTuple):
    """A point of Figure 6: the complete method with one weight changed."""

    term: str
    weight: float
    variant: str
    configured: bool  # whether it is the weight in the configuration


def ablation_variants() -> list[str]:
    """The names of Table 1's rows, in its order: ``B``, ``B+div`` .. ``B+MS+MC+CA``."""
    return ["+".join(("B", *added)) for added, _, _ in TABLE_1]


def sensitivity_points(studies: Studies, losses: Mapping[str, float]) -> list[SensitivityPoint]:
    """Each lambda at each of ``studies.weights``, and at the one in ``losses``, which is the complete method."""
    complete = ablation_variants()[-1]
    points = []
    for term in LAMBDAS:
        for weight in sorted({*studies.weights, losses.get(term, 0.0)}):
            configured = weight == losses.get(term, 0.0)
            points.append(SensitivityPoint(term, weight, complete if configured else f"{term}={weight:g}", configured))
    return points


def variants(studies: Studies, losses: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The losses of every variant of both studies, by name; ``losses`` are the complete method's."""
    terms = _terms(COMPLETE)
    named = {}
    for name, (added, _, _) in zip(ablation_variants(), TABLE_1, strict=True):
        on = _terms(added)
        kept = {key: weight for key, weight in losses.items() if key in on or key not in terms}
        named[name] = kept if on & IN_PARTS else {key: kept[key] for key in kept if key != SEPARATION}
    for point in sensitivity_points(studies, losses):
        named.setdefault(point.variant, {**losses, point.term: point.weight})
    return named


def method_name(variant: str, seed: int) -> str:
    """What stands where other trainings have their method: ``studies/<variant>/seed<n>``."""
    return f"{FOLDER}/{variant}/seed{seed}"


def train_job(config: Config, name: str) -> TrainJob:
    """The section of the training called ``name``, as ``method_name`` gives it."""
    _, variant, seed = name.split("/")
    studied = config.methods[config.studies.method]
    job = settings.train_job(config, config.studies.set, config.studies.method, config.studies.split)
    return settings.replace(
        job,
        seed=int(seed.removeprefix("seed")),
        method_name=name,
        method=settings.replace(studied, losses=variants(config.studies, studied.losses)[variant]),
        epochs=config.studies.epochs,
        processes=1 if job.data == settings.STAND_IN else job.processes,
    )


def ablation(name: str, data: str, paths: Sequence[Path]) -> list[Row]:
    """The rows of Table 1: mean and sample standard deviation over the seeds beside the paper's numbers.

    ``paths`` end in ``studies/<variant>/seed<n>/split<N>/scores.json``; ``data`` is the real set's name or
    ``stand-in``. Raises DataError for a path of another kind, a variant without scores, and unequal seeds.
    """
    scores = _by_variant(name, paths, ablation_variants())
    table = []
    for variant, (added, rank1, mean_ap) in zip(ablation_variants(), TABLE_1, strict=True):
        on = _terms(added)
        marks = {term: int(term in on) for part in PARTS.values() for term in part}
        row: Row = {"data": data, "losses": variant.replace("+", " + "), **marks, **_setting(name, scores[variant])}
        table.append(row | _statistics(scores[variant]) | {"paper_rank1": rank1, "paper_mAP": mean_ap})
    return table


def sensitivity(name: str, data: str, points: Sequence[SensitivityPoint], paths: Sequence[Path]) -> list[Row]:
    """A row for each of ``points``; otherwise as ``ablation``. The paper draws its curves and prints no numbers."""
    scores = _by_variant(name, paths, [point.variant for point in points])
    return [
        {"data": data, "term": p.term, "weight": f"{p.weight:g}", "configured": int(p.configured)}
        | _setting(name, scores[p.variant])
        | _statistics(scores[p.variant])
        for p in points
    ]


def _terms(added: Sequence[str]) -> set[str]:
    """The single terms that a row of Table 1 adds to the baseline."""
    return {term for part in added for term in PARTS.get(part, (part,))}


def _setting(name: str, seeds: dict[int, Row]) -> Row:
    """What was compared, and how, in every seed's training: the headline, ``both`` where it is a mean of two."""
    first, data_set = seeds[min(seeds)], SETS.get(name)
    values = {column: {setting[column] for setting in data_set.headline} for column in data_set.columns}
    return {key: first[key] for key in HOW} | {
        column: found.pop() if len(found) == 1 else "both" if len(found) == 2 else "mean"
        for column, found in values.items()
    }


def _by_variant(name: str, paths: Sequence[Path], wanted: Sequence[str]) -> dict[str, dict[int, Row]]:
    """The mean scores of each variant's trainings, by seed."""
    scores: dict[str, dict[int, Row]] = {}
    for path in paths:
        place = StudyPlace.of(path, SCORES)
        compared = headline(name, read_scores(name, place.split, path))
        for setting, rows in zip(SETS.get(name).headline, compared, strict=True):
            if not rows:
                raise DataError(f"{path}: no row of {dict(setting)}, feature {HEADLINE}; evaluate that setting, too")
        here = [row for rows in compared for row in rows]
        means = {metric: statistics.fmean(float(row[metric]) for row in here) for metric in METRICS}
        scores.setdefault(place.variant, {})[place.seed] = {key: here[0][key] for key in HOW} | means
    for variant in wanted:
        seeds = sorted(scores.get(variant, {}))
        if not seeds or seeds != sorted(scores[wanted[0]]):
            raise DataError(
                f"{variant}: scores of the seeds {seeds}, expected those of {wanted[0]}: "
                f"{sorted(scores.get(wanted[0], {}))}; train and evaluate every variant with the same seeds"
            )
    return scores


def _statistics(seeds: dict[int, Row]) -> dict[str, Any]:
    line: dict[str, Any] = {"seeds": len(seeds)}
    for metric in ("rank1", "mAP"):
        values = [row[metric] for _, row in sorted(seeds.items())]
        line[metric] = statistics.fmean(values)
        line[f"{metric}_std"] = statistics.stdev(values) if len(values) > 1 else None
    return line
