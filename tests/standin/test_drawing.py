"""The drawn people: exact layouts, the same bytes on any number of workers, colour in the visible modality only."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msclnet.core.errors import ConfigError
from tests.datasets import trees


def digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()


@pytest.fixture(scope="module")
def regdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trees.regdb(tmp_path_factory.mktemp("drawn") / "regdb")


@pytest.fixture(scope="module")
def sysu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trees.sysu(tmp_path_factory.mktemp("drawn") / "sysu")


def index(root: Path, name: str) -> list[tuple[str, int]]:
    raw = (root / "idx" / name).read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n"), "lines end in CRLF"
    return [(path, int(label)) for path, label in (line.split(" ") for line in raw.decode().splitlines())]


def test_regdb_has_ten_different_splits_that_halve_the_identities(regdb: Path) -> None:
    halves = set()
    for split in range(1, 11):
        people = {}
        for half in ("train", "test"):
            for folder, name in (("Visible", "visible"), ("Thermal", "thermal")):
                lines = index(regdb, f"{half}_{name}_{split}.txt")
                assert [label for _, label in lines] == [0, 0, 1, 1, 2, 2]
                for path, _ in lines:
                    assert (regdb / path).is_file()
                    assert re.fullmatch(rf"{folder}/(\d+)/(fe)?male_(front|back)_[vt]_\d{{5}}_\1\.bmp", path)
                people.setdefault(half, []).append([int(path.split("/")[1]) for path, _ in lines])
        (visible, thermal), (test, _) = people["train"], people["test"]
        assert visible == thermal == sorted(visible)
        assert set(visible) | set(test) == set(range(1, 7))
        assert not set(visible) & set(test)
        halves.add(tuple(visible))
    assert len(halves) > 5, "six identities have twenty halves"


def test_regdb_images_are_small_bitmaps(regdb: Path) -> None:
    with Image.open(next((regdb / "Visible").rglob("*.bmp"))) as image:
        assert (image.format, image.size, image.mode) == ("BMP", (64, 128), "RGB")


def test_sysu_has_its_lists_cameras_and_varied_jpegs(sysu: Path) -> None:
    lists = {name: (sysu / f"exp/{name}_id.txt").read_text() for name in ("train", "val", "test", "available")}
    assert lists == {"train": "1,2,3\n", "val": "4\n", "test": "5,6,7\n", "available": "1,2,3,4,5,6,7\n"}
    paths = [path.relative_to(sysu) for path in sorted(sysu.glob("cam*/*/*"))]
    assert all(re.fullmatch(r"cam[1-6]/\d{4}/\d{4}\.jpg", str(path)) for path in paths)
    sizes = {Image.open(sysu / path).size for path in paths}
    assert len(sizes) > len(paths) / 2
    cameras = {identity: {int(str(p)[3]) for p in paths if p.parts[1] == f"{identity:04d}"} for identity in range(1, 8)}
    assert all(seen & {1, 2, 4, 5} and seen & {3, 6} for seen in cameras.values()), "both modalities"
    assert any(len(seen) < 6 for seen in cameras.values()), "not everyone in every camera"
    assert any(not seen & {1, 2} for identity, seen in cameras.items() if identity >= 5), "no match indoors"
    assert any(seen & {1, 2} for identity, seen in cameras.items() if identity >= 5)


@pytest.mark.parametrize("name", list(trees.TINY))
def test_workers_change_nothing_and_the_seed_everything(name: str, tmp_path: Path) -> None:
    one, two = trees.draw(name, tmp_path / "one"), trees.draw(name, tmp_path / "two", workers=2)
    assert digest(one) == digest(two)
    other = trees.draw(name, tmp_path / "other", seed=4)
    assert digest(other) != digest(one)


def channels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), int)


def test_colour_is_in_the_visible_modality_only(regdb: Path, sysu: Path) -> None:
    for path in (regdb / "Thermal").rglob("*.bmp"):
        assert np.ptp(channels(path), axis=2).max() == 0
    for path in (regdb / "Visible").rglob("*.bmp"):
        assert np.ptp(channels(path), axis=2).max() > 40
    for camera in (3, 6):
        for path in sysu.glob(f"cam{camera}/*/*.jpg"):
            assert np.ptp(channels(path), axis=2).max() <= 2, "up to JPEG's rounding"


def test_images_of_one_person_differ(regdb: Path) -> None:
    first, second, *_ = sorted((regdb / "Visible/1").iterdir())
    assert np.abs(channels(first) - channels(second)).mean() > 5


def test_an_odd_number_of_people_cannot_be_halved(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stand_in\.regdb\.identities: expected .* multiple of 2, found 7"):
        trees.regdb(tmp_path, identities=7)


@pytest.mark.parametrize("name", list(trees.TINY))
def test_a_stand_in_like_a_sets_lists_has_exactly_its_images(tmp_path: Path, name: str) -> None:
    """Of a set of another size, only its lists: the same paths, of other people."""
    lists = trees.draw(name, tmp_path / "set")
    images = {str(p.relative_to(lists)) for p in lists.rglob("*") if p.suffix in (".jpg", ".bmp")}
    for folder in lists.iterdir():
        if folder.is_dir() and folder.name not in ("idx", "exp"):
            shutil.rmtree(folder)
    again = trees.draw(name, tmp_path / "like", seed=9, like=str(lists))
    assert {str(p.relative_to(again)) for p in again.rglob("*") if p.suffix in (".jpg", ".bmp")} == images
    folder = "exp" if name == "sysu" else "idx"
    assert digest(again / folder) == digest(lists / folder)
    with pytest.raises(ConfigError, match=rf"stand_in\.{name}\.like: .* has no folder {folder}; name the folder of"):
        trees.draw(name, tmp_path / "none", like=str(tmp_path))
