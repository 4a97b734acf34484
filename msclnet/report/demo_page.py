"""What a short run made, in one page that needs no network: its table, a search with its model, its ranked lists."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from msclnet.core.files import write_text
from msclnet.report.summary_page import TABLE, score_table
from msclnet.results.captions import spread
from msclnet.results.scores import HEADLINE, Row

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1a1a1a }
body { background: #ffffff }
h1 { font-size: 1.5rem }
h2 { font-size: 1.15rem; margin-top: 2.5rem }
.table { overflow-x: auto }
img { max-width: 100% }
iframe { width: 100%; height: 40rem; border: 1px solid #dddddd }
"""
AS_TALL_AS_ITS_PAGE = "this.style.height = this.contentDocument.documentElement.offsetHeight + 20 + 'px'"


def write_page(path: Path, name: str, summary: Sequence[Row], ranked: Path, search: Path, found: str) -> None:
    """Writes the page.

    Args:
        path: the page to write.
        name: the data set's.
        summary: the rows of its summary, as the CSV has them.
        ranked: the figure of the ranked lists, a PNG.
        search: the page that a search wrote.
        found: a sentence on what was searched for.
    """
    rows = [row for row in summary if row["feature"] == HEADLINE]
    picture = base64.b64encode(ranked.read_bytes()).decode()
    text = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MSCLNet: a short run</title>
<style>{STYLE}{TABLE}</style>
<h1>MSCLNet: a short run on drawn people</h1>
<p>The people are drawn, the network is small, and it trained on one split. This shows that the pipeline works. It is no
result on the real set.</p>
<h2>Table</h2>
<p>Feature {HEADLINE}; percent, {escape(spread(name, int(rows[0]["trials"])))}. <em>untrained</em> is the network before
its first step. In grey: in print, of the real set.</p>
<div class="table">{score_table(name, rows)}</div>
<h2>A search</h2>
<p>{escape(found)}</p>
<iframe title="Search" onload="{AS_TALL_AS_ITS_PAGE}" srcdoc="{escape(search.read_text(encoding="utf-8"))}"></iframe>
<h2>Ranked lists</h2>
<p>The ten gallery images nearest to a query: of the two best queries, the two worst and two at random. A green frame is
the same person, a red dashed one another.</p>
<img alt="Ranked lists" src="data:image/png;base64,{picture}">
</html>
"""
    write_text(path, text)
