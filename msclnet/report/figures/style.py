"""What all figures share: colours, layout, and how they are written.

The same numbers give the same bytes. Colours are Okabe and Ito's, told apart by colour-blind eyes; line styles, markers
or symbols differ as well, for a print without colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from msclnet.core.errors import DataError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # without yellow, too pale
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


def layout() -> Any:
    """The context figures are drawn in, whatever the user's own matplotlibrc says."""
    return style.context(["default", LAYOUT])


def save(figure: Figure, out: Path) -> None:
    """Writes the figure twice: lines stay sharp in the SVG, and MLflow's pages show the PNG.

    ``out`` is either of the two; DataError for another ending.
    """
    if out.suffix not in METADATA:
        raise DataError(f"{out}: figures are written as {' or '.join(METADATA)}; name one of these")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once for both: for a hundred images that takes seconds
    for ending, metadata in METADATA.items():
        figure.savefig(out.with_suffix(ending), dpi=150, metadata=metadata)
