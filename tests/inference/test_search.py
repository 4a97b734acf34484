"""The command and its page."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from msclnet.cli import main
from msclnet.core import torch_file
from msclnet.model.files import load_model


class Parsed(HTMLParser):
    """Addresses, pictures and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.pictures: list[Image.Image] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        for name, value in attrs:
            if name == "href":
                self.links.append(str(value))
            elif name in ("src", "srcset"):
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
    assert all(picture.width <= 320 and picture.height <= 512 for picture in parsed.pictures)
    greys = [picture.convert("L").getpixel((5, 5)) for picture in parsed.pictures if picture.height == 512]
    assert greys == [pytest.approx(40_000 >> 8, abs=3)] * 2, "16 bits are shown as they are seen by the model"
    assert "Visible/<b>&'x'.png" in parsed.text
    originals = {(page.parent / urllib.parse.unquote(link)).resolve() for link in parsed.links}
    assert len(parsed.links) == 2 * (1 + 13)
    assert originals == {*queries, *(folder / "Visible").rglob("*.bmp"), strange}, "each picture leads to its file"
    assert "The model learned drawn people, none of whom exists" in parsed.text
    assert parsed.text.count("Infrared query (by its folder), found among the visible images") == 2
    assert "a list of leads, not an identification" in parsed.text


def test_files_of_other_kinds_are_counted(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """A telephone's photographs are not searched, and that is said."""
    phone = tmp_path / "phone"
    (phone / "visible").mkdir(parents=True)
    for name in ("a.HEIC", "b.heic", "c.avif", "notes", ".hidden.heic"):
        (phone / "visible" / name).touch()
    query = next((folder / "Thermal/1").iterdir())
    assert search(phone, model, "--query", query) == 1
    error = capsys.readouterr().err
    assert "phone: holds no image; expected files of .bmp, .jpeg" in error
    assert "it has 2 .heic, 1 .avif, 1 without suffix: convert images among them" in error
    shutil.copyfile(next((folder / "Visible/1").iterdir()), phone / "visible/d.bmp")
    page = tmp_path / "page.html"
    assert search(phone, model, "--query", query, "--out", page) == 0
    said = "4 files of other kinds passed over (2 .heic, 1 .avif, 1 without suffix)"
    assert f"{said}; convert images among them to JPEG or PNG" in capsys.readouterr().err
    assert said in Parsed(page.read_text()).text


def test_a_folder_of_queries(folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    queries = folder / "Thermal"
    (queries / "1/broken.png").write_bytes(b"no image")
    single = sorted((folder / "Visible").rglob("*.bmp"))[0]
    assert search(folder / "Visible", model, "--query", queries, single, "--top", "1", "--among", "visible") == 0
    out, err = capsys.readouterr()
    heads = [line.partition(": ")[0] for line in out.splitlines() if not line.startswith(" ") and line]
    assert heads == [str(path) for path in (*sorted(queries.rglob("*.bmp")), single)]
    assert f"queries {queries}: 12 images\n1 unreadable, left out:\n{queries}/1/broken.png: not a readable" in err
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/x.png").write_bytes(b"no image")
    assert search(folder, model, "--query", tmp_path / "bad") == 1
    assert f"{tmp_path}/bad: none of its 1 images can be read; the first: " in capsys.readouterr().err
    assert search(folder, model, "--query", tmp_path / "bad", "--top", "1") == 1
    (tmp_path / "bad/x.png").unlink()
    assert search(folder, model, "--query", tmp_path / "bad") == 1
    assert f"{tmp_path}/bad: holds no image" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "search", "export"])
def test_any_other_file_as_a_model_is_called_what_it_is(
    command: str, folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Never answered with the advice to delete it."""
    found = load_model(model)
    torch_file.save(tmp_path / "checkpoint-7.pt", {"optimiser": {}, "step": 7, "network": found.state_dict()})
    (tmp_path / "README.md").write_text("# MSCLNet\n\nText.")
    np.savez(tmp_path / "features.npz", bn=1, pooled=1, identities=1, cameras=1, modality=1)
    torch.save({"net": {"a": torch.ones(1)}}, tmp_path / "agw.t")
    (tmp_path / "cut.pt").write_bytes(model.read_bytes()[:5000])
    flipped = bytearray(model.read_bytes())
    flipped[5000] ^= 1
    (tmp_path / "flipped.pt").write_bytes(flipped)
    expected = {
        "README.md": "a text ('# MSCLNet'); expected a checkpoint of this project: the model.pt",
        "features.npz": "a file of features (.npz of bn, pooled, identities, cameras, modality); expected a checkpoint",
        "agw.t": "a file of torch.save without this project's sha256 at its end; expected a checkpoint",
        "cut.pt": "a ZIP archive, as torch and NumPy write, that is cut off or damaged; expected a checkpoint",
        "flipped.pt": "a damaged checkpoint (its sha256 is not the one it was written with); copy it again",
    }
    if command != "info":
        expected["checkpoint-7.pt"] = "a checkpoint of an unfinished training, of step 7; expected the model.pt"
    for name, words in expected.items():
        path = str(tmp_path / name)
        arguments = {
            "info": ["info", path],
            "export": ["export", path, "--format", "safetensors", "--out", str(tmp_path / "x.safetensors")],
            "search": ["search", "--model", path, "--gallery", str(folder), "--query", str(folder / "Thermal/1")],
        }
        assert main(arguments[command]) == 1
        error = capsys.readouterr().err
        assert f"error: {path}: {words}" in error
        assert not re.search("delete|pickle|weights_only", error)


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
    assert "1 of uncertain modality; state --gallery-modality, or sort them into folders visible/ and" in err
    assert "\npale.png\n" in err
    page = tmp_path / "page.html"
    assert search(unsorted, model, "--query", query, "--among", "infrared", "--top", "13", "--out", page) == 0
    assert re.search(r"\n +\d+ +\S+  \S+/pale\.png  \(modality uncertain\)\n", capsys.readouterr().out)
    parsed = Parsed(page.read_text())
    assert parsed.text.count("modality uncertain") == 1
    assert "1 images whose modality their colours left uncertainpale.png" in parsed.text
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
