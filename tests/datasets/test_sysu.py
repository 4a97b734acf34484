"""SYSU-MM01's reader: what it returns, and a message for everything that may be amiss."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.datasets.sysu import SYSU, load_permutations
from tests.datasets import trees


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return trees.sysu(tmp_path / "SYSU-MM01")


def failing(root: Path, *, real: bool = False) -> str:
    with pytest.raises(DataError) as error:
        SYSU().survey(root, real=real).require()
    return str(error.value)


def test_training_is_on_train_and_val_and_the_test_on_the_rest(root: Path) -> None:
    split = SYSU().survey(root, real=False).require()[1]
    assert {record.identity for record in split.train} == {1, 2, 3, 4}
    assert {record.identity for record in split.test} == {5, 6, 7}
    listed = {int(word) for word in (root / "exp/val_id.txt").read_text().split(",")}
    assert split.validation == tuple(record for record in split.train if record.identity in listed)
    assert split.validation
    for record in (*split.train, *split.test):
        camera = int(record.path[3])
        assert record.camera == camera
        assert record.modality is (Modality.INFRARED if camera in (3, 6) else Modality.VISIBLE)
    keys = [(record.identity, record.camera, record.path) for record in split.train]
    assert keys == sorted(keys)
    assert len(split.train) + len(split.test) == len(list(root.glob("cam*/*/*.jpg")))


def test_strays_and_upper_case_extensions_are_handled(root: Path) -> None:
    before = SYSU().survey(root, real=False).require()[1]
    folder = next(path for path in sorted(root.glob("cam3/*")))
    for stray in ("Thumbs.db", ".DS_Store", "._0001.jpg"):
        (folder / stray).touch()
    assert SYSU().survey(root, real=False).require()[1] == before
    first = folder / "0001.jpg"
    first.rename(folder / "0001.JPG")
    split = SYSU().survey(root, real=False).require()[1]
    assert str((folder / "0001.JPG").relative_to(root)) in {record.path for record in (*split.train, *split.test)}


def test_an_absent_root_and_a_missing_camera_are_named(root: Path, tmp_path: Path) -> None:
    assert "no such folder; set data.sysu.root" in failing(tmp_path / "none")
    shutil.rmtree(root / "cam4")
    assert f"{root}: has no cam4" in failing(root)


def test_a_list_that_is_no_list_is_shown(root: Path) -> None:
    (root / "exp/val_id.txt").write_text("4,four\n")
    assert f"{root / 'exp/val_id.txt'}: 'four' is no identity; expected integers" in failing(root)
    (root / "exp/val_id.txt").unlink()
    assert f"{root / 'exp/val_id.txt'}: no such file" in failing(root)


def test_lists_that_overlap_are_refused(root: Path) -> None:
    (root / "exp/test_id.txt").write_text("4,5\n")
    assert "exp/val_id.txt and exp/test_id.txt share the identities 4" in failing(root)


def test_a_training_identity_with_one_modality_is_named(root: Path) -> None:
    for camera in (3, 6):
        shutil.rmtree(root / f"cam{camera}/0002", ignore_errors=True)
    assert "training identity 0002 has no infrared image in cam3, cam6; expected both" in failing(root)


def test_the_real_sets_counts_are_asked_for(root: Path) -> None:
    message = failing(root, real=True)
    assert "4 training identities, expected 395" in message
    assert "query images, expected 3803" in message


def problems(root: Path) -> list[str]:
    return SYSU().survey(root, real=False).problems


def test_what_the_official_protocol_needs_is_checked_with_the_set(root: Path) -> None:
    """Before anything is trained: the file is whole, and draws from exactly the images that are."""
    assert problems(root) == []
    folder = next(path for path in sorted(root.glob("cam[1245]/000[567]")) if len(list(path.iterdir())) == 2)
    (folder / "0002.jpg").unlink()
    camera, identity = int(folder.parent.name[3]), int(folder.name)
    assert problems(root) == [
        f"{root / 'exp/rand_perm_cam.mat'}: camera {camera}, identity {identity}: draws from 2 images, expected the 1 "
        "that are there; copy the file and the images from one archive"
    ]
    (root / "exp/rand_perm_cam.mat").write_bytes(b"MATLAB")
    assert "not a readable rand_perm_cam" in problems(root)[0]
    (root / "exp/rand_perm_cam.mat").unlink()
    assert problems(root) == [], "a set without it is compared by the community's protocol"
    with pytest.raises(DataError, match="no such file; the official protocol draws its galleries from it"):
        load_permutations(root)
