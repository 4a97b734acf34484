"""Studies: one method in several variants, of which each is trained with every seed on every split.

A variant is a configuration of its own, the method's with some terms left out or some keys changed. The paper's Table 1
and Figure 6 are two studies of ``config/config.yaml``. Reads and writes text; imports no torch.
"""

from __future__ import annotations

import copy
import itertools
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msclnet import config as settings
from msclnet.config import Config, Study, TrainJob
from msclnet.core.errors import ConfigError, DataError
from msclnet.datasets.table import SETS
from msclnet.losses.table import MODULES, terms_of
from msclnet.results import shared
from msclnet.results.layout import SCORES, STUDIES, StudyPlace, digest
from msclnet.results.paired import difference
from msclnet.results.scores import HEADLINE, HOW, METRICS, Row, headline, read_scores

CONFIGURED = "configured"  # the variant in which nothing is changed
IN_PARTS = {*MODULES["MC"], *MODULES["CA"]}  # the terms that read f^s, of which there are parts to be kept apart
SEPARATION = "separation"
MEASURED = ("rank1", "mAP")  # of a study's table
PRINTED_ON = "SYSU-MM01"  # the images of the numbers in print, all-search
TABLE_1, FIGURE_6 = "table-1", "figure-6"  # what of the paper stands beside a study
# What is added to the baseline B = AGW*, Rank-1 and mAP in percent: Table 1 of the paper.
PRINTED: dict[frozenset[str], tuple[float, float]] = {
    frozenset(added.split()): (rank1, mean_ap)
    for added, rank1, mean_ap in (
        ("", 59.82, 56.07),
        ("div", 60.32, 56.79),
        ("t", 60.67, 58.12),
        ("global", 62.14, 59.94),
        ("local", 61.33, 59.23),
        ("sub", 61.74, 59.88),
        ("intra", 61.96, 60.40),
        ("inter", 63.55, 60.97),
        ("MS", 62.82, 60.25),
        ("MC", 64.84, 61.00),
        ("CA", 66.13, 61.99),
        ("MS MC", 71.16, 66.30),
        ("MS CA", 69.78, 65.29),
        ("MC CA", 72.81, 67.66),
        ("MS MC CA", 76.99, 71.64),
    )
}
# The paper's choice of each lambda, Eq. 17.
PRINTED_WEIGHTS = {"div": 0.5, "t": 1.25, "local": 0.8, "global": 1.5}


@dataclass(frozen=True)
class Variant:
    """A variant of a study, and a row of its table, or one a key where it is the method as configured.

    Attributes:
        name: in paths.
        config: the whole configuration of its trainings, but for the seed.
        rows: the cells before the scores, one mapping a row.
        printed: Rank-1 and mAP in print, in percent; None: none.
    """

    name: str
    config: Config
    rows: tuple[Row, ...]
    printed: tuple[float, float] | None = None


