"""A figure as a page of its own: as wide as the window at most, and scrolled where it is taller."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from msclnet.core.files import write_text

KINDS = {".svg": "image/svg+xml", ".png": "image/png"}
STYLE = "body { margin: 0; background: #ffffff } img { display: block; margin: auto; max-width: 100%; height: auto }"


def write_figure_page(figure: Path) -> None:
    """Writes ``<figure>.html`` beside a figure, which it holds: it opens without a network, and without other files.

    Args:
        figure: an .svg or .png that is there.
    """
    held = base64.b64encode(figure.read_bytes()).decode()
    name = escape(figure.stem.replace("_", " "))
    write_text(
        figure.with_suffix(".html"),
        f'''<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}</title>
<style>{STYLE}</style>
<img alt="{name}" src="data:{KINDS[figure.suffix]};base64,{held}">
</html>
''',
    )
