"""Arrays written through memory have their room on the disk before anything is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from msclnet.core import array_file
from msclnet.core.errors import StorageError

MIB = 2**20


def test_the_bytes_are_numpys_own(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    array_file.create(tmp_path / "a.npy", np.uint8, array.shape)[:] = array
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_the_room_is_taken_at_once(tmp_path: Path) -> None:
    array_file.create(tmp_path / "a.npy", np.uint8, (4, MIB))
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 4 * MIB, "a sparse file has no room of its own"


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_promises_nothing_is_written_to(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    array = array_file.create(tmp_path / "a.npy", np.uint8, (3, MIB - 7))
    assert not array.any()
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 3 * (MIB - 7)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_names_the_folder_and_what_is_needed_and_free(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(StorageError, match=rf"^{tmp_path}: 3 MiB are needed there, \d+ MiB are free; free some"):
        array_file.create(tmp_path / "a.npy", np.uint8, (2, MIB))


@pytest.mark.parametrize("rows", [[0], [9], [0, 1, 5, 8], list(range(10))])
def test_rows_are_left_out_in_place(tmp_path: Path, rows: list[int]) -> None:
    array = np.random.default_rng(0).integers(0, 256, (10, 5, 3), np.uint8)
    array_file.create(tmp_path / "a.npy", np.uint8, array.shape)[:] = array
    before = (tmp_path / "a.npy").stat().st_ino
    array_file.keep_rows(tmp_path / "a.npy", rows, block=4)
    np.save(tmp_path / "b.npy", array[rows])
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert (tmp_path / "a.npy").stat().st_ino == before, "the lock is on the file there"
