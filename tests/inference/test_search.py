"""The command and its page."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from msclnet.cli import main


class Parsed(HTMLParser):
    """Addresses, pictures and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[Image.Image] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        for name, value in attrs:
            if name in ("src", "href", "srcset"):
                head, data = str(value).split(",", 1)
                self.addresses.append(head)
                self.pictures.append(Image.open(io.BytesIO(base64.b64decode(data))))

    def handle_data(self, data: str) -> None:
        self.text += data


def search(folder: Path, model: Path, *arguments: str | Path) -> int:
    cache = folder.parent / "cache"
    return main(
        ["search", "--model", str(model), "--gallery", str(folder), "--cache", str(cache), *map(str, arguments)]
    )


def test_a_name_moves_no_cursor(folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file or a folder can be called what a terminal takes for an order."""
    query = tmp_path / "\x1b[2J\x1b]0;title\x07.bmp"
    shutil.copyfile(next((folder / "Thermal/1").iterdir()), query)
    named = folder.rename(folder.with_name("g\x1b[8m"))
    (named / "Visible/broken\u202egpj.bmp").write_text("no image")
    assert search(named, model, "--query", query) == 0
    assert search(named, model, "--query", tmp_path / "\x1b[1mabsent") == 1
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert not re.search(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert r"\x1b[2J\x1b]0;title\x07.bmp: infrared" in printed.out
    assert r"g\x1b[8m" in printed.err


def test_paths_and_scores_are_printed_and_the_rest_is_beside(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (folder / "Thermal/1/broken.png").write_bytes(b"no image")
    query = sorted((folder / "Thermal").rglob("*.bmp"))[0]
    assert search(folder, model, "--query", query, "--top", "3") == 0
    out, err = capsys.readouterr()
    head, *lines = out.splitlines()
    assert head == f"{query}: infrared (by its folder), among the visible images"
    assert [re.fullmatch(r" +(\d)  +(-?[01]\.\d{4})  (.+\.bmp)", line)[1] for line in lines] == ["1", "2", "3"]
    assert all(f"  {folder / 'Visible'}{os.sep}" in line for line in lines)
    assert f"gallery {folder}: 24 images, 12 visible, 12 infrared (modality: 24 by its folder)\n" in err
    assert "24 embedded now, 0 taken from the cache" in err
    assert "1 unreadable, left out:\n" in err
    assert f"{folder}/Thermal/1/broken.png: not a readable image" in err
    assert "\r" not in err, "no progress bar where no terminal is"
    assert search(folder, model, "--query", query) == 0
    assert "0 embedded now, 24 taken from the cache" in capsys.readouterr().err


def test_the_page_holds_its_pictures_and_asks_no_network(folder: Path, model: Path, tmp_path: Path) -> None:
    strange = folder / "Visible/<b>&'x'.png"
    Image.new("I;16", (300, 700), 40_000).save(strange)
    queries = sorted((folder / "Thermal").rglob("*.bmp"))[:2]
    page = tmp_path / "page.html"
    assert search(folder, model, "--query", *queries, "--top", "13", "--out", page, "--deep-range", "0", "65535") == 0
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert "url(" not in text
    parsed = Parsed(text)
    assert set(parsed.addresses) == {"data:image/jpeg;base64"}
    assert len(parsed.pictures) == 2 * (1 + 13)
    assert all(picture.width <= 192 and picture.height <= 256 for picture in parsed.pictures)
    greys = [picture.convert("L").getpixel((5, 5)) for picture in parsed.pictures if picture.width == 110]
    assert greys == [pytest.approx(40_000 >> 8, abs=3)] * 2, "16 bits are shown as they are seen by the model"
    assert "Visible/<b>&'x'.png" in parsed.text
    assert parsed.text.count("Infrared query (by its folder), found among the visible images") == 2
    assert "a list of leads, not an identification" in parsed.text


def test_what_the_colours_leave_uncertain_is_said(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    unsorted = tmp_path / "unsorted"
    unsorted.mkdir()
    for i, file in enumerate(sorted(folder.rglob("*.bmp"))):
        shutil.copyfile(file, unsorted / f"{i}.bmp")
    Image.new("RGB", (24, 48), (100, 112, 108)).save(unsorted / "pale.png")
    query = next((folder / "Thermal/1").iterdir())
    assert search(unsorted, model, "--query", query) == 0
    err = capsys.readouterr().err
    assert "25 images, 12 visible, 13 infrared (modality: 24 by its colours, 1 by its colours, uncertain)" in err
    assert "state --gallery-modality" in err
    assert search(unsorted, model, "--query", query, "--gallery-modality", "visible") == 0
    assert "25 visible, 0 infrared (modality: 25 as stated)" in capsys.readouterr().err


def test_mistakes_end_with_a_word_and_status_1(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert search(folder, model, "--query", tmp_path / "absent.png") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/absent.png: no such image; see that the name"), "before the work"
    with pytest.raises(SystemExit):
        search(folder, model, "--query", tmp_path / "absent.png", "--top", "0")
    assert "--top: found '0', expected a number of 1 or more" in capsys.readouterr().err


def test_one_result_in_a_gallery_of_one(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    query, image = (sorted((folder / name).rglob("*.bmp"))[0] for name in ("Thermal", "Visible"))
    (tmp_path / "one/visible").mkdir(parents=True)
    shutil.copyfile(image, tmp_path / "one/visible/only.bmp")
    for top in ("1", "10"):
        for method in ("exact", "index"):
            assert search(tmp_path / "one", model, "--query", query, "--top", top, "--method", method) == 0
            (line,) = capsys.readouterr().out.splitlines()[1:]
            assert line.endswith("one/visible/only.bmp")


def test_a_query_whose_name_is_not_utf_8_is_on_the_page(folder: Path, model: Path, tmp_path: Path) -> None:
    image = sorted((folder / "Thermal").rglob("*.bmp"))[0]
    query = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.bmp")
    shutil.copyfile(image, query)
    assert search(folder, model, "--query", query, "--query-modality", "infrared", "--out", tmp_path / "x.html") == 0
    assert "caf\\xe9.bmp" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cache", "{0}/file"], "{0}/file: a file; expected a folder to write to"),
        (["--out", "{0}/file/x.html"], "{0}/file: a file; expected a folder to write to"),
        (["--out", "{0}"], "{0}: a folder; expected a file to write"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_embedded(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], said: str
) -> None:
    (tmp_path / "file").touch()
    query = sorted((folder / "Thermal").rglob("*.bmp"))[0]
    assert search(folder, model, "--query", query, *(word.format(tmp_path) for word in arguments)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {said.format(tmp_path)}")
    assert not (tmp_path / "cache").exists()
