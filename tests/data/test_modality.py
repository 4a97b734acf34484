"""The modality of an image: by its folder, by its colours, and how sure that is."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from msclnet.core.types import Modality
from msclnet.data.images import decode
from msclnet.data.modality import COLOUR, GREY, by_folder, colourfulness, decide
from tests.datasets import trees

VISIBLE, INFRARED = Modality


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("RegDB/Visible/7/a.bmp", VISIBLE),
        ("RegDB/Thermal/7/a.bmp", INFRARED),
        ("sysu/cam2/0001/0001.jpg", VISIBLE),
        ("sysu/cam3/0001/0001.jpg", INFRARED),
        ("sysu/cam6/0001/0001.jpg", INFRARED),
        ("test_nir/a.png", INFRARED),
        ("RGB-images/a.png", VISIBLE),
        ("thermal/rgb/a.png", VISIBLE),  # the innermost
        ("ir/rgb_and_ir/a.png", INFRARED),  # the inner one says both
        ("rgb_and_ir/a.png", None),
        ("circle/visibility/a.png", None),  # words, not letters within them
        ("photos/ir.png", None),  # the file's own name does not count
        ("cam33/a.png", None),
    ],
)
def test_a_folder_names_the_modality(path: str, expected: Modality | None) -> None:
    assert by_folder(PurePath(path)) is expected


def test_what_is_stated_goes_before_the_folder_and_the_folder_before_the_colours() -> None:
    path = PurePath("thermal/a.png")
    assert decide(path, 100.0, VISIBLE) == (VISIBLE, "flag")
    assert decide(path, 100.0) == (INFRARED, "folder")
    assert decide(PurePath("a.png"), 100.0) == (VISIBLE, "colour")


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        (0, (INFRARED, "colour")),
        (GREY, (INFRARED, "colour")),
        (GREY + 1, (INFRARED, "uncertain")),
        (COLOUR - 1, (VISIBLE, "uncertain")),
        (COLOUR, (VISIBLE, "colour")),
    ],
)
def test_between_grey_and_colour_the_decision_is_called_uncertain(colour: float, expected: tuple) -> None:
    assert decide(PurePath("photos/a.png"), colour) == expected


def test_a_small_patch_of_colour_is_seen_and_compression_is_not(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (64, 32, 1), np.uint8).repeat(3, 2)
    assert colourfulness(grey) == 0
    patched = grey.copy()
    patched[:10, :10] = (200, 150, 120)  # 100 of 2048 pixels: not yet the 95th percentile
    assert colourfulness(patched) == 0
    patched[:10, :11] = (200, 150, 120)
    assert colourfulness(patched) == 80
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=60)
    assert colourfulness(decode(tmp_path / "grey.jpg", 64, 32)) <= GREY


def test_the_colours_of_drawn_people_tell_every_image(tmp_path: Path) -> None:
    for root, folders in (
        (trees.regdb(tmp_path / "regdb"), {"Visible": VISIBLE, "Thermal": INFRARED}),
        (trees.sysu(tmp_path / "sysu"), {"cam1": VISIBLE, "cam2": VISIBLE, "cam3": INFRARED, "cam6": INFRARED}),
    ):
        for folder, modality in folders.items():
            files = [f for f in (root / folder).rglob("*") if f.suffix in (".bmp", ".jpg")]
            assert files
            for file in files:
                colour = colourfulness(decode(file, 72, 36))
                assert decide(PurePath("unnamed/x"), colour) == (modality, "colour"), file
