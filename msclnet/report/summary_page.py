"""A data set's summary as a page: the report shows no CSV."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from msclnet.config import title
from msclnet.core.files import write_text
from msclnet.datasets.table import SETS
from msclnet.results.captions import paired_words, spread
from msclnet.results.in_print import SELECTION, in_print
from msclnet.results.scores import HEADLINE, Row
from msclnet.results.tables import condensed, shown

STYLE = """
body { font: 15px system-ui, sans-serif; margin: 1.5rem; color: #1a1a1a; background: #ffffff }
h1 { font-size: 1.3rem }
h2 { font-size: 1rem; margin: 1.5rem 0 .4rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #dddddd }
th:first-child, td:first-child { text-align: left }
"""


def write_page(path: Path, name: str, table: Sequence[Row], apart: Sequence[Row] = ()) -> None:
    """Writes ``table``, the rows of ``summary`` of the data set ``name``: one for each feature, in their order.

    ``apart`` are the rows of ``differences``: those of the headline's feature follow. What is in print of the
    real set follows as a table of its own.
    """
    head = escape(f"{title(name, table[0]['data'])}: summary")
    features = dict.fromkeys(str(row["feature"]) for row in table)
    tables = "\n".join(_table(feature, [row for row in table if row["feature"] == feature]) for feature in features)
    text = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{head}</title>
<style>{STYLE}</style>
<h1>{head}</h1>
<p>Percent, {spread(name, table[0]["trials"])}, in brackets. <em>paper_rank1</em> and <em>paper_mAP</em> are in print,
of the real set. {SELECTION}</p>
{tables}
{_apart(name, apart)}
{_in_print(name)}
</html>
"""
    write_text(path, text)


def _table(feature: str, rows: Sequence[Row]) -> str:
    return f"<h2>Feature {escape(feature)}</h2>\n{_lines(*condensed(rows))}"


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
    """``2.10 (0.40 to 3.80)``."""
    mean, low, high = (row[f"{metric}_{part}"] for part in ("diff", "low", "high"))
    return f"{mean:+.2f}" + ("" if low is None else f" ({low:+.2f} to {high:+.2f})")


def _in_print(name: str) -> str:
    """The numbers of others, and of the paper: measured on the real set, none of them here."""
    rows = in_print(name)
    if not rows:
        return ""
    body = [[shown(value) or "-" for value in row.values()] for row in rows]
    return f"""<h2>In print, on the real {escape(SETS.get(name).title)}</h2>
<p>As the sources print them: nothing of this table was measured here. AGW* is AGW with random erasing, the paper's own
baseline: the method <em>agw</em> here. CAJ is the method <em>agw_ca</em>.</p>
{_lines(list(rows[0]), body)}"""


def _lines(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(("<table>", _line("th", heads), *(_line("td", cells) for cells in body), "</table>"))


def _line(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
