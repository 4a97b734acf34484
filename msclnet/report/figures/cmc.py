"""CMC curves: the share of queries that are matched within the first ranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from msclnet.core.errors import DataError
from msclnet.datasets.table import SETS
from msclnet.report.figures.curves import CurvePoint, Panels, draw_curves
from msclnet.report.figures.style import Frame
from msclnet.results.captions import over, trial_of
from msclnet.results.layout import SCORES, by_method
from msclnet.results.scores import HEADLINE, read_scores


def plot_cmc(frame: Frame, ranks: int, paths: Sequence[Path]) -> list[CurvePoint]:
    """CMC up to ``ranks``, in percent: the mean over the trials in a band from the least to the most.

    A panel for each comparison of the data set, a line for each method, of the BN feature. ``paths`` end in
    ``<method>/split<N>/scores.json``. A curve ends where the gallery does, if that is before ``ranks``.

    Writes the figure and, beside it, its numbers as CSV; returns them. Raises DataError for an unusable file.
    """
    data_set = SETS.get(frame.set)
    curves: dict[tuple[str, str], list[list[float]]] = {}
    counts: dict[str, str] = {}
    for place, path in by_method(frame.methods, paths, SCORES):
        for row in read_scores(frame.set, place.split, path):
            if row["feature"] == HEADLINE:
                panel = data_set.words(row)
                curves.setdefault((panel, place.method), []).append(row["cmc"][:ranks])
                counts[panel] = (
                    f"{row['queries'] - row['queries_without_match']:,} queries, gallery of {row['gallery']:,}"
                )
    if not curves:
        raise DataError(f"no row of the feature {HEADLINE!r} in {len(paths)} files; evaluate the trainings again")
    points = [
        CurvePoint.over(values, panel, method, rank)
        for (panel, method), trials in sorted(curves.items(), key=lambda item: frame.methods.index(item[0][1]))
        for rank, values in enumerate(zip(*trials, strict=False), start=1)
    ]
    last = max(point.x for point in points)
    lowest, highest = min(point.least for point in points), max(point.most for point in points)
    margin = (highest - lowest) / 20

    def finish(axes: Axes) -> None:
        axes.set(xlabel="rank", ylabel="matched queries (%)", xlim=(1, max(2, last)))
        axes.set_ylim(max(0.0, lowest - margin), min(102.0, highest + margin))  # of all panels, which share it
        axes.set_xticks([1, *range(5, last + 1, 5)])
        axes.label_outer()

    trials = over(max(point.trials for point in points), trial_of(frame.set).name)
    panels = Panels("rank", columns=2, size=(5.0, 3.9), same_axes=True, finish=finish, below=counts)
    draw_curves(frame, f"CMC ({trials})", points, panels)
    return points
