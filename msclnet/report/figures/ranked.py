"""Ranked lists drawn: the query, and the images nearest to it, in frames that say whether they are the same person."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msclnet.config import SetName, title
from msclnet.core.errors import DataError
from msclnet.data.pack import Pack
from msclnet.report.figures.numbers import distinct, read_numbers
from msclnet.report.figures.photographs import Photographs, frame
from msclnet.report.figures.style import COLOURS, layout, save
from msclnet.report.figures.tables import TOP, Place

RIGHT, WRONG = ("#1B9E3E", "-", "\N{CHECK MARK}"), ("#C8102E", (0, (3, 1.5)), "\N{MULTIPLICATION SIGN}")
CELL = (0.78, 1.62)  # inches


def plot_ranked(name: SetName, data: str, method: str, table: Path, pack: Pack, out: Path) -> None:
    """The lists of ``method`` in ``table``, the CSV of explain.py: a row a query, a block a direction or mode.

    Frames are green and solid round the query's identity, red and dashed round others, with a tick or a cross above.
    The images are those of ``pack``. Writes ``out``. Raises DataError for an unusable table or an unknown image.
    """
    rows = [row for row in read_numbers(table, Place._fields, "explain.py") if row["method"] == method]
    if not rows:
        raise DataError(f"{table}: no list of {method}; expected some: make it with explain.py of that method")
    photographs = Photographs(pack)
    lists = [list(group) for _, group in groupby(rows, key=lambda row: (row["setting"], row["group"], row["query"]))]
    settings = distinct(rows, "setting")
    with layout():
        size = (CELL[0] * (TOP + 3), CELL[1] * len(lists) + 0.5 * len(settings) + 0.8)
        figure = Figure(figsize=size, layout="constrained")
        blocks = figure.subfigures(len(settings), 1, squeeze=False, height_ratios=[
            sum(entry[0]["setting"] == setting for entry in lists) for setting in settings
        ])[:, 0]  # fmt: skip
        for block, setting in zip(blocks, settings, strict=True):
            mine = [entry for entry in lists if entry[0]["setting"] == setting]
            block.suptitle(setting.replace("-", " "), fontsize=13)
            grid = block.subplots(len(mine), TOP + 1, squeeze=False)
            for line, entry in zip(grid, mine, strict=True):
                for axes in line[len(entry) :]:
                    axes.remove()
                for axes, place in zip(line, entry, strict=False):
                    _draw(axes, place, photographs)
        figure.suptitle(f"{title(name, data)}: ranked lists of {method}")
        save(figure, out)


def _draw(axes: Axes, place: dict[str, str], photographs: Photographs) -> None:
    axes.imshow(photographs.of(place["path"], place["modality"]))
    if place["position"] == "0":
        frame(axes, COLOURS[-1], "-")
        axes.set_title("query", fontsize=11, pad=3)
        axes.set_ylabel(f"{place['group']}\nAP {float(place['average_precision']):.0f} %", fontsize=11)
        return
    colour, line, symbol = RIGHT if place["match"] == "1" else WRONG
    frame(axes, colour, line)
    axes.set_title(f"{symbol} {float(place['distance']):.3f}", fontsize=11, color=colour, pad=3)
