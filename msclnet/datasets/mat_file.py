"""MATLAB's files, read in a process of their own: SciPy can end by SIGSEGV, or fill the memory, over a damaged one."""

from __future__ import annotations

import importlib.util
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from msclnet.core.errors import DataError
from msclnet.core.files import open_regular

MEMORY = 4 * 2**30  # bytes that the reading may take
PATIENCE = 120.0  # seconds


class Unreadable(Exception):
    """A file is damaged, or has not what is looked for."""


def read_mat(path: Path, name: str) -> dict[tuple[int, ...], np.ndarray]:
    """The numbers of a variable; nothing in the file is executed, and no damage to it is any to the caller.

    Args:
        path: the file.
        name: the variable: an array of numbers, or a cell array, which may hold others.

    Returns:
        Each array by the numbers, from 0, of the cells that it lies in, the outermost first: ``()`` where it lies in
        none. A cell array's cells are counted along its last dimension first.

    Raises:
        DataError: SciPy is not installed, or the file is no regular one.
        Unreadable: the file is damaged, or has no such variable.
    """
    return _read(path, [name])[name]


def read_variables(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """As ``read_mat``, several at once.

    Args:
        path: the file.
        names: the variables to look for, of numbers or of words.

    Returns:
        Each that the file has, by its name; those that are cell arrays are left out.

    Raises:
        DataError: SciPy is not installed, or the file is no regular one.
        Unreadable: the file is damaged, or has none of them; then it says what the file has.
    """
    return {name: cells[()] for name, cells in _read(path, names).items() if () in cells}


def _read(path: Path, names: Sequence[str]) -> dict[str, dict[tuple[int, ...], np.ndarray]]:
    """The cells of each variable that there is."""
    if importlib.util.find_spec("scipy") is None:
        raise DataError(f"{path}: reading it needs SciPy, which is not installed; pip install scipy")
    open_regular(path).close()  # no pipe, which would be waited for
    places = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "msclnet.datasets.mat_file", str(path.absolute()), *names]
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"no end of it in {PATIENCE:.0f} s") from None
    if done.returncode < 0:
        raise Unreadable(f"SciPy ended by {signal.Signals(-done.returncode).name} over it")
    if done.returncode:
        raise Unreadable(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    found: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
        for key in arrays.files:
            name, *place = key.split("/")
            found.setdefault(name, {})[tuple(map(int, place))] = arrays[key]
    return found


def _leaves(value: np.ndarray, place: str) -> Iterator[tuple[str, np.ndarray]]:
    if value.dtype != object:
        yield place, value
        return
    for number, cell in enumerate(value.ravel()):
        yield from _leaves(np.asarray(cell), f"{place}/{number}")


def main() -> None:
    """The process of its own: the arrays go to stdout as .npz."""
    from scipy.io import loadmat, whosmat

    limit = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MEMORY if limit == resource.RLIM_INFINITY else min(MEMORY, limit)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path, *names = sys.argv[1:]
    try:
        loaded = loadmat(path, variable_names=names)
        arrays = dict(leaf for name in names if name in loaded for leaf in _leaves(loaded[name], name))
        if not loaded.keys() & set(names):
            has = ", ".join(name for name, *_ in whosmat(path))
            sys.exit(f"it has {has or 'no variable'}, none of {', '.join(names)}")
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
    except Exception as error:  # SciPy names a damaged file by a dozen exception types
        sys.exit(repr(error))
    sys.stdout.buffer.write(content.getbuffer())


if __name__ == "__main__":
    main()
