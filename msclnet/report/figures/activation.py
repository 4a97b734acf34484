"""Class-activation maps drawn over their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msclnet.core.errors import DataError
from msclnet.data.pack import Pack
from msclnet.report.figures.numbers import distinct
from msclnet.report.figures.photographs import Photographs, border
from msclnet.report.figures.style import Frame, layout
from msclnet.report.figures.tables import ActivationCell
from msclnet.results.tables import read_csv

CELL = (0.95, 1.75)  # inches
NOTHING = "\nno activation"  # a map of zeros has no largest value
LEAST, MOST = 0.1, 0.6  # how far a map covers its image, where it is 0 and where it is 1: dark people stay visible
MAP = "viridis"  # evenly growing lightness: read without colour, too


def plot_activation(frame: Frame, table: Path, pack: Pack) -> None:
    """A row an identity: of either modality the image, and over it the map of each method.

    ``table`` is the CSV of explain.py, the images are those of ``pack``. Raises DataError for an unusable table, which
    lacks a method, too, or an unknown image.
    """
    methods = frame.methods
    cells = [cell for cell in read_csv(table, ActivationCell._fields, "explain.py") if cell["method"] in methods]
    if lacking := sorted({*methods} - {*distinct(cells, "method")}):
        raise DataError(f"{table}: no map of {', '.join(lacking)}; make it with explain.py of these methods")
    identities = distinct(cells, "identity")
    modalities = distinct(cells, "modality")
    photographs = Photographs(pack)
    width = len(methods) + 1
    with layout():
        size = (max(7.5, CELL[0] * width * len(modalities) + 1.2), CELL[1] * len(identities) + 1.2)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(identities), width * len(modalities), squeeze=False)
        for number, (line, identity) in enumerate(zip(grid, identities, strict=True)):
            head = number == 0
            for place, modality in enumerate(modalities):
                mine = [c for c in cells if (c["identity"], c["modality"]) == (identity, modality)]
                image = photographs.of(mine[0]["path"], modality)
                plain, *others = line[place * width : (place + 1) * width]
                _show(plain, image, f"{modality}\n" * head)
                for axes, method in zip(others, methods, strict=True):
                    own = [c for c in mine if c["method"] == method]
                    values = _grid(own)
                    cosine = f"cos {float(own[0]['similarity']):.2f}"
                    _show(axes, image, f"{method}\n" * head + cosine + NOTHING * (not values.any()))
                    shades = axes.imshow(
                        values, cmap=MAP, vmin=0, vmax=1, alpha=LEAST + (MOST - LEAST) * values,
                        interpolation="bilinear",
                        extent=(-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5),
                    )  # fmt: skip
        figure.colorbar(shades, ax=figure.axes, label="activation, of the image's largest", shrink=0.6)
        figure.suptitle(f"{frame.title}: where the network looks")
        frame.save(figure)


def _show(axes: Axes, image: np.ndarray, text: str) -> None:
    axes.imshow(image)
    border(axes, "#ffffff", "-")
    axes.set_title(text, fontsize=11, pad=3)


def _grid(cells: list[dict[str, str]]) -> np.ndarray:
    """One image's cells as ``[h, w]``."""
    values = {(int(cell["row"]), int(cell["column"])): float(cell["activation"]) for cell in cells}
    height, width = (1 + max(place[axis] for place in values) for axis in (0, 1))
    return np.array([[values[row, column] for column in range(width)] for row in range(height)])
