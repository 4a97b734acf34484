"""Snakemake's report, finished: it opens on the scores, shows pages of any size, and each with its caption.

As Snakemake writes it, it opens on the graph of its rules, a page of more than 2 MB stays blank, and a caption is two
clicks away from its figure. What its page reads lies in it as JSON, which is read here, added to and written back.
"""

from __future__ import annotations

import base64
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError
from msclnet.core.files import write_text
from msclnet.report.summary_page import STYLE

Result = dict[str, Any]  # of the report: its caption, labels, type and content

PAGE = "text/html"
OVERVIEW = "scores at a glance"
BESIDE = ("CMC", "ranked lists")  # the figures on the first page; the latter, large, of the first data set alone
CAPTION = "max-width: 60rem; margin: 1rem auto; padding: 0 1.5rem; font: 14px system-ui, sans-serif; color: #1a1a1a"
# A browser opens no address of more than 2 MB, as that of a page of photographs is: each page becomes a blob.
OPENING = f"""<script id="opening">
for (const result of Object.values(results)) {{
    if (result.mime_type === "{PAGE}") {{
        const bytes = Uint8Array.from(atob(result.data_uri.split(";base64,")[1]), (byte) => byte.charCodeAt(0));
        result.data_uri = URL.createObjectURL(new Blob([bytes], {{type: "{PAGE};charset=utf-8"}}));
    }}
}}
const opening = setInterval(() => {{
    if (document.querySelector("#app").children.length) {{
        clearInterval(opening);
        app.setView({{content: "html", contentPath: results["{OVERVIEW}"].data_uri}});
    }}
}}, 20);
</script>
"""


def finish(report: Path) -> None:
    """Writes captions into the pages of a report of Snakemake's, and a first page with the scores and two figures.

    A report that is finished stays as it is.

    Args:
        report: the .html that ``snakemake --report`` wrote of this workflow.

    Raises:
        DataError: it is absent, or no such report.
    """
    try:
        text = report.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{report}: not readable ({error}); make it with snakemake --report {report}") from None
    results, categories = (_variable(report, text, name) for name in ("results", "categories"))
    if OVERVIEW in results:
        return
    overview = _result(OVERVIEW, _overview(results))
    for result in results.values():
        if result["mime_type"] == PAGE:
            result["data_uri"] = _encoded(_with_caption(_decoded(result["data_uri"]), result["caption"]))
    text = _replaced(text, "results", {OVERVIEW: overview} | results)
    text = _replaced(text, "categories", {"At a glance": {"Other": [OVERVIEW]}} | categories)
    body, end, rest = text.rpartition("</body>")
    write_text(report, f"{body}{OPENING}{end}{rest}")


def _overview(results: dict[str, Result]) -> str:
    """The headline's table and the CMC curves of each data set, then ranked lists."""
    parts, ranked = [], ""
    for result in results.values():
        labels = result["labels"] or {}
        if labels.get("table") == "summary":
            page, name = _decoded(result["data_uri"]), labels["data set"]
            of_set = {r["labels"]["figure"]: r for r in results.values() if _is_figure_of(r, name)}
            cmc, lists = (of_set.get(figure) for figure in BESIDE)
            head = _only(r"<h1>(.*?): summary</h1>\n(.*?)</table>", page, name)
            parts.append(f"<h2>{head[0]}</h2>\n{head[1]}</table>\n{_figure(cmc)}")
            ranked = ranked or (f"<h2>{head[0]}: ranked lists</h2>\n{_figure(lists)}" if lists else "")
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{escape(OVERVIEW)}</title>
<style>{STYLE} img {{ max-width: 100%; height: auto }}</style>
<h1>MSCLNet: {escape(OVERVIEW)}</h1>
<p>All tables and figures, each with its caption, are in the menu on the left, and how they were made under
<em>Workflow</em>.</p>
{"".join(parts)}
{ranked}
</html>
"""


def _is_figure_of(result: Result, name: str) -> bool:
    labels = result["labels"] or {}
    return "figure" in labels and labels.get("data set") == name and result["mime_type"] == PAGE


def _figure(result: Result | None) -> str:
    """The image of a figure's page, with its caption."""
    if result is None:
        return ""
    image = _only(r"<img [^>]*>", _decoded(result["data_uri"]), result["name"])
    return f"<figure>{image[0]}<figcaption>{result['caption']}</figcaption></figure>"


def _only(pattern: str, page: str, name: str) -> tuple[str, ...]:
    """The groups of a pattern in a page, or all of it where it has none."""
    match = re.search(pattern, page, re.DOTALL)
    if match is None:
        raise DataError(f"{name}: not the page that this version makes: let snakemake make it again, then the report")
    return match.groups() or (match[0],)


def _with_caption(page: str, caption: str) -> str:
    return page.replace("</html>", f'<div class="caption" style="{CAPTION}">{caption}</div>\n</html>')


def _result(name: str, page: str) -> Result:
    """As Snakemake describes one; of no rule."""
    about = {"rule": "", "wildcards": "", "params": ""}
    shown = {"name": name, "filename": f"{name}.html", "labels": {"page": name}, "size": f"{len(page) / 1e6:.2f} MB"}
    return {**shown, "caption": "", "mime_type": PAGE, "job_properties": about, "data_uri": _encoded(page)}


def _decoded(uri: str) -> str:
    return base64.b64decode(uri.partition(";base64,")[2]).decode()


def _encoded(page: str) -> str:
    return f"data:{PAGE};charset=utf8;base64,{base64.b64encode(page.encode()).decode()}"


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf'(<script id="{name}">\s*var {name} = )(.*?)(;\s*</script>)', re.DOTALL)


def _variable(report: Path, text: str, name: str) -> dict[str, Any]:
    if match := _pattern(name).search(text):
        return json.loads(match[2])
    raise DataError(
        f"{report}: no report of Snakemake's, or of another version than the lock's: it has no {name!r}; make it with "
        f"snakemake --report {report}"
    )


def _replaced(text: str, name: str, value: dict[str, Any]) -> str:
    return _pattern(name).sub(lambda match: match[1] + json.dumps(value) + match[3], text)
