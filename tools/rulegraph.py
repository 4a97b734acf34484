"""The graph of the workflow's rules as a picture, from the code: docs/images/rules.svg.

python tools/rulegraph.py            writes it (`make graph`)
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/rules.svg"
ASK = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--quiet", "all", "--rulegraph", "mermaid-js"]
BOX, GAP = (132, 30), (14, 34)  # of a rule, and between two, across and down, in pixels
STYLE = (
    "rect{fill:#eef4fb;stroke:#3b6ea5}path{fill:none;stroke:#808080}marker path{fill:#808080}"
    "text{font:13px system-ui,sans-serif;text-anchor:middle;dominant-baseline:central;fill:#1a1a1a}"
)
ARROW = '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
Edges = list[tuple[str, str]]


def snakemakes(folder: Path) -> str:
    """What Snakemake draws of the default configuration; ``folder`` is an empty one, where nothing is done yet."""
    return subprocess.run(ASK, cwd=folder, check=True, capture_output=True, text=True).stdout


def edges_of(drawn: str) -> Edges:
    """The edges of Snakemake's graph, from a rule to one that reads its files, in one order.

    An edge is left out where a longer way leads from the one rule to the other; so is `all`, to which all leads.
    """
    names = dict(re.findall(r"^\s*(id\d+)\[(.*)\]$", drawn, re.MULTILINE))
    found = re.findall(r"^\s*(id\d+) --> (id\d+)$", drawn, re.MULTILINE)
    edges = {(names[a], names[b]) for a, b in found if names[b] != "all"}
    if not edges:
        raise ValueError(f"no edge between rules in what Snakemake drew:\n{drawn}")
    return sorted((a, b) for a, b in edges if not _reaches(edges - {(a, b)}, a, b))


def _reaches(edges: set[tuple[str, str]], start: str, end: str) -> bool:
    return start == end or any(_reaches(edges, b, end) for a, b in edges if a == start)


def rows_of(edges: Edges) -> list[list[str]]:
    """The rules in rows: each below all that it reads from, and beside others near what it reads from."""
    depth: dict[str, int] = {}

    def below(rule: str) -> int:
        if rule not in depth:
            depth[rule] = max((below(a) + 1 for a, b in edges if b == rule), default=0)
        return depth[rule]

    for rule in sorted({rule for edge in edges for rule in edge}):
        below(rule)
    rows: list[list[str]] = []
    place: dict[str, float] = {}
    for number in range(max(depth.values()) + 1):
        row = [rule for rule in depth if depth[rule] == number]
        above = {rule: [place[a] for a, b in edges if b == rule] or [0.5] for rule in row}
        row.sort(key=lambda rule: (sum(above[rule]) / len(above[rule]), rule))
        place |= {rule: (i + 0.5) / len(row) for i, rule in enumerate(row)}
        rows.append(row)
    return rows


def picture(edges: Edges) -> str:
    """The rules and their edges as SVG."""
    rows = rows_of(edges)
    wide, high = BOX[0] + GAP[0], BOX[1] + GAP[1]
    width, height = max(map(len, rows)) * wide + GAP[0], len(rows) * high
    centre = {
        rule: (width / 2 + (i - (len(row) - 1) / 2) * wide, BOX[1] / 2 + GAP[1] / 2 + line * high)
        for line, row in enumerate(rows)
        for i, rule in enumerate(row)
    }
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<defs>{ARROW}<path d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect width="{width}" height="{height}" style="fill:#ffffff;stroke:none"/>',
    ]
    for a, b in edges:
        (x, y), (to_x, to_y) = centre[a], centre[b]
        y, to_y = y + BOX[1] / 2, to_y - BOX[1] / 2
        half = (y + to_y) / 2
        curve = f"M{x:g} {y:g}C{x:g} {half:g} {to_x:g} {half:g} {to_x:g} {to_y:g}"
        lines.append(f'<path marker-end="url(#arrow)" d="{curve}"/>')
    for rule, (x, y) in centre.items():
        lines.append(
            f'<rect x="{x - BOX[0] / 2:g}" y="{y - BOX[1] / 2:g}" width="{BOX[0]}" height="{BOX[1]}" rx="4"/>'
            f'<text x="{x:g}" y="{y:g}">{rule}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_text(picture(edges_of(snakemakes(Path(folder)))), encoding="utf-8")
