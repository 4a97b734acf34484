"""RegDB's reader: what it returns, and a message for everything that may be amiss."""

from __future__ import annotations

from pathlib import Path

import pytest

from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.datasets.regdb import RegDB
from tests.datasets import trees


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return trees.regdb(tmp_path / "RegDB")


def test_a_split_has_the_files_lines_in_their_order(root: Path) -> None:
    splits = RegDB().survey(root, (1, 2), real=False).require()
    assert list(splits) == [1, 2]
    lines = (root / "idx/test_thermal_2.txt").read_text().split("\n")
    paths = [line.split(" ")[0] for line in lines if line.strip()]
    assert [record.path for record in splits[2].test if record.modality is Modality.INFRARED] == paths
    for record in splits[1].train:
        assert record.identity == int(record.path.split("/")[1])
        assert record.camera == {Modality.VISIBLE: 1, Modality.INFRARED: 2}[record.modality]
    assert RegDB().survey(root, (1, 2), real=False).counts == {
        "identities": 6,
        "visible images": 12,
        "thermal images": 12,
        "lines of the shortest index file": 6,
        "lines of the longest index file": 6,
    }


def test_lf_lines_and_blank_ones_are_fine(root: Path) -> None:
    path = root / "idx/train_visible_1.txt"
    before = RegDB().survey(root, (1,), real=False).require()
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n") + b"\n\n")
    assert RegDB().survey(root, (1,), real=False).require() == before


def failing(root: Path, *, real: bool = False) -> str:
    with pytest.raises(DataError) as error:
        RegDB().survey(root, (1,), real=real).require()
    return str(error.value)


def test_an_absent_root_names_the_key(tmp_path: Path) -> None:
    assert failing(tmp_path / "none") == (
        f"{tmp_path / 'none'}: no such folder; set data.regdb.root to the folder that holds Visible, Thermal, idx"
    )


def test_a_root_one_folder_too_high_names_the_right_one(root: Path) -> None:
    message = failing(root.parent)
    assert "has no Visible, Thermal, idx" in message
    assert f"set data.regdb.root to {root}" in message


@pytest.mark.parametrize(
    "line", ["Visible/1/x_1.bmp", "Visible/1/x_2.bmp 0", "Thermal/1/x_1.bmp 0", "Visible/1/x_1.bmp zero", "\x00 0"]
)
def test_a_malformed_line_is_shown_with_its_number(root: Path, line: str) -> None:
    path = root / "idx/train_visible_1.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]))
    message = failing(root)
    assert f"{path}, line 2: {line!r}; expected 'Visible/<identity>/<name>_<identity>.bmp <label>'" in message


def test_a_missing_image_is_named(root: Path) -> None:
    image = next((root / "Visible").rglob("*.bmp"))
    image.unlink()
    assert f"{image} does not exist; copy it from the set's archive" in failing(root)


def test_a_missing_index_is_named(root: Path) -> None:
    (root / "idx/test_thermal_1.txt").unlink()
    assert f"{root / 'idx/test_thermal_1.txt'}: no such file" in failing(root)


def test_an_identity_with_one_modality_is_named(root: Path) -> None:
    path = root / "idx/train_thermal_1.txt"
    lines = path.read_text().splitlines()
    identity = lines[0].split("/")[1]
    path.write_text("\n".join(line for line in lines if f"/{identity}/" not in line))
    assert f"identity {identity} has visible images only; expected both modalities" in failing(root)


def test_a_label_for_two_people_is_refused(root: Path) -> None:
    trees.edit(root / "idx/train_visible_1.txt", ".bmp 1\r\n", ".bmp 0\r\n")
    message = failing(root)
    assert "labels ['0'] stand for several identities" in message


def test_halves_that_overlap_are_refused(root: Path) -> None:
    for name in ("visible", "thermal"):
        (root / f"idx/test_{name}_1.txt").write_bytes((root / f"idx/train_{name}_1.txt").read_bytes())
    assert "are in train and in test; expected disjoint halves" in failing(root)


def test_the_real_sets_counts_are_asked_for(root: Path) -> None:
    message = failing(root, real=True)
    assert "train_visible_1.txt: 6 lines, expected 2060; restore the file" in message
    assert "6 identities, expected 412" in message


def test_problems_are_listed_up_to_twenty(root: Path) -> None:
    path = root / "idx/train_visible_1.txt"
    path.write_text("?\n" * 30)
    message = failing(root)
    assert message.count(", line ") == 20
    assert message.endswith("more")
