"""Answers as one HTML page with thumbnails in it: opens without a network."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from pathlib import Path

from msclnet.core.errors import DataError
from msclnet.core.files import write_text
from msclnet.data.depth import DeepRange
from msclnet.data.images import read_rgb
from msclnet.inference.gallery import Answer

THUMBNAIL = (192, 256)  # pixels at most, shown at half of that
KNOWN_BY = {
    "flag": "as stated",
    "folder": "by its folder",
    "colour": "by its colours",
    "uncertain": "by its colours, uncertain",
}
STYLE = """
:root { color-scheme: light dark; --quiet: light-dark(#595959, #b0b0b0); --line: light-dark(#d0d0d0, #505050) }
body { font: 16px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 82rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin-bottom: .2rem }
h2 { font-size: 1rem; margin: 0 0 .5rem; overflow-wrap: anywhere }
section { border-top: 1px solid var(--line); padding: 1rem 0 }
section { display: grid; grid-template-columns: 8rem 1fr; gap: 1.5rem }
ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 1rem }
figure, li { margin: 0; width: 8rem; font-size: .8rem; overflow-wrap: anywhere }
img { display: block; height: 8rem; max-width: 8rem; object-fit: contain; margin-bottom: .3rem }
p, small { color: var(--quiet) }
footer { border-top: 1px solid var(--line) }
"""


def write_page(path: Path, answers: Sequence[Answer], model: str, gallery: Path, deep_range: DeepRange | None) -> None:
    """One section a query: its picture, then what it found, best first, with rank, score and path under each."""
    sections = "\n".join(_section(answer, gallery, deep_range) for answer in answers)
    queries = f"{len(answers)} quer{'y' if len(answers) == 1 else 'ies'}"
    text = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Search in {escape(gallery.name)}</title>
<style>{STYLE}</style>
<h1>Search in {escape(str(gallery))}</h1>
<p>{queries}, model {escape(model)}. Under each image: rank, cosine (1 is the most alike), path.</p>
{sections}
<footer><p>The ranking is a list of leads, not an identification: the nearest image is shown even when the person is
not in the gallery.</p></footer>
</html>
"""
    write_text(path, text)


def _section(answer: Answer, gallery: Path, deep_range: DeepRange | None) -> str:
    hits = "\n".join(
        f"<li>{_thumbnail(hit.path, deep_range)}<b>{rank}</b> &nbsp;{hit.score:.4f}<br>"
        f"<small>{escape(hit.path.relative_to(gallery).as_posix())}</small></li>"
        for rank, hit in enumerate(answer.hits, start=1)
    )
    return f"""<section>
<figure>{_thumbnail(answer.query, deep_range)}<b>query</b><br><small>{escape(str(answer.query))}</small></figure>
<div><h2>{_name(answer)}, found among the {answer.among.name.lower()} images</h2>
<ol>
{hits}
</ol></div>
</section>"""


def escape(text: str) -> str:
    """A text for a page, also a name of bytes that are not UTF-8."""
    return html.escape(os.fsencode(text).decode("utf-8", "backslashreplace"))


def _name(answer: Answer) -> str:
    modality, source = answer.decision
    return f"{modality.name.capitalize()} query ({KNOWN_BY[source]})"


def _thumbnail(path: Path, deep_range: DeepRange | None) -> str:
    try:
        small = read_rgb(path, deep_range)
    except DataError:  # it was readable when it was embedded
        return f"<p>{escape(path.name)} cannot be read now</p>"
    small.thumbnail(THUMBNAIL)
    content = io.BytesIO()
    small.save(content, "JPEG", quality=85)
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(path.name)}">'
