"""Figures: CMC curves, the terms of the objective over a training, and the paper's two studies.

Each is written as SVG and PNG. The numbers of the first two lie beside them as CSV; a study's are its table.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from msclnet.config import TITLE, UNTRAINED, SetName, title
from msclnet.core.errors import DataError
from msclnet.report.figures.numbers import by_method, read_numbers, write_numbers
from msclnet.report.figures.style import COLOURS, STYLES, layout, save

FEATURE = "bn"  # the headline feature
FLOOR = {"color": "#808080", "linestyle": ":"}  # the untrained network
WIDTH = 7.5  # inches at least: the title's
BESIDE = ("seconds", "images_per_second", "scale", "skipped")  # what an epoch's line holds beside the terms
PAPER_LAMBDA = {"div": 0.5, "t": 1.25, "local": 0.8, "global": 1.5}  # Eq. 17
FIRST = {"rate": "learning rate", "total": "total, weighted"}  # before the terms


class Point(NamedTuple):
    """A point of a curve; ``mean``, ``least`` and ``most`` are over the trials."""

    panel: str
    method: str
    x: int
    mean: float
    least: float
    most: float
    trials: int


def plot_cmc(
    name: SetName, data: str, methods: Sequence[str], ranks: int, paths: Sequence[Path], out: Path
) -> list[Point]:
    """CMC up to ``ranks``, in percent: the mean over the trials in a band from the least to the most.

    A panel for each direction of RegDB (a trial is a split), or each mode and number of shots of SYSU-MM01 (a gallery
    draw); a line for each method, of the BN feature. ``paths`` end in ``<method>/split<N>/scores.json``, ``data``
    is the real set's name or ``stand-in``. A curve ends where the gallery does, if that is before ``ranks``.

    Writes ``out`` and, beside it, its numbers as CSV; returns them. Raises DataError for an unusable file.
    """
    curves: dict[tuple[str, str], list[list[float]]] = {}
    counts: dict[str, str] = {}
    for method, path in by_method(methods, paths, "scores.json"):
        for row in _rows(path):
            try:
                if row["feature"] == FEATURE:
                    curves.setdefault((_panel(name, row), method), []).append(row["cmc"][:ranks])
                    counts[_panel(name, row)] = (
                        f"{row['queries'] - row['queries_without_match']:,} queries, gallery of {row['gallery']:,}"
                    )
            except (KeyError, TypeError) as error:
                raise DataError(f"{path}: not the scores of {name} ({error!r}); evaluate the training again") from None
    if not curves:
        raise DataError(f"no row of the feature {FEATURE!r} in {len(paths)} files; evaluate the trainings again")
    points = [
        _point(panel, method, rank, values)
        for (panel, method), trials in sorted(curves.items(), key=lambda item: methods.index(item[0][1]))
        for rank, values in enumerate(zip(*trials, strict=False), start=1)
    ]
    trials = max(point.trials for point in points)
    trial = "split" if name == "regdb" else "gallery draw"

    def finish(axes: Axes) -> None:
        last = max(point.x for point in points)
        axes.set(xlabel="rank", ylabel="matched queries (%)", xlim=(1, max(2, last)))
        axes.set_ylim(max(0.0, axes.get_ylim()[0]), min(102.0, axes.get_ylim()[1]))
        axes.set_xticks([1, *range(5, last + 1, 5)])
        axes.label_outer()

    _draw(
        points,
        f"{title(name, data)}: CMC ({_over(trials, trial)})",
        columns=2,
        panel=(5.0, 3.9),
        share=True,
        finish=finish,
        out=out,
        x="rank",
        below=counts,
    )
    return points


def plot_losses(name: SetName, data: str, methods: Sequence[str], paths: Sequence[Path], out: Path) -> list[Point]:
    """The learning rate, the total loss and each of its terms, unweighted, against the steps.

    Each point is the mean over an epoch and then over the splits, in a band from the least to the most split; a line
    for each method that has the term. ``paths`` end in ``<method>/split<N>/metrics.jsonl``. Otherwise as
    ``plot_cmc``.
    """
    curves: dict[tuple[str, str, int], list[float]] = {}
    splits: dict[str, int] = {}
    for method, path in by_method(methods, paths, "metrics.jsonl"):
        splits[method] = splits.get(method, 0) + 1
        for (term, at), value in _epochs(path).items():
            curves.setdefault((term, method, at), []).append(value)
    shared = {key: values for key, values in curves.items() if len(values) == splits[key[1]]}
    if not shared:
        raise DataError(f"{paths[0]}: no epoch that all trainings of its method have; expected at least one: train on")
    order = list(dict.fromkeys((*FIRST, *(term for term, _, _ in curves))))
    points = [
        _point(FIRST.get(term, term), method, at, values)
        for (term, method, at), values in sorted(
            shared.items(), key=lambda item: (order.index(item[0][0]), methods.index(item[0][1]), item[0][2])
        )
    ]

    def finish(axes: Axes) -> None:
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))

    _draw(
        points,
        f"{title(name, data)}: learning rate and losses ({_over(max(splits.values()), 'training')})",
        columns=3,
        panel=(4.2, 2.9),
        share=False,
        finish=finish,
        out=out,
        x="step",
    )
    return points


def plot_ablation(name: SetName, table: Path, out: Path) -> None:
    """Table 1: the rows of ``ablation.csv``, mean and standard deviation over the seeds, beside the paper's numbers.

    A panel of ours and one of the paper's, each with its own scale: the images are not the same. Writes ``out``. Raises
    DataError for an unusable table.
    """
    rows = read_numbers(
        table,
        ("data", "losses", "seeds", "rank1", "rank1_std", "mAP", "mAP_std", "paper_rank1", "paper_mAP"),
        "study.py",
    )
    labels = [row["losses"] for row in rows]
    with layout():
        figure = Figure(figsize=(10.5, 6.6), layout="constrained")
        ours, paper = figure.subplots(1, 2, sharey=True)
        for column, label, colour, marker in (("rank1", "Rank-1", COLOURS[0], "o"), ("mAP", "mAP", COLOURS[1], "s")):
            look = {"color": colour, "marker": marker, "linestyle": "none", "label": label, "markersize": 7}
            spread = [float(row[f"{column}_std"] or 0) for row in rows]
            ours.errorbar([float(row[column]) for row in rows], labels, xerr=spread, capsize=3, **look)
            paper.plot([float(row[f"paper_{column}"]) for row in rows], labels, **look)
        ours.invert_yaxis()
        seeds = f"mean and standard deviation over {rows[0]['seeds']} seeds"
        ours.set(title=f"{title(name, rows[0]['data'])}\n{seeds}", xlabel="percent")
        paper.set(title=f"the paper, on the real {TITLE['sysu']}\none run", xlabel="percent")
        figure.suptitle("Table 1: terms added to the baseline B")
        handles, names = paper.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
        save(figure, out)


def plot_sensitivity(name: SetName, table: Path, out: Path) -> None:
    """Figure 6: Rank-1 and mAP of ``sensitivity.csv`` against each lambda; the paper's choice is a dotted line.

    Bars are standard deviations over the seeds. Writes ``out``. Raises DataError for an unusable table.
    """
    rows = read_numbers(
        table, ("data", "term", "weight", "configured", "seeds", "rank1", "rank1_std", "mAP", "mAP_std"), "study.py"
    )
    terms = list(dict.fromkeys(row["term"] for row in rows))
    with layout():
        figure = Figure(figsize=(9.5, 7.4), layout="constrained")
        grid = list(figure.subplots(2, 2, sharex=True, sharey=True).flat)
        for axes, term in zip(grid, terms, strict=True):
            curve = [row for row in rows if row["term"] == term]
            at = [float(row["weight"]) for row in curve]
            for place, (column, label) in enumerate((("rank1", "Rank-1"), ("mAP", "mAP"))):
                values = [float(row[column]) for row in curve]
                spread = [float(row[f"{column}_std"] or 0) for row in curve]
                look = {"color": COLOURS[place], "linestyle": STYLES[place], "marker": "os"[place]}
                axes.errorbar(at, values, yerr=spread, capsize=3, label=label, **look)
            axes.axvline(PAPER_LAMBDA[term], color="#808080", linestyle=":", label="the paper's choice")
            axes.set_title(f"$\\lambda_{{{term}}}$")
            axes.set(xlabel="weight", ylabel="percent")
            axes.label_outer()
        figure.suptitle(f"Figure 6: {title(name, rows[0]['data'])}, mean over {rows[0]['seeds']} seeds")
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
        save(figure, out)


def _draw(
    points: Sequence[Point],
    title: str,
    columns: int,
    panel: tuple[float, float],
    share: bool,
    finish: Callable[[Axes], None],
    out: Path,
    x: str,
    below: Mapping[str, str] | None = None,
) -> None:
    """Panels in the order of the points, ``columns`` abreast and ``panel`` inches each; then the files.

    ``share``: all panels have the same axes. ``finish`` labels a panel's; ``x`` names them in the CSV; ``below`` is
    what stands below a panel's name.
    """
    panels = list(dict.fromkeys(point.panel for point in points))
    methods = list(dict.fromkeys(point.method for point in points))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with layout():
        figure = Figure(figsize=(max(WIDTH, columns * panel[0]), rows * panel[1] + 0.9), layout="constrained")
        figure.suptitle(title)
        grid = list(figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).flat)
        for name, axes in zip(panels, grid, strict=False):
            for method in methods:
                if curve := [point for point in points if (point.panel, point.method) == (name, method)]:
                    _line(axes, curve, _look(methods, method))
            axes.set_title(f"{name}\n{below[name]}" if below else name)
            finish(axes)
        for axes in grid[len(panels) :]:
            axes.remove()
        lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
        figure.legend([lines[m] for m in methods], methods, loc="outside lower center", ncols=4, frameon=False)
        save(figure, out)
    write_numbers(out.with_suffix(".csv"), ("panel", "method", x, "mean", "min", "max", "trials"), points)


def _line(axes: Axes, curve: Sequence[Point], look: dict[str, Any]) -> None:
    at = [point.x for point in curve]
    marker = "o" if len(curve) <= 10 else None  # a training of one epoch shows as well
    axes.plot(at, [point.mean for point in curve], label=curve[0].method, marker=marker, markersize=5, **look)
    if curve[0].trials > 1:
        least, most = [point.least for point in curve], [point.most for point in curve]
        axes.fill_between(at, least, most, color=look["color"], alpha=0.18, linewidth=0)


def _look(methods: Sequence[str], method: str) -> dict[str, Any]:
    """A method's own in every figure of a run; the untrained network's always the same."""
    if method == UNTRAINED:
        return FLOOR
    place = [m for m in methods if m != UNTRAINED].index(method)
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": STYLES[place % len(STYLES)]}


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_text())["rows"]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the scores of a training: evaluate it first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a scores.json ({error!r}); evaluate the training again") from None


def _epochs(path: Path) -> dict[tuple[str, int], float]:
    """The epochs' means and rates by term and step; of a repeated epoch the last."""
    values: dict[tuple[str, int], float] = {}
    rates: dict[int, float] = {}
    try:
        for line in map(json.loads, path.read_text().splitlines()):
            if line["kind"] == "step":
                rates[line["epoch"]] = line["rate"]
            elif line["kind"] == "epoch":
                terms = {key: line[key] for key in line if key not in ("kind", "time", "epoch", "step", *BESIDE)}
                values |= {(term, line["step"]): value for term, value in terms.items()}
                values["rate", line["step"]] = rates[line["epoch"]]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the record of a training: train it first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the record of a training ({error!r}); train it again") from None
    return values


def _point(panel: str, method: str, x: int, values: Sequence[float]) -> Point:
    return Point(panel, method, x, statistics.fmean(values), min(values), max(values), len(values))


def _panel(name: SetName, row: dict[str, Any]) -> str:
    if name == "sysu":
        return f"{row['mode']} search, {'single' if row['shots'] == 1 else 'multi'}-shot"
    return row["direction"].replace("-", " ")


def _over(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"mean and range over {number} {what}s"
