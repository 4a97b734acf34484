"""The last step of `make demo`: a search among test people, and one page of all that the run made."""

from __future__ import annotations

import re
import runpy
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from msclnet import config as settings
from msclnet.core.errors import DataError
from msclnet.core.types import Features
from msclnet.report.demo_page import write_page
from tests.conftest import ROOT

DEMO = SimpleNamespace(**runpy.run_path(str(ROOT / "workflow/scripts/demo.py")))
SUMMARY = [
    {"data": "stand-in", "method": "agw", "feature": feature, "direction": "visible-to-infrared", "trials": "1"}
    | {"rank1": rank1, "rank1_std": "", "mAP": "12.00", "mAP_std": ""}
    for feature, rank1 in (("bn", "11.25"), ("pooled", "99.75"))
]


def features(*identities: int) -> Features:
    """Of each person a visible and an infrared image that are like each other, and like nobody else's."""
    own = np.eye(len(identities), dtype=np.float32)
    modality = np.repeat([0, 1], len(identities))
    return Features(
        identities=np.array([*identities, *identities]),
        cameras=modality + 1,
        modality=modality,
        paths=np.array([f"{kind}/{i}/x_{i}.bmp" for kind in ("Visible", "Thermal") for i in identities]),
        bn=np.concatenate([own, own]),
        pooled=np.concatenate([own, own]),
        flip=False,
    )


def test_the_query_is_the_first_test_image_whose_person_is_found() -> None:
    people = features(*range(11, 18))
    people.bn[7], people.bn[0] = people.bn[6], -people.bn[6]  # 11 is like 17 in infrared, and least like in daylight
    path, sentence = DEMO.choose(people)
    assert path == "Thermal/12/x_12.bmp"
    assert "6 of 7 infrared test images" in sentence


def test_a_model_that_finds_nobody_is_said_to() -> None:
    people = features(*range(11, 18))
    people.identities[7:] += 100
    with pytest.raises(DataError, match="none of 7 infrared test images"):
        DEMO.choose(people)


def test_the_photographs_are_the_test_images_alone(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for path in ("Visible/1/x_1.bmp", "Thermal/1/x_1.bmp", "Visible/9/x_9.bmp"):
        (images / path).parent.mkdir(parents=True, exist_ok=True)
        (images / path).write_text(path)
    for _ in range(2):  # a second run of the demo is no error
        DEMO.link_photos(features(1), images, tmp_path / "photos")
    found = {file.relative_to(tmp_path / "photos").as_posix() for file in (tmp_path / "photos").rglob("*.bmp")}
    assert found == {"Visible/1/x_1.bmp", "Thermal/1/x_1.bmp"}
    assert (tmp_path / "photos/Visible/1/x_1.bmp").read_text() == "Visible/1/x_1.bmp"


def test_the_page_has_the_table_the_lists_and_the_search(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "ranked.png")
    (tmp_path / "found.html").write_text('<p class="x">found & <b>shown</b></p>')
    page = tmp_path / "demo.html"
    write_page(page, "regdb", SUMMARY, tmp_path / "ranked.png", tmp_path / "found.html", "Who is on a < b?")
    text = page.read_text()
    assert "11.25" in text
    assert "99.75" not in text, "the headline's feature alone"
    assert "data:image/png;base64," in text
    assert "Who is on a &lt; b?" in text
    (search,) = re.findall(r'srcdoc="([^"]*)"', text)
    assert unescape(search) == (tmp_path / "found.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', text), "it needs no other file and no network"


def test_the_demo_is_the_default_recipe_on_one_split() -> None:
    files = [str(ROOT / "config/config.yaml"), str(ROOT / "config/demo.yaml")]
    demo, default = settings.load(*files), settings.load(files[0])
    assert (demo.run.sets, demo.run.name, settings.splits(demo, "regdb")) == (("regdb",), "demo", (1,))
    assert settings.train_job(demo, "regdb", "msclnet", 1) == settings.train_job(default, "regdb", "msclnet", 1)
