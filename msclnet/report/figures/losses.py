"""The learning rate, the terms of the objective and the validation over a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from msclnet.core.errors import DataError
from msclnet.losses.table import TERMS
from msclnet.report.figures.curves import CurvePoint, Panels, draw_curves
from msclnet.report.figures.style import Frame
from msclnet.results.captions import over
from msclnet.results.layout import METRICS, by_method
from msclnet.results.record import read_record
from msclnet.results.scores import TITLES

BESIDE = ("seconds", "images_per_second", "scale", "skipped")  # what an epoch's line holds beside the terms
FIRST = {"rate": "learning rate", "total": "total, weighted"}  # before the terms
LAST = {f"validation/{key}": f"validation {name} (%)" for key, name in TITLES.items()}  # after them


def plot_losses(frame: Frame, paths: Sequence[Path]) -> list[CurvePoint]:
    """The learning rate, the total loss, its terms, unweighted, and the validation scores against the steps.

    The rate is drawn in steps, for it changes between epochs; above a term stands where it is in print. Each point is
    the mean over an epoch (a score: after it) and then over the trainings, in a band from the least to the most; a line
    for each method that has the term. ``paths`` end in ``<method>/split<N>/metrics.jsonl``. Writes the figure and,
    beside it, its numbers as CSV; returns them. Raises DataError for an unusable file.
    """
    curves: dict[tuple[str, str, int], list[float]] = {}
    trainings: dict[str, int] = {}
    for place, path in by_method(frame.methods, paths, METRICS):
        trainings[place.method] = trainings.get(place.method, 0) + 1
        for (term, step), value in _epochs(path).items():
            curves.setdefault((term, place.method, step), []).append(value)
    shared = {key: values for key, values in curves.items() if len(values) == trainings[key[1]]}
    if not shared:
        raise DataError(f"{paths[0]}: no epoch that all trainings of its method have; expected at least one: train on")
    order = [*dict.fromkeys((*FIRST, *(term for term, _, _ in curves if term not in LAST))), *LAST]
    points = [
        CurvePoint.over(values, (FIRST | LAST).get(term, term), method, step)
        for (term, method, step), values in sorted(
            shared.items(), key=lambda item: (order.index(item[0][0]), frame.methods.index(item[0][1]), item[0][2])
        )
    ]

    def finish(axes: Axes) -> None:
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))

    of = over(max(trainings.values()), "training")
    sources = {"total, weighted": "Eq. 17"} | {term.name: term.source for term in TERMS if term.source}
    rate = (FIRST["rate"],)
    panels = Panels("step", 3, (4.2, 3.1), same_axes=False, finish=finish, below=sources, stepwise=rate)
    scored = any(term in LAST for term, _, _ in shared)
    what = "learning rate, losses and validation" if scored else "learning rate and losses"
    draw_curves(frame, f"{what} ({of})", points, panels)
    return points


def _epochs(path: Path) -> dict[tuple[str, int], float]:
    """The epochs' means, rates and validation scores by term and step; of a repeated epoch the last."""
    values: dict[tuple[str, int], float] = {}
    rates: dict[int, float] = {}
    try:
        for line in read_record(path):
            if line["kind"] == "step":
                rates[line["epoch"]] = line["rate"]
            elif line["kind"] == "epoch":
                terms = {key: line[key] for key in line if key not in ("kind", "time", "epoch", "step", *BESIDE)}
                values |= {(term, line["step"]): value for term, value in terms.items()}
                values["rate", line["step"]] = rates[line["epoch"]]
            elif line["kind"] == "validation":
                values |= {(f"validation/{key}", line["step"]): line[key] for key in TITLES}
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not the record of a training ({error!r}); train it again") from None
    return values