@dataclass(frozen=True)
class StudyPlan:
    """A study as it is to be run: its variants, the reference first."""

    name: str
    study: Study
    variants: tuple[Variant, ...]

    def variant(self, name: str) -> Variant:
        return next(variant for variant in self.variants if variant.name == name)

    def folders(self, root: str, variant: str, split: int) -> list[str]:
        """Where the features and scores of a variant's trainings on a split lie, one a seed; ``root`` as a layout's."""
        where = f"{root}/{self.study.set}/{STUDIES}/{self.name}/{variant}"
        return [f"{where}/seed{seed}/split{split}" for seed in self.study.seeds]

    def jobs(self, variant: Variant, split: int) -> list[TrainJob]:
        """A variant's trainings on a split, one a seed."""
        job = settings.train_job(variant.config, self.study.set, self.study.method, split)
        processes = 1 if job.data == settings.STAND_IN else job.processes
        named = f"{STUDIES}/{variant.name}"
        return [
            settings.replace(job, seed=seed, method_name=f"{named}/seed{seed}", processes=processes)
            for seed in self.study.seeds
        ]

    def described(self) -> dict[str, Any]:
        """What the table is made from, beside the scores: plain values, as ``table`` takes them."""
        variants = [
            {"name": variant.name, "rows": list(variant.rows)}
            | ({"printed": list(variant.printed)} if variant.printed else {})
            for variant in self.variants
        ]
        return {"set": self.study.set, "order": self._order(), "variants": variants}

    def _order(self) -> list[list[int]]:
        """The table's rows, as the number of a variant and of its row: key by key where each is varied alone."""
        places = [(v, r) for v, variant in enumerate(self.variants) for r in range(len(variant.rows))]
        if not self.study.vary or self.study.together:
            return [list(place) for place in places]
        short = [_short(self.study, key) for key in self.study.vary]

        def rank(place: tuple[int, int]) -> tuple[Any, ...]:
            row = self.variants[place[0]].rows[place[1]]
            number = isinstance(row["value"], int | float) and not isinstance(row["value"], bool)
            return short.index(row["key"]), not number, row["value"] if number else 0

        return [list(place) for place in sorted(places, key=rank)]


def plan(config: Config, name: str) -> StudyPlan:
    """The study ``name`` of a configuration, each variant's own checked as a whole.

    Raises ConfigError for a variant whose configuration is wrong, or is the method's as configured though a value
    differs.
    """
    study = config.studies[name]
    plain = _base(config, study)
    variants: list[Variant] = []
    for variant, changes, rows in _terms(plain, study) if study.terms is not None else _varied(plain, study):
        if variant in (known.name for known in variants):
            raise ConfigError(f"studies.{name}: two variants are called {variant}; leave out one of the values")
        printed = (
            PRINTED.get(frozenset(study.terms[len(variants)])) if study.beside == TABLE_1 and study.terms else None
        )
        try:
            own = settings.build(Config, _changed(plain, changes))
        except ConfigError as error:
            said = f"{variant}: " if variant != CONFIGURED else ""
            raise ConfigError(f"studies.{name}: {said}{error}") from None
        told = tuple({"data": settings.data_label(own, study.set), **row} for row in rows)
        variants.append(Variant(variant, own, told, printed))
    whole = StudyPlan(name, study, tuple(variants))
    if study.vary:
        first = _scored(whole, variants[0])
        for changed in variants[1:]:
            if _scored(whole, changed) == first:
                raise ConfigError(
                    f"studies.{name}: {changed.name} changes no score of {study.method} on {study.set}; vary a key "
                    "that its trainings or their evaluation read"
                )
    return whole


def plans(config: Config) -> tuple[dict[str, StudyPlan], dict[str, ConfigError]]:
    """Every study of a configuration, by name, and what is wrong with those that cannot be run."""
    sound: dict[str, StudyPlan] = {}
    wrong: dict[str, ConfigError] = {}
    for name in config.studies:
        try:
            sound[name] = plan(config, name)
        except ConfigError as error:
            wrong[name] = error
    return sound, wrong


def trainings(known: Sequence[StudyPlan]) -> dict[tuple[str, str, int, int], tuple[Config, TrainJob]]:
    """Each training, by study, variant, split and seed. Those that differ in their name alone are one, the first."""
    first: dict[str, TrainJob] = {}
    found = {}
    for whole in known:
        for variant in whole.variants:
            for split in whole.study.splits:
                for job in whole.jobs(variant, split):
                    pack = shared.pack(variant.config, job.set)
                    same = digest({"job": settings.plain(job) | {"method_name": ""}, "pack": pack})
                    own = first.setdefault(same, job)
                    found[whole.name, variant.name, split, job.seed] = variant.config, own
    return found


