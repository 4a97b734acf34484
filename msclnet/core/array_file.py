"""Arrays on disk that are written through memory: their room is taken first, so that a full disk is an error in words.

A page of a mapped file for which the disk has no room ends its process with SIGBUS, without a message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from msclnet.core.files import allocate


def create(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A new .npy file, whole on the disk, of zeros.

    Args:
        path: the file, in a folder that exists; one that is there is overwritten.
        dtype: of the array.
        shape: of the array.

    Returns:
        The array, to be written to.

    Raises:
        StorageError: the disk has no room for it.
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        _write_header(file, np.dtype(dtype), shape)
        file.flush()
        allocate(path, file.tell() + math.prod(shape) * np.dtype(dtype).itemsize)
    return open_to_write(path)


def open_to_write(path: Path) -> np.memmap:
    """The array in a .npy file that ``create`` made."""
    return np.lib.format.open_memmap(path, "r+")


def keep_rows(path: Path, rows: Sequence[int], block: int) -> None:
    """Leaves only some rows in a .npy file, in place: it takes no room beside the file's own.

    Args:
        path: the file.
        rows: those to keep, ascending, one at least.
        block: so many are moved at once.
    """
    array = open_to_write(path)
    kept = np.asarray(rows)
    for start in range(0, len(kept), block):  # downwards only: no row is overwritten before it was moved
        some = kept[start : start + block]
        array[start : start + len(some)] = array[some]
    dtype, shape, offset = array.dtype, (len(kept), *array.shape[1:]), array.offset
    array.flush()
    del array
    with path.open("rb+") as file:
        _write_header(file, dtype, shape)
        assert file.tell() == offset, "a header keeps room for any number of rows"
        file.truncate(offset + math.prod(shape) * dtype.itemsize)


def _write_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
