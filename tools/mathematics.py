"""Equations as MathML, which browsers set themselves: no script, no font and no network.

A block ```math of a page is LaTeX. GitHub sets it, too.
"""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert


def fence(source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
    """A block of LaTeX as MathML, as a fence of pymdownx.superfences; a formula it cannot read fails the build."""
    return f'<div class="{css_class}">{convert(source.strip(), display="block")}</div>'


FENCE = {"name": "math", "class": "math", "format": fence}
