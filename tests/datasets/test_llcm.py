"""LLCM's reader: what it returns, and a message for everything that may be amiss."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.datasets import llcm
from msclnet.datasets.llcm import LLCM
from tests.datasets import trees


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return trees.llcm(tmp_path / "LLCM")


def failing(root: Path, *, real: bool = False) -> str:
    with pytest.raises(DataError) as error:
        LLCM().survey(root, real=real).require()
    return str(error.value)


def test_a_split_has_the_files_lines_in_their_order(root: Path) -> None:
    found = LLCM().survey(root, real=False)
    split = found.require()[1]
    lines = [line.split(" ")[0] for line in (root / "idx/train_nir.txt").read_text().splitlines()]
    assert [record.path for record in split.train if record.modality is Modality.INFRARED] == lines
    lines = [line.split(" ")[0] for line in (root / "idx/test_vis.txt").read_text().splitlines()]
    tested = [record for record in split.test if record.modality is Modality.VISIBLE]
    assert [record.path.split("/")[-1] for record in tested] == [line.split("/")[-1] for line in lines]
    for record in (*split.train, *split.test):
        assert (root / record.path).is_file()
        match = re.fullmatch(r"(\d{4})_c(\d\d)_s\d+_f\d+_(vis|nir)\.jpg", record.path.split("/")[-1])
        assert (record.identity, record.camera) == (int(match[1]), int(match[2]))
        assert record.modality is (Modality.VISIBLE if match[3] == "vis" else Modality.INFRARED)
    for record in split.test:
        name = llcm.NAMES[record.modality]
        assert record.path.startswith(f"test_{name}/cam{record.camera}/{record.identity:04d}/")
    assert found.counts["training identities"] == 4
    assert found.counts["test identities"] == 3
    assert sum(count for name, count in found.counts.items() if "images" in name) == len(list(root.rglob("*.jpg")))


def test_crlf_and_blank_lines_are_fine(root: Path) -> None:
    before = LLCM().survey(root, real=False)
    for name in ("train_vis.txt", "test_id.txt"):
        path = root / "idx" / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert LLCM().survey(root, real=False) == before


def test_an_absent_root_and_a_missing_folder_are_named(root: Path, tmp_path: Path) -> None:
    assert "no such folder; set data.llcm.root to the folder that holds vis, nir, test_vis" in failing(
        tmp_path / "none"
    )
    assert f"it lies one folder deeper: set data.llcm.root to {root}" in failing(root.parent)
    shutil.rmtree(root / "test_nir")
    assert f"{root}: has no test_nir" in failing(root)


@pytest.mark.parametrize(
    "change", ["vis/0001/0002_c01_s1_f1_vis.jpg 0", "nir/0001/0001_c01_s1_f1_nir.jpg 0", "x", "\x00"]
)
def test_a_malformed_line_is_shown_with_its_number(root: Path, change: str) -> None:
    path = root / "idx/train_vis.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], change, *lines[2:]]))
    assert f"{path}, line 2: {change!r}; expected 'vis/<identity>/<identity>_c<camera>_<name>_vis.jpg" in failing(root)


def test_a_missing_image_is_named_where_it_should_lie(root: Path) -> None:
    image = next((root / "test_vis").rglob("*.jpg"))
    image.unlink()
    assert f"{image} does not exist; copy it from the set's archive" in failing(root)


def test_lists_that_contradict_one_another_are_named(root: Path) -> None:
    path = root / "idx/test_id.txt"
    whole = path.read_text()
    path.write_text(whole.strip() + ",9999\n")
    assert "identity 9999 is in no test_*.txt; expected the identities" in failing(root)
    first = whole.split(",")[0]
    path.write_text(whole.replace(f"{first},", ""))
    assert f"identity {first} is not in it; expected the identities" in failing(root)
    path.write_text(f"{first},{whole}")
    assert f"{path}: names the identity {int(first)} twice; expected each once" in failing(root)


def test_halves_that_overlap_and_one_modality_are_refused(root: Path) -> None:
    for name in ("vis", "nir"):
        train, test = (root / f"idx/{half}_{name}.txt" for half in ("train", "test"))
        train.write_text(train.read_text() + test.read_text())
    assert "share the identities" in "".join(LLCM().survey(root, real=False).problems)
    path = root / "idx/train_nir.txt"
    identity = path.read_text()[4:8]
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(f"nir/{identity}")))
    expected = f"identity {identity} has vis images only; expected both modalities"
    assert expected in "".join(LLCM().survey(root, real=False).problems)


def test_an_image_listed_twice_is_named(root: Path) -> None:
    path = root / "idx/test_nir.txt"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    assert f"{path}: lists test_nir/cam" in failing(root)


def test_the_real_sets_counts_are_asked_for(root: Path) -> None:
    message = failing(root, real=True)
    assert "4 training identities, expected 713" in message
    assert "test infrared images, expected 7166" in message