def table(described: Mapping[str, Any], paths: Sequence[Path]) -> list[Row]:
    """A study's table: mean and sample standard deviation over its trainings, and the difference to the reference.

    The difference is that of trainings of the same seed and split, with its interval (``paired.difference``).

    Args:
        described: what ``StudyPlan.described`` gives.
        paths: ``studies/<study>/<variant>/seed<n>/split<N>/scores.json`` of every training.

    Returns:
        The rows, percentages as exact as in the files.

    Raises:
        DataError: a path of another form, a variant without scores, and other seeds or splits than the reference's.
    """
    name, variants = described["set"], described["variants"]
    scores = _by_variant(name, paths, [variant["name"] for variant in variants])
    reference = scores[variants[0]["name"]]
    printed = any("printed" in variant for variant in variants)
    rows = []
    for place, number in described["order"]:
        variant = variants[place]
        measured = scores[variant["name"]]
        cells = {
            key: _text(value) if isinstance(value, float) else value for key, value in variant["rows"][number].items()
        }
        row: Row = {**cells, **_setting(name, measured), **_statistics(measured, reference)}
        if printed:
            row["paper_rank1"], row["paper_mAP"] = variant.get("printed", (None, None))
        rows.append(row)
    return rows


def _base(config: Config, study: Study) -> dict[str, Any]:
    """The configuration of which a study's variants are changes: as if it were all that is to be run."""
    plain = settings.plain(config)
    plain |= {"studies": {}, "run": {**plain["run"], "sets": [study.set], "methods": [study.method]}}
    plain["data"][study.set]["epochs"] = study.epochs
    return plain


Changes = Mapping[str, Any]


def _terms(plain: Mapping[str, Any], study: Study) -> Iterator[tuple[str, Changes, list[Row]]]:
    """Name, changes and cells of each variant by terms."""
    losses = plain["methods"][study.method]["losses"]
    listed = list(
        dict.fromkeys(term for row in study.terms or () for part in row for term in MODULES.get(part, (part,)))
    )
    for row in study.terms or ():
        on = terms_of(row)
        kept = {term: weight for term, weight in losses.items() if term in on or term not in listed}
        if not on & IN_PARTS and SEPARATION not in listed:
            kept.pop(SEPARATION, None)
        cells: Row = {"losses": " + ".join(("B", *row))} | {term: int(term in on) for term in listed}
        yield "+".join(("B", *row)), {f"methods.{study.method}.losses": kept}, [cells]


def _varied(plain: Mapping[str, Any], study: Study) -> Iterator[tuple[str, Changes, list[Row]]]:
    """Name, changes and cells of each variant by keys, the method as configured first."""
    keys = study.vary or {}
    now = {key: _value(plain, key) for key in keys}
    if study.together:
        yield CONFIGURED, {}, [{"variant": CONFIGURED} | {_short(study, key): _text(now[key]) for key in keys}]
        for values in itertools.product(*keys.values()):
            changes = dict(zip(keys, values, strict=True))
            if changes != now:
                name = ",".join(_label(study, key, value) for key, value in changes.items())
                yield name, changes, [{"variant": name} | {_short(study, k): _text(v) for k, v in changes.items()}]
        return
    cells = [{"key": _short(study, key), "value": _cell(now[key]), CONFIGURED: 1} for key in keys]
    yield CONFIGURED, {}, cells
    for key, values in keys.items():
        for value in values:
            if value != now[key]:
                yield (
                    _label(study, key, value),
                    {key: value},
                    [{"key": _short(study, key), "value": _cell(value), CONFIGURED: 0}],
                )


def _value(plain: Mapping[str, Any], key: str) -> Any:
    """What a configuration says of a dotted key; of a loss that it does not name, 0."""
    value: Any = plain
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return 0 if ".losses." in key else None
        value = value[part]
    return value


