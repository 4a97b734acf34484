"""The picture at the head of README.md: one ranked list of a run, drawn by the figure that shows all of them.

python tools/ranked_list.py results/figures/regdb_ranked.csv results/regdb/pack      (docs/images/ranked_list.png)

It is a visible query of the last method, of the two with the highest average precision the second: its list has both
colours where the first's may be all green.
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/ranked_list.png"
LIST = {"setting": "visible-to-infrared", "group": "best", "query": "2"}


def draw(table: Path, pack: Path, picture: Path) -> None:
    """Draws the list ``LIST`` of the last method in ``table``, the CSV of explain.py, with the images of ``pack``."""
    from msclnet.data.pack import Pack
    from msclnet.report.figures.ranked import plot_ranked
    from msclnet.report.figures.style import Frame

    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    method = rows[-1]["method"]
    shown = [row for row in rows if row["method"] == method and LIST.items() <= row.items()]
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder, "one.csv")
        with one.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(shown)
        drawn = Path(folder, picture.name)
        plot_ranked(Frame("regdb", "stand-in", (method,), drawn), one, Pack.open(pack))
        shutil.copyfile(drawn, picture)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]), PICTURE)
