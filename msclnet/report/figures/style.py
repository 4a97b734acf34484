"""What all figures share: what they are of, colours, layout, and how they are written.

The same numbers give the same bytes. Colours are told apart by colour-blind eyes, all seven of them; line styles,
markers or symbols differ as well, for a print without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from msclnet.config import title
from msclnet.core.errors import DataError
from msclnet.core.files import atomic_write
from msclnet.report.figure_page import write_figure_page
from msclnet.report.figures.numbers import write_numbers

# Of those of Okabe and Ito and of Tol, chosen for how far apart the nearest two are to deuteranopes and protanopes.
COLOURS = ("#0072B2", "#D55E00", "#66CCEE", "#882255", "#EE6677", "#663300", "#000000")
STYLES = ("-", "--", "-.")
LAYOUT = {  # inches and points, to be read at half the size
    "font.size": 13,
    "axes.titlesize": 13,
    "figure.titlesize": 14,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2.2,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "svg.hashsalt": "msclnet",  # else the ids in the file are random
}
METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
}


@dataclass(frozen=True)
class Frame:
    """What every figure is told."""

    set: str
    data: str  # what the images are: the real set's name, or "stand-in"
    methods: tuple[str, ...]  # those compared, in the order of the legend
    out: Path  # the figure, .svg or .png: both are written

    @property
    def title(self) -> str:
        return title(self.set, self.data)

    def save(self, figure: Figure) -> None:
        save(figure, self.out)

    def write(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """The figure's numbers as CSV, beside it."""
        write_numbers(self.out.with_suffix(".csv"), header, rows)


def layout() -> Any:
    """The context figures are drawn in, whatever the user's own matplotlibrc says."""
    return style.context(["default", LAYOUT])


def save(figure: Figure, out: Path) -> None:
    """Writes the figure twice: lines stay sharp in the SVG, and MLflow's pages show the PNG. And a page that holds it.

    The report shows the page: what is taller than a window can be scrolled in it. ``out`` is the SVG or the PNG, and
    the one that the page holds; DataError for another ending.
    """
    if out.suffix not in METADATA:
        raise DataError(f"{out}: figures are written as {' or '.join(METADATA)}; name one of these")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once for both: for a hundred images that takes seconds
    for ending, metadata in METADATA.items():
        with atomic_write(out.with_suffix(ending)) as partial:
            figure.savefig(partial, format=ending[1:], dpi=150, metadata=metadata)
    write_figure_page(out)
