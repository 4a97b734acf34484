"""The page of ``msclnet demo`` in a real browser: a photograph is dropped, and its matches are seen."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.datasets import trees
from tests.inference.conftest import job as job
from tests.inference.conftest import model as model
from tests.servers import BROWSER, NO_BROWSER, chromium, demo_page, visitor

pytestmark = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)
pytest.importorskip("uvicorn", reason="needs the optional dependencies `demo`")
DROP = """([name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), sign => sign.charCodeAt(0))
    const transfer = new DataTransfer()
    transfer.items.add(new File([bytes], name, { type }))
    return transfer
}"""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = trees.regdb(tmp_path_factory.mktemp("demo") / "people")
    Image.new("RGB", (24, 48), (100, 112, 108)).save(folder / "pale.png")
    return folder


@pytest.fixture(scope="module")
def address(people: Path, model: Path) -> Iterator[str]:
    with demo_page(people.parent, "--model", model, "--gallery", people, "--cache", people.parent / "cache") as address:
        yield address


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    with chromium() as browser:
        page = visitor(browser).new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(OWN) else None)
        page.goto(address)
        yield page
    assert not [text for text in wrong if "422" not in text]


OWN = ("http://127.0.0.1:", "data:", "blob:")


def photograph(folder: Path) -> Path:
    return min(folder.glob("*.bmp"))


def test_a_dropped_photograph_shows_its_modality_and_its_matches(page: Page, people: Path) -> None:
    file = photograph(people / "Thermal/1")
    data = page.evaluate_handle(DROP, [file.name, "image/bmp", base64.b64encode(file.read_bytes()).decode()])
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.get_by_role("heading", name="Infrared query (by its colours)")).to_be_visible()
    matches = page.locator("#result li img")
    expect(matches).to_have_count(10)
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    boxes = [matches.nth(number).bounding_box() for number in range(10)]
    assert all(box and box["height"] > 200 for box in boxes)
    with page.expect_popup() as opened:
        matches.first.click()
    assert "/original/Visible/" in opened.value.url
    opened.value.wait_for_function("document.images.length && document.images[0].naturalHeight > 0")


def test_a_chosen_file_again_with_another_modality_and_number(page: Page, people: Path) -> None:
    page.set_input_files("#file", photograph(people / "Visible/1"))
    expect(page.get_by_role("heading", name="Visible query (by its colours), found among the infrared")).to_be_visible()
    page.select_option("#modality", "infrared")
    expect(page.get_by_role("heading", name="Infrared query (as stated), found among the visible")).to_be_visible()
    page.fill("#top", "3")
    page.dispatch_event("#top", "change")
    expect(page.locator("#result li")).to_have_count(3)


def test_what_is_uncertain_or_no_image_is_said(page: Page, people: Path, tmp_path: Path) -> None:
    page.set_input_files("#file", people / "pale.png")
    expect(page.get_by_text("Its colours leave that uncertain: state the modality above")).to_be_visible()
    (tmp_path / "phone.heic").write_bytes(b"\x00\x00\x00\x18ftypheic")
    page.set_input_files("#file", tmp_path / "phone.heic")
    expect(page.get_by_text("the photograph: not a readable image")).to_be_visible()


def test_the_page_says_what_it_is_and_the_law(page: Page) -> None:
    expect(page.get_by_text("The model learned drawn people, none of whom exists")).to_be_visible()
    expect(page.get_by_role("heading", name="Before you use it on anyone")).to_be_visible()
    expect(page.get_by_text("In many places it needs a legal basis")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
