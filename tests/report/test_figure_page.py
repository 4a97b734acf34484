"""A figure's page: it opens by itself, holds the figure, and is as wide as the window at most."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from msclnet.report.figures.style import save


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_page_holds_the_figure(tmp_path: Path, ending: str) -> None:
    figure = Figure(figsize=(2, 3), layout="constrained")
    figure.subplots().plot([1, 2])
    save(figure, tmp_path / f"regdb_cmc.{ending}")
    page = (tmp_path / "regdb_cmc.html").read_text()
    assert "<title>regdb cmc</title>" in page
    (held,) = re.findall(r"base64,([^\"]+)", page)
    assert base64.b64decode(held) == (tmp_path / f"regdb_cmc.{ending}").read_bytes()
