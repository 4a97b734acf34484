"""Curves of the methods compared, a panel for each of several quantities: what the CMC and the losses share."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msclnet.config import UNTRAINED
from msclnet.report.figures.style import COLOURS, STYLES, Frame, layout

FLOOR = {"color": "#808080", "linestyle": ":"}  # the untrained network
WIDTH = 7.5  # inches at least: the title's


class CurvePoint(NamedTuple):
    """A point of a curve; ``mean``, ``least`` and ``most`` are over the trials."""

    panel: str
    method: str
    x: int
    mean: float
    least: float
    most: float
    trials: int

    @classmethod
    def over(cls, values: Sequence[float], panel: str, method: str, x: int) -> CurvePoint:
        """The point of the ``values`` of its trials."""
        return cls(panel, method, x, statistics.fmean(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Panels:
    """How panels are laid out, and what is written on them."""

    x: str  # the abscissa, as the CSV calls it
    columns: int  # abreast, at most
    size: tuple[float, float]  # of a panel, inches
    same_axes: bool  # of all panels
    finish: Callable[[Axes], None]  # labels the axes of a panel
    below: Mapping[str, str] = field(default_factory=dict)  # what stands below a panel's name
    stepwise: Sequence[str] = ()  # panels of what is the same from one point, exclusive, to the next


def draw_curves(frame: Frame, what: str, points: Sequence[CurvePoint], panels: Panels) -> None:
    """Panels in the order of the points, a line for each method in a band of its trials; then the numbers as CSV.

    ``what`` follows the data set in the figure's title.
    """
    names = list(dict.fromkeys(point.panel for point in points))
    methods = list(dict.fromkeys(point.method for point in points))
    columns = min(panels.columns, len(names))
    rows = -(-len(names) // columns)
    with layout():
        size = (max(WIDTH, columns * panels.size[0]), rows * panels.size[1] + 0.9)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(f"{frame.title}: {what}")
        same = panels.same_axes
        grid = list(figure.subplots(rows, columns, sharex=same, sharey=same, squeeze=False).flat)
        for name, axes in zip(names, grid, strict=False):
            for method in methods:
                if curve := [point for point in points if (point.panel, point.method) == (name, method)]:
                    _line(axes, curve, _look(methods, method), name in panels.stepwise)
            axes.set_title("\n".join((name, panels.below[name])) if name in panels.below else name)
            panels.finish(axes)
        for axes in grid[len(names) :]:
            axes.remove()
        lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
        figure.legend([lines[m] for m in methods], methods, loc="outside lower center", ncols=4, frameon=False)
        frame.save(figure)
    frame.write(("panel", "method", panels.x, "mean", "min", "max", "trials"), points)


def _line(axes: Axes, curve: Sequence[CurvePoint], look: dict[str, Any], stepwise: bool) -> None:
    if stepwise:  # the first holds from the beginning
        curve = [curve[0]._replace(x=0), *curve]
    at, mean = [point.x for point in curve], [point.mean for point in curve]
    marker = "o" if len(curve) <= 10 else None  # a training of one epoch shows as well
    drawn = "steps-pre" if stepwise else "default"
    axes.plot(at, mean, label=curve[0].method, marker=marker, markersize=5, drawstyle=drawn, **look)
    if curve[0].trials > 1:
        least, most = [point.least for point in curve], [point.most for point in curve]
        axes.fill_between(
            at, least, most, color=look["color"], alpha=0.18, linewidth=0, step="pre" if stepwise else None
        )


def _look(methods: Sequence[str], method: str) -> dict[str, Any]:
    """A method's own in every figure of a run; the untrained network's always the same."""
    if method == UNTRAINED:
        return FLOOR
    place = [m for m in methods if m != UNTRAINED].index(method)
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": STYLES[place % len(STYLES)]}
