"""rand_perm_cam.mat: what is written comes back, and a message for what is amiss."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.datasets.sysu import SYSU, load_permutations, save_permutations
from tests.datasets import trees


def test_there_and_back(tmp_path: Path) -> None:
    counts = {1: {1: 3, 6: 300}, 4: {2: 1}}
    for name in ("one.mat", "two.mat"):
        save_permutations(tmp_path / name, counts, np.random.default_rng(0))
    assert (tmp_path / "one.mat").read_bytes() == (tmp_path / "two.mat").read_bytes()
    found = load_permutations(tmp_path / "one.mat")
    assert {place: cell.shape for place, cell in found.items()} == {(1, 1): (10, 3), (6, 1): (10, 300), (2, 4): (10, 1)}
    for cell in found.values():
        assert (np.sort(cell) == np.arange(1, cell.shape[1] + 1)).all()
    assert len({tuple(row) for row in found[6, 1].tolist()}) == 10


def test_a_stand_in_has_draws_for_each_of_its_images(tmp_path: Path) -> None:
    root = trees.sysu(tmp_path / "SYSU")
    split = SYSU().survey(root, real=False).require()[1]
    permutations = load_permutations(root / "exp/rand_perm_cam.mat")
    images = [(r.camera, r.identity) for r in (*split.train, *split.test)]
    assert {place: images.count(place) for place in images} == {p: c.shape[1] for p, c in permutations.items()}
    assert any(record.modality is Modality.VISIBLE for record in split.test)


def cells(matrix: np.ndarray) -> dict[str, np.ndarray]:
    inner, outer = np.empty((1, 1), object), np.empty((1, 1), object)
    inner[0, 0] = matrix
    outer[0, 0] = inner
    return {"rand_perm_cam": outer}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (cells(np.array([[1, 2]] * 9)), r"camera 1, identity 1: \(9, 2\) numbers up to 2, expected 10 permutations"),
        (cells(np.array([[1, 3]] * 10)), r"\(10, 2\) numbers up to 3, expected 10 permutations of 1\.\.N"),
        (cells(np.array([[0.5]] * 10)), "not a readable rand_perm_cam"),
        ({"other": np.ones(3)}, "not a readable rand_perm_cam .*copy it again"),
        (b"MATLAB 5.0 MAT-file, cut off", "not a readable rand_perm_cam"),
        (b"", "not a readable rand_perm_cam"),
    ],
)
def test_what_is_amiss_is_named(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "rand_perm_cam.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(DataError, match=message):
        load_permutations(path)


def test_damage_over_which_scipy_crashes_is_damage_to_the_file_alone(tmp_path: Path) -> None:
    """Bytes of which SciPy's reader ends by SIGSEGV, in a process of its own."""
    path = tmp_path / "rand_perm_cam.mat"
    inner, outer = np.empty((2, 1), object), np.empty((2, 1), object)
    for row, images in enumerate((3, 2)):
        inner[row, 0] = np.tile(np.arange(1, images + 1, dtype=np.uint16), (10, 1))
    outer[0, 0] = outer[1, 0] = inner
    savemat(path, {"rand_perm_cam": outer})
    whole, crashes = path.read_bytes(), 0
    for seed in (152, 166, 174):
        rng, content = np.random.default_rng(seed), bytearray(whole)
        content[rng.integers(128, len(whole))] = rng.integers(0, 256)
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=r"rand_perm_cam\.mat: not a readable rand_perm_cam .*copy it again"
        ) as caught:
            load_permutations(path)
        crashes += "SciPy ended by SIGSEGV over it" in str(caught.value)
    assert crashes, "these bytes crash SciPy no more: take others"


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rand_perm_cam.mat")
    with pytest.raises(DataError, match=r"no such file|a pipe"):
        load_permutations(tmp_path / "rand_perm_cam.mat")


def test_an_absent_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rand_perm_cam\.mat: no such file.*github\.com/wuancong/SYSU-MM01.*community"):
        load_permutations(tmp_path / "rand_perm_cam.mat")