def _changed(plain: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """A copy of ``plain`` with other values at some dotted keys."""
    new = copy.deepcopy(dict(plain))
    for key, value in changes.items():
        *way, last = key.split(".")
        place: Any = new
        for part in way:
            place = place.setdefault(part, {})
        place[last] = settings.plain(value)
    return new


def _short(study: Study, key: str) -> str:
    """A key as tables and paths say it: without the method, and a loss by its name alone."""
    return key.removeprefix(f"methods.{study.method}.").removeprefix("losses.")


def _label(study: Study, key: str, value: Any) -> str:
    """A variant's name, which becomes a folder's; a value that cannot be part of one has a digest after it."""
    text = _text(value)
    clean = re.sub(r"[^A-Za-z0-9.+_-]+", "-", text)
    return f"{_short(study, key)}=" + (text if clean == text else f"{clean.strip('-')}-{digest(text)[:4]}")


def _cell(value: Any) -> Any:
    """A value as the table's row holds it: numbers that can be ordered, else words."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)


def _text(value: Any) -> str:
    """A value as files say it, numbers as short as they are exact."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


def _scored(whole: StudyPlan, variant: Variant) -> Any:
    """All of a variant's configuration that decides its scores."""
    job = whole.jobs(variant, whole.study.splits[0])[0]
    evaluation = settings.plain(variant.config.evaluate)
    own = {"batch", "flip", "rerank", whole.study.set}
    return (
        settings.plain(job) | {"method_name": ""},
        shared.pack(variant.config, job.set),
        {key: value for key, value in evaluation.items() if key in own},
    )


def _setting(name: str, trained: Mapping[tuple[int, int], Row]) -> Row:
    """What was compared, and how, in every training: the headline, ``both`` where it is a mean of two."""
    first, data_set = trained[min(trained)], SETS.get(name)
    values = {column: {setting[column] for setting in data_set.headline} for column in data_set.columns}
    return {key: first[key] for key in HOW} | {
        column: found.pop() if len(found) == 1 else "both" if len(found) == 2 else "mean"
        for column, found in values.items()
    }


def _by_variant(name: str, paths: Sequence[Path], wanted: Sequence[str]) -> dict[str, dict[tuple[int, int], Row]]:
    """The mean scores of each variant's trainings, by seed and split."""
    scores: dict[str, dict[tuple[int, int], Row]] = {}
    for path in paths:
        place = StudyPlace.of(path, SCORES)
        compared = headline(name, read_scores(name, place.split, path))
        for setting, rows in zip(SETS.get(name).headline, compared, strict=True):
            if not rows:
                raise DataError(f"{path}: no row of {dict(setting)}, feature {HEADLINE}; evaluate that setting, too")
        here = [row for rows in compared for row in rows]
        means = {metric: statistics.fmean(float(row[metric]) for row in here) for metric in METRICS}
        trained = scores.setdefault(place.variant, {})
        trained[place.seed, place.split] = {key: here[0][key] for key in HOW} | means
    expected = sorted(scores.get(wanted[0], {}))
    for variant in wanted:
        found = sorted(scores.get(variant, {}))
        if not found or found != expected:
            raise DataError(
                f"{variant}: scores of {_listed(found)}, expected those of {wanted[0]}: {_listed(expected)}; train and "
                "evaluate every variant with the same seeds on the same splits"
            )
    return scores


def _listed(trained: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"seed {seed} on split {split}" for seed, split in trained) or "no training"


def _statistics(trained: Mapping[tuple[int, int], Row], reference: Mapping[tuple[int, int], Row]) -> dict[str, Any]:
    line: dict[str, Any] = {
        "seeds": len({seed for seed, _ in trained}),
        "splits": len({split for _, split in trained}),
    }
    for metric in MEASURED:
        values = [trained[key][metric] for key in sorted(trained)]
        line[metric] = statistics.fmean(values)
        line[f"{metric}_std"] = statistics.stdev(values) if len(values) > 1 else None
        itself = trained is reference
        against = None if itself else difference(values, [reference[key][metric] for key in sorted(trained)])
        line[f"{metric}_diff"], line[f"{metric}_low"], line[f"{metric}_high"] = against or (None, None, None)
    return line
