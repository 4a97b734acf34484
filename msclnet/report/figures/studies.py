"""A study drawn: its variants as points, or one key after another as curves. The numbers are in its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msclnet.report.figures.style import COLOURS, STYLES, Frame, layout
from msclnet.results.captions import over
from msclnet.results.studies import CONFIGURED, FIGURE_6, PRINTED_ON, PRINTED_WEIGHTS, TABLE_1
from msclnet.results.tables import read_csv

METRICS = (("rank1", "Rank-1"), ("mAP", "mAP"))
MEASURED = (
    "seeds",
    "splits",
    *(f"{name}{part}" for name, _ in METRICS for part in ("", "_std", "_diff", "_low", "_high")),
)
PRINTED = tuple(f"paper_{name}" for name, _ in METRICS)
LOSSES, VARIANT, KEY, VALUE = "losses", "variant", "key", "value"
Line = dict[str, str]


def plot_study(frame: Frame, table: Path, beside: str | None = None) -> None:
    """A study's table as a figure: mean and standard deviation, and the difference to the reference with its interval.

    Variants by terms, and combinations, are points one below the other. Keys varied one by one are curves, a panel a
    key.

    Args:
        frame: what every figure is told; its one method is the one studied.
        table: what study.py wrote.
        beside: ``table-1``, the numbers in print, or ``figure-6``, the paper's choices; None: nothing.

    Raises:
        DataError: an unusable table.
    """
    rows = read_csv(table, (*MEASURED, *(PRINTED if beside == TABLE_1 else ())), "study.py")
    with layout():
        if KEY in rows[0]:
            figure = _curves(frame, read_csv(table, (VALUE, CONFIGURED), "study.py"), beside)
        else:
            names = LOSSES if LOSSES in rows[0] else VARIANT
            figure = _points(frame, read_csv(table, (names,), "study.py"), names, beside)
        frame.save(figure)


def _points(frame: Frame, rows: Sequence[Line], names: str, beside: str | None) -> Figure:
    """A line a variant: the scores, the differences to the first, and the numbers in print."""
    labels = [row[names] for row in rows]
    printed = beside == TABLE_1
    figure = Figure(figsize=(13.5 if printed else 10.5, 1.8 + 0.34 * len(rows)), layout="constrained")
    ours, apart, *paper = figure.subplots(1, 3 if printed else 2, sharey=True)
    for (column, label), colour, marker in zip(METRICS, COLOURS, "os", strict=False):
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none", "label": label, "markersize": 7}
        spread = [float(row[f"{column}_std"] or 0) for row in rows]
        ours.errorbar([float(row[column]) for row in rows], labels, xerr=spread, capsize=3, **look)
        _differences(apart, column, rows, labels, look)
        for axes in paper:
            known = [row for row in rows if row[f"paper_{column}"]]
            axes.plot([float(row[f"paper_{column}"]) for row in known], [row[names] for row in known], **look)
    ours.invert_yaxis()
    ours.set(title=f"{frame.title}\n{_over(rows, 'mean and standard deviation')}", xlabel="percent")
    apart.axvline(0, color="#808080", linestyle=":")
    apart.set(title=f"less {labels[0]}\npaired, 95 % interval", xlabel="points of percent")
    for axes in paper:
        axes.set(title=f"the paper, on the real {PRINTED_ON}\none run", xlabel="percent")
    figure.suptitle(
        f"Table 1: terms added to the baseline B, up to {frame.methods[-1]}"
        if printed
        else f"{frame.out.stem}: variants of {frame.methods[-1]}"
    )
    handles, shown = ours.get_legend_handles_labels()
    figure.legend(handles, shown, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _differences(axes: Axes, column: str, rows: Sequence[Line], labels: Sequence[str], look: Any) -> None:
    """The difference of each row that has one, with its interval where there is one."""
    known = [(row, label) for row, label in zip(rows, labels, strict=True) if row[f"{column}_diff"]]
    means = [float(row[f"{column}_diff"]) for row, _ in known]
    low, high = (
        [float(row[f"{column}_{end}"] or mean) for (row, _), mean in zip(known, means, strict=True)]
        for end in ("low", "high")
    )
    reach = [[m - a for m, a in zip(means, low, strict=True)], [b - m for m, b in zip(means, high, strict=True)]]
    axes.errorbar(means, [label for _, label in known], xerr=reach, capsize=3, **look)


def _curves(frame: Frame, rows: Sequence[Line], beside: str | None) -> Figure:
    """A panel a key, Rank-1 and mAP against its values: by their size where all are numbers, else side by side."""
    keys = list(dict.fromkeys(row[KEY] for row in rows))
    across = 1 if len(keys) == 1 else 2
    down = -(-len(keys) // across)
    figure = Figure(figsize=(4.75 * across, 1.2 + 3.1 * down), layout="constrained")
    numbers = all(_is_number(row[VALUE]) for row in rows)
    same = numbers and len({_decade(rows, key) for key in keys}) == 1
    grid = list(figure.subplots(down, across, sharex=same, sharey=True, squeeze=False).flat)
    for axes, key in zip(grid, keys, strict=False):
        curve = [row for row in rows if row[KEY] == key]
        sized = all(_is_number(row[VALUE]) for row in curve)
        at: list[Any] = [float(row[VALUE]) if sized else row[VALUE] for row in curve]
        for place, (column, label) in enumerate(METRICS):
            values = [float(row[column]) for row in curve]
            spread = [float(row[f"{column}_std"] or 0) for row in curve]
            look: dict[str, Any] = {"color": COLOURS[place], "marker": "os"[place]}
            look["linestyle"] = STYLES[place] if sized else "none"
            axes.errorbar(at, values, yerr=spread, capsize=3, label=label, **look)
        if beside == FIGURE_6 and key in PRINTED_WEIGHTS:
            axes.axvline(PRINTED_WEIGHTS[key], color="#808080", linestyle=":", label="the paper's choice")
        elif chosen := [x for x, row in zip(at, curve, strict=True) if row[CONFIGURED] == "1"]:
            axes.axvline(chosen[0], color="#808080", linestyle=":", label="as configured")
        axes.set_title(f"$\\lambda_{{{key}}}$" if beside == FIGURE_6 else key)
        axes.set(xlabel="weight" if beside == FIGURE_6 else "value", ylabel="percent")
        if same:
            axes.label_outer()
    for axes in grid[len(keys) :]:
        axes.set_visible(False)
    name = "Figure 6" if beside == FIGURE_6 else frame.out.stem
    figure.suptitle(f"{name}: {frame.title}, {_over(rows, 'mean')}")
    handles, shown = grid[0].get_legend_handles_labels()
    figure.legend(handles, shown, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _decade(rows: Sequence[Line], key: str) -> int:
    """Of which size the values of a key are: panels of unlike sizes share no axis."""
    return len(str(int(max(abs(float(row[VALUE])) for row in rows if row[KEY] == key))))


def _over(rows: Sequence[Line], measure: str) -> str:
    """``mean over 3 seeds``, and on how many splits where there are several."""
    seeds, splits = int(rows[0]["seeds"]), int(rows[0]["splits"])
    return over(seeds, "seed", measure) + (f" on {splits} splits" if splits > 1 else "")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
