"""A figure in the report: all of it can be scrolled to, however tall it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from playwright.sync_api import Browser, sync_playwright

from msclnet.report.figures.style import save
from tests.servers import BROWSER, NO_BROWSER

pytestmark = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("window", [(1280, 800), (1920, 1080)])
def test_all_of_a_tall_figure_can_be_reached(tmp_path: Path, browser: Browser, window: tuple[int, int]) -> None:
    """In a frame as tall as the window, in which the report shows a page."""
    figure = Figure(figsize=(10, 20.6), layout="constrained")  # ranked lists
    figure.subplots(12, 11)
    save(figure, tmp_path / "ranked.svg")
    frame = '<body style="margin:0"><iframe src="ranked.html" style="width:80vw;height:100vh;border:0"></iframe>'
    (tmp_path / "report.html").write_text(frame)
    page = browser.new_page(viewport={"width": window[0], "height": window[1]})
    page.set_default_timeout(120_000)
    page.goto((tmp_path / "report.html").as_uri())
    shown = page.frames[1]
    shown.wait_for_function("document.images[0].complete && document.images[0].naturalHeight > 0")
    top, left, right, bottom, reach, width = shown.evaluate("""() => {
        const box = document.images[0].getBoundingClientRect();
        const most = document.documentElement;
        return [box.top, box.left, box.right, box.bottom, most.scrollHeight, most.clientWidth];
    }""")
    assert top >= 0
    assert left >= 0
    assert bottom > window[1], "it is taller than the window"
    assert bottom <= reach
    assert right <= width
