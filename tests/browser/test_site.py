"""The documentation opened as files, without a server or a network: search, equations, pictures."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.servers import BROWSER, NO_BROWSER, chromium, visitor

DOCS = ("mkdocstrings", "latex2mathml")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER),
    pytest.mark.skipif(not all(map(importlib.util.find_spec, DOCS)), reason="needs the optional dependencies `docs`"),
]
# How many pieces of mathematics come so near the edge of the box they are shown in that their ink may be cut.
CUT = """boxes => boxes.map(box => [box.getBoundingClientRect(), ...box.querySelectorAll("*")])
    .flatMap(([box, ...pieces]) => pieces.map(piece => piece.getBoundingClientRect())
        .filter(piece => piece.top < box.top + 4 || piece.bottom > box.bottom - 4)).length"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    return folder


@pytest.fixture
def page() -> Iterator[Page]:
    """A page that may open files alone; what it asks of a network is an error of the test."""
    asked: list[str] = []
    with chromium() as browser:
        page = visitor(browser).new_page()
        page.on("request", lambda request: asked.append(request.url))
        yield page
    assert not [url for url in asked if url.startswith("http")]


def test_the_search_finds_without_a_network(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("textbox", name="Search").click()
    page.get_by_role("textbox", name="Search").press_sequentially("separation")
    found = page.locator(".md-search-result__link").first
    expect(found).to_be_visible()
    found.click()
    page.wait_for_url(re.compile(r"^file:(?!.*index\.html)"))
    expect(page.locator("h1")).to_be_visible()


def test_equations_are_set_and_lead_to_their_code(site: Path, page: Page) -> None:
    page.goto((site / "equations.html").as_uri())
    assert page.locator("math").count() >= 9
    for height in page.locator("math").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)"):
        assert height > 10, "a line of mathematics, set"
    assert page.locator(".math").evaluate_all(CUT) == 0, "the box of a scroll bar cuts"
    page.locator("article h3 a", has_text="Eq. 10 to 12").first.click()
    expect(page.locator("body")).to_contain_text("def intra(")


@pytest.mark.parametrize("name", ["index.html", "code.html", "how-to/tracking.html", "decisions.html"])
def test_every_picture_is_shown(name: str, site: Path, page: Page) -> None:
    page.goto((site / name).as_uri())
    widths = page.locator("article img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert widths
    assert all(widths)


@pytest.mark.parametrize("name", ["tutorial.html", "use.html", "reference/commands.html"])
def test_no_line_of_code_is_cut(name: str, site: Path, page: Page) -> None:
    page.goto((site / name).as_uri())
    boxes = page.locator("pre > code")
    assert boxes.count() > 3
    assert boxes.evaluate_all("all => all.filter(box => box.scrollWidth > box.clientWidth).length") == 0
