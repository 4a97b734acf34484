"""Answers as one HTML page with thumbnails in it, each a link to its original: opens without a network."""

from __future__ import annotations

import base64
import html
import io
import os
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msclnet.core.errors import DataError
from msclnet.core.files import write_text
from msclnet.data.images import read_rgb
from msclnet.inference.gallery import Answer, Gallery, Hit, counted
from msclnet.inference.info import caution

THUMBNAIL = (320, 512)  # pixels at most
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
section { display: grid; grid-template-columns: 10rem 1fr; gap: 1.5rem }
ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 1.2rem 1rem }
figure, li { margin: 0; width: 10rem; font-size: .85rem; overflow-wrap: anywhere }
img { display: block; height: 16rem; width: 10rem; object-fit: contain; margin-bottom: .3rem }
a { color: inherit }
p, small, summary { color: var(--quiet) }
strong { color: light-dark(#9a4a00, #ffb366) }
.caution { border-left: .3rem solid; color: light-dark(#9a4a00, #ffb366); padding-left: .8rem }
@media (max-width: 40rem) { section { grid-template-columns: 1fr } }
footer { border-top: 1px solid var(--line) }
"""


def write_page(path: Path, answers: Sequence[Answer], model: str, gallery: Gallery) -> None:
    """One section a query: its picture, then what it found, best first, with rank, score and path under each.

    Each picture leads to its file, from where the page lies; the page and the images can be moved together.
    """
    pictures = Pictures(gallery, lambda file: _address(file, path.parent))
    sections = "\n".join(map(pictures.section, answers))
    queries = f"{len(answers)} quer{'y' if len(answers) == 1 else 'ies'}"
    why = caution(gallery.origin)
    text = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Search in {escape(gallery.folder.name)}</title>
<style>{STYLE}</style>
<h1>Search in {escape(str(gallery.folder))}</h1>
{f'<p class="caution">{escape(why)}.</p>' if why else ""}
<p>{queries}, model {escape(model)}. Under each image: rank, cosine (1 is the most alike), path. A click opens the
original.</p>
{sections}
<footer><p>The ranking is a list of leads, not an identification: the nearest image is shown even when the person is
not in the gallery.</p>
{_left_out(gallery)}</footer>
</html>
"""
    write_text(path, text)


def uncertain(gallery: Gallery) -> list[str]:
    """The images of a gallery whose modality their colours left uncertain, by their paths in it."""
    return sorted(path for path, decision in gallery.images.items() if decision.source == "uncertain")


def passed_over(skipped: Mapping[str, int]) -> str:
    """How many files of other suffixes were passed over, in words."""
    number = sum(skipped.values())
    return f"{number} file{'s' * (number != 1)} of other kinds passed over ({counted(skipped)})"


def _left_out(gallery: Gallery) -> str:
    """What the gallery has that was not searched, or perhaps among the wrong images."""
    lists = {
        "images whose modality their colours left uncertain": uncertain(gallery),
        "images that could not be read": list(gallery.unreadable),
    }
    parts = [f"<p>{escape(passed_over(gallery.skipped))}.</p>"] if gallery.skipped else []
    for what, names in lists.items():
        if names:
            items = "".join(f"<li>{escape(name)}</li>" for name in names)
            parts.append(f"<details><summary>{len(names)} {what}</summary><ul>{items}</ul></details>")
    return "\n".join(parts)


@dataclass(frozen=True)
class Pictures:
    """Thumbnails of queries and of what they found.

    Attributes:
        gallery: the images searched.
        address: that of a file, to which its thumbnail leads.
    """

    gallery: Gallery
    address: Callable[[Path], str]

    def section(self, answer: Answer) -> str:
        """A query and its hits, as a part of a page."""
        query = f"{self._thumbnail(answer.query)}<b>query</b><br><small>{escape(str(answer.query))}</small>"
        return f"""<section>
<figure>{query}</figure>
<div><h2>{heading(answer)}</h2>
{self.hits(answer)}</div>
</section>"""

    def hits(self, answer: Answer) -> str:
        """What a query found, best first, with rank, score and path under each."""
        items = "\n".join(f"<li>{self._hit(rank, hit)}</li>" for rank, hit in enumerate(answer.hits, start=1))
        return f"<ol>\n{items}\n</ol>"

    def _hit(self, rank: int, hit: Hit) -> str:
        doubt = "<strong>modality uncertain</strong><br>" if hit.decision.source == "uncertain" else ""
        name = escape(hit.path.relative_to(self.gallery.folder).as_posix())
        return f"{self._thumbnail(hit.path)}<b>{rank}</b> &nbsp;{hit.score:.4f}<br>{doubt}<small>{name}</small>"

    def _thumbnail(self, path: Path) -> str:
        try:
            small = read_rgb(path, self.gallery.deep_range)
        except DataError:  # it was readable when it was embedded
            return f"<p>{escape(path.name)} cannot be read now</p>"
        small.thumbnail(THUMBNAIL)
        content = io.BytesIO()
        small.save(content, "JPEG", quality=85)
        data = base64.b64encode(content.getvalue()).decode()
        picture = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(path.name)}">'
        return f'<a href="{self.address(path)}" target="_blank">{picture}</a>'


def heading(answer: Answer) -> str:
    """What a query was taken for, by what, and where it was searched."""
    modality, source = answer.decision
    return (
        f"{modality.name.capitalize()} query ({KNOWN_BY[source]}), found among the {answer.among.name.lower()} images"
    )


def _address(file: Path, folder: Path) -> str:
    """Of a file, from a page in a folder; no name in it is taken for anything but a name."""
    return f"./{urllib.parse.quote(os.fsencode(os.path.relpath(file, folder)))}"


def escape(text: str) -> str:
    """A text for a page, also a name of bytes that are not UTF-8."""
    return html.escape(os.fsencode(text).decode("utf-8", "backslashreplace"))
