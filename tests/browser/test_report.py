"""The report: it opens on the scores, and all of each figure can be seen and scrolled to, however large it is."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import Browser, Frame, Page

from msclnet.core.errors import DataError
from msclnet.report import demo_page
from msclnet.report.figures.style import save
from msclnet.report.finished import OVERVIEW, finish
from msclnet.report.summary_page import write_page
from tests.patience import PATIENCE
from tests.servers import BROWSER, NO_BROWSER, chromium, visitor

pytestmark = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


WINDOWS = [(1280, 800), (1920, 1080)]
SNAKEFILE = """
report: "workflow.rst"
PAGES = {"regdb_summary": ("Tables", {"data set": "regdb", "table": "summary"}),
         "regdb_cmc": ("Figures", {"data set": "regdb", "figure": "CMC"}),
         "regdb_ranked": ("Figures", {"data set": "regdb", "figure": "ranked lists"})}
rule all:
    input: [f"{name}.html" for name in PAGES]
for name, (category, labels) in PAGES.items():
    rule:
        name: name
        input: f"made/{name}.html"
        output: report(f"{name}.html", caption=f"{name}.rst", category=category, labels=labels)
        shell: "cp {input} {output}"
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snakemake's own report of three pages as the workflow makes them, finished; one is larger than 2 MB."""
    folder = tmp_path_factory.mktemp("report")
    made = folder / "made"
    made.mkdir()
    scores = {
        "rank1": 12.06,
        "rank1_std": 1.99,
        "paper_rank1": 84.17,
        "mAP": 14.83,
        "mAP_std": 1.41,
        "paper_mAP": 80.99,
    }
    where = {"data": "stand-in", "method": "msclnet", "feature": "bn", "direction": "visible-to-infrared", "trials": 10}
    write_page(made / "regdb_summary.html", "regdb", [{**where, **scores}])
    lines = Figure(figsize=(8, 4))
    lines.subplots().plot([1, 2])
    save(lines, made / "regdb_cmc.svg")
    photographs = Figure(figsize=(10, 20.6))
    photographs.subplots().imshow(np.random.default_rng(0).random((900, 900, 3)), interpolation="none")
    save(photographs, made / "regdb_ranked.svg")
    assert (made / "regdb_ranked.html").stat().st_size > 3e6
    for name in ("workflow", "regdb_summary", "regdb_cmc", "regdb_ranked"):
        (folder / f"{name}.rst").write_text(f"What *{name}* shows.")
    (folder / "Snakefile").write_text(SNAKEFILE)
    for arguments in (["all"], ["--report", "report.html"]):
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all", *arguments]
        done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
    finish(folder / "report.html")
    return folder / "report.html"


@pytest.fixture(params=WINDOWS, ids=lambda window: f"{window[0]}x{window[1]}")
def page(report: Path, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = visitor(browser, *request.param)
    page = context.new_page()
    page.goto(report.as_uri())
    yield page
    context.close()


def content(page: Page, text: str) -> Frame:
    """The page in the report's frame, once it has a text."""
    page.frame_locator("iframe").get_by_text(text, exact=True).first.wait_for()
    return page.frames[-1]


def test_it_opens_on_the_scores_and_two_figures_with_their_captions(page: Page) -> None:
    shown = content(page, f"MSCLNet: {OVERVIEW}")
    text = shown.inner_text("body")
    assert "12.06 (1.99)" in text
    assert "in print, real RegDB" in text
    assert "Drawn stand-in: no result on the real set." in text
    assert [caption.strip() for caption in shown.locator("figcaption").all_inner_texts()] == [
        "What regdb_cmc shows.",
        "What regdb_ranked shows.",
    ]
    assert shown.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), "it fits"
    shown.wait_for_function("[...document.images].every(image => image.naturalHeight > 0)")


def test_a_page_of_photographs_is_no_blank_one_and_has_its_caption(page: Page) -> None:
    """Of 3 MB: as an address, as Snakemake would have it, the browser refuses to open it."""
    content(page, f"MSCLNet: {OVERVIEW}")
    page.get_by_text("Figures", exact=True).click()
    page.locator("#app").get_by_text("ranked lists", exact=True).click()
    page.locator("tr", has_text="regdb").locator("a[iconname=eye]").click()
    page.frame_locator("iframe").locator(".caption").wait_for()
    shown = page.frames[-1]
    shown.wait_for_function("document.images[0].naturalHeight > 0")
    assert shown.inner_text(".caption").strip() == "What regdb_ranked shows."
    assert shown.evaluate("document.images[0].getBoundingClientRect().bottom < document.documentElement.scrollHeight")


def test_a_finished_report_stays_as_it_is_and_no_report_is_named(report: Path, tmp_path: Path) -> None:
    before = report.read_bytes()
    finish(report)
    assert report.read_bytes() == before
    with pytest.raises(DataError, match=r"nowhere\.html: not readable"):
        finish(tmp_path / "nowhere.html")
    other = tmp_path / "other.html"
    other.write_bytes(base64.b64encode(b"a page"))
    with pytest.raises(DataError, match=r"other\.html: no report of Snakemake's, or of another version"):
        finish(other)


@pytest.mark.parametrize("window", WINDOWS)
def test_all_of_a_tall_figure_can_be_reached(tmp_path: Path, browser: Browser, window: tuple[int, int]) -> None:
    """In a frame as tall as the window, in which the report shows a page."""
    figure = Figure(figsize=(10, 20.6), layout="constrained")  # ranked lists
    figure.subplots(12, 11)
    save(figure, tmp_path / "ranked.svg")
    frame = '<body style="margin:0"><iframe src="ranked.html" style="width:80vw;height:100vh;border:0"></iframe>'
    (tmp_path / "report.html").write_text(frame)
    page = visitor(browser, *window).new_page()
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


@pytest.mark.parametrize("width", [400, 1280])
def test_the_search_of_the_demos_page_is_seen_to_its_end(browser: Browser, tmp_path: Path, width: int) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "ranked.png")
    found = tmp_path / "found.html"
    found.write_text("<!doctype html><body>" + "<p>An image and its path below. </p>" * 40)
    row = {"data": "stand-in", "method": "agw", "feature": "bn", "direction": "visible-to-infrared", "trials": "1"}
    demo_page.write_page(tmp_path / "demo.html", "regdb", [row], tmp_path / "ranked.png", found, "Who?")
    page = visitor(browser, width).new_page()
    page.goto(f"file://{tmp_path}/demo.html")
    frame = page.frame_locator("iframe").locator("html")
    shown, whole = (frame.evaluate(f"page => page.{side}") for side in ("clientHeight", "scrollHeight"))
    assert whole <= shown + 1
    assert whole > 1000
