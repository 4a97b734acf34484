"""Ranked lists drawn: the query, and the images nearest to it, in frames that say whether they are the same person."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msclnet.core.errors import DataError
from msclnet.data.pack import Pack
from msclnet.report.figures.numbers import distinct
from msclnet.report.figures.photographs import Photographs, border
from msclnet.report.figures.style import COLOURS, Frame, layout
from msclnet.report.figures.tables import TOP, RankedImage
from msclnet.results.tables import read_csv

RIGHT, WRONG = ("#1B9E3E", "-", "\N{CHECK MARK}"), ("#C8102E", (0, (3, 1.5)), "\N{MULTIPLICATION SIGN}")
CELL = (0.78, 1.62)  # inches


def plot_ranked(frame: Frame, table: Path, pack: Pack) -> None:
    """The last method's lists in ``table``, the CSV of explain.py: a row a query, a block a comparison.

    Frames are green and solid round the query's identity, red and dashed round others, with a tick or a cross above.
    The images are those of ``pack``. Raises DataError for an unusable table or an unknown image.
    """
    method = frame.methods[-1]
    rows = [row for row in read_csv(table, RankedImage._fields, "explain.py") if row["method"] == method]
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
                for axes, image in zip(line, entry, strict=False):
                    _draw(axes, image, photographs)
        figure.suptitle(f"{frame.title}: ranked lists of {method}")
        frame.save(figure)


def _draw(axes: Axes, image: dict[str, str], photographs: Photographs) -> None:
    axes.imshow(photographs.of(image["path"], image["modality"]))
    if image["position"] == "0":
        border(axes, COLOURS[-1], "-")
        axes.set_title("query", fontsize=11, pad=6)
        axes.set_ylabel(f"{image['group']}\nAP {float(image['average_precision']):.0f} %", fontsize=11)
        return
    colour, line, symbol = RIGHT if image["match"] == "1" else WRONG
    border(axes, colour, line)
    axes.set_title(f"{symbol} {float(image['similarity']):.3f}", fontsize=11, color=colour, pad=6)
