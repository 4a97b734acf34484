"""A data set's summary as a page: the report shows no CSV."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from msclnet.config import STAND_IN, title
from msclnet.core.files import write_text
from msclnet.datasets.table import SETS
from msclnet.results.captions import equal_words, images, paired_words, spread
from msclnet.results.in_print import SELECTION, in_print
from msclnet.results.scores import HEADLINE, METRICS, Row
from msclnet.results.tables import condensed, shown

PRINT = "paper_"  # columns of what is in print
WORDS = {"trials", "protocol"}  # columns that are said once where they are the same in each row
SHOWN = {**{metric: metric.replace("rank", "Rank-") for metric in METRICS}, "visible-to-infrared": "visible → infrared"}
SHOWN["infrared-to-visible"] = "infrared → visible"
TABLE = """
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #dddddd }
th:first-child, td:first-child { text-align: left }
.group { font-weight: normal; white-space: normal }
.print { color: #5b5b5b; font-style: italic; background: #f3f3f3 }
"""
STYLE = f"""
body {{ font: 14px system-ui, sans-serif; margin: 1.5rem; color: #1a1a1a; background: #ffffff; max-width: 60rem }}
h1 {{ font-size: 1.3rem }}
h2 {{ font-size: 1rem; margin: 1.5rem 0 .4rem }}{TABLE}"""


def write_page(path: Path, name: str, table: Sequence[Row], apart: Sequence[Row] = ()) -> None:
    """Writes ``table``, the rows of ``summary`` of the data set ``name``: one for each feature, in their order.

    ``apart`` are the rows of ``differences``: those of the headline's feature follow. What is in print of the
    real set follows as a table of its own.
    """
    head = escape(f"{title(name, table[0]['data'])}: summary")
    features = dict.fromkeys(str(row["feature"]) for row in table)
    tables = "\n".join(
        f"<h2>Feature {escape(feature)}</h2>\n{score_table(name, [row for row in table if row['feature'] == feature])}"
        for feature in features
    )
    text = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{head}</title>
<style>{STYLE}</style>
<h1>{head}</h1>
<p>{escape(images(str(table[0]["data"])))} Percent, {spread(name, int(table[0]["trials"]))}, in brackets.
{escape(equal_words(name, tables))}</p>
{tables}
<p>In grey: in print, of the real set. {SELECTION}</p>
{_apart(name, apart)}
{_in_print(name)}
</html>
"""
    write_text(path, text)


def score_table(name: str, rows: Sequence[Row]) -> str:
    """Rows of a summary as a table in HTML, what is in print in columns of its own, headed as of the real set."""
    heads, body = condensed(rows)
    cells = [dict(zip(heads, line, strict=True)) for line in body]
    told = {head for head in WORDS & {*heads} if len({line[head] for line in cells}) == 1}
    ours = [head for head in heads if head not in told and not head.startswith(PRINT)]
    printed = [head for head in heads if head.startswith(PRINT) and any(line[head] != "-" for line in cells)]
    groups = f'<tr><th class="group" colspan="{len(ours)}">measured here, {escape(_where(rows))}</th>' + (
        f'<th class="group print" colspan="{len(printed)}">in print, real {escape(SETS.get(name).title)}</th></tr>'
        if printed
        else "</tr>"
    )
    names = _cells("th", ours) + _cells("th", [head.removeprefix(PRINT) for head in printed], "print")
    lines = [
        f"<tr>{_cells('td', [line[h] for h in ours])}{_cells('td', [line[h] for h in printed], 'print')}</tr>"
        for line in cells
    ]
    return "\n".join(("<table>", groups, f"<tr>{names}</tr>", *lines, "</table>"))


def _where(rows: Sequence[Row]) -> str:
    """On which images, and by which protocol, where it is the same in each row."""
    images_of = "on drawn people" if rows[0]["data"] == STAND_IN else f"on {rows[0]['data']}"
    protocols = {str(row["protocol"]) for row in rows if "protocol" in row}
    return images_of if len(protocols) != 1 or protocols == {"standard"} else f"{images_of}, {protocols.pop()} protocol"


def _apart(name: str, apart: Sequence[Row]) -> str:
    """The differences of each two methods, the interval in brackets."""
    rows = [row for row in apart if row["feature"] == HEADLINE]
    if not rows:
        return ""
    columns = list(rows[0])
    keys = ["method", "less", *SETS.get(name).columns]
    metrics = [column.removesuffix("_diff") for column in columns if column.endswith("_diff")]
    body = [[*(shown(row[key]) for key in keys), *(_interval(row, metric) for metric in metrics)] for row in rows]
    return f"""<h2>Differences, feature {escape(HEADLINE)}</h2>
<p>{escape(paired_words(name, rows[0]["pairs"]))}</p>
{_lines([*keys, *metrics], body)}"""


def _interval(row: Row, metric: str) -> str:
    """``+2.10 (+0.40 to +3.80)``; without an interval where all pairs are as far apart, which would promise much."""
    mean, low, high = (row[f"{metric}_{part}"] for part in ("diff", "low", "high"))
    if low is None:
        return f"{mean:+.2f}"
    return f"{mean:+.2f} (equal)" if low == high else f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def _in_print(name: str) -> str:
    """The numbers of others, and of the paper: measured on the real set, none of them here."""
    rows = in_print(name)
    if not rows:
        return ""
    body = [[shown(value) or "-" for value in row.values()] for row in rows]
    return f"""<h2>In print, on the real {escape(SETS.get(name).title)}</h2>
<p>As the sources print them: nothing of this table was measured here. AGW* is AGW with random erasing, the paper's own
baseline: the method <em>agw</em> here. CAJ is the method <em>agw_ca</em>. It averages each image's features with
those of its mirror image, as <em>evaluate.flip</em> does.</p>
{_lines(list(rows[0]), body)}"""


def _lines(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"<tr>{_cells('td', line)}</tr>" for line in body]
    return "\n".join(("<table>", f"<tr>{_cells('th', heads)}</tr>", *lines, "</table>"))


def _cells(tag: str, cells: Sequence[str], kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return "".join(f"<{tag}{mark}>{escape(SHOWN.get(cell, cell))}</{tag}>" for cell in cells)
