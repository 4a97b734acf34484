"""``exp/rand_perm_cam.mat`` of SYSU-MM01: the official gallery draws (Wu et al., ICCV 2017).

It holds a 6 x 1 cell array, one cell a camera, of cell arrays, one cell an identity, of 10 x N matrices: row t is the
order in which trial t takes the N images of that identity and camera, numbered from 1. Cells may be empty.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from msclnet.core.errors import DataError

PERMUTATIONS = "rand_perm_cam.mat"
VARIABLE = "rand_perm_cam"
DRAWS = 10
HEADER = b"MATLAB 5.0 MAT-file".ljust(116)
SOURCE = "the evaluation folder of https://github.com/wuancong/SYSU-MM01 has it"

Permutations = dict[tuple[int, int], np.ndarray]  # (camera, identity) -> int64 [10, N]


def load_permutations(path: Path) -> Permutations:
    """The permutations of every camera and identity that has images; nothing in the file is executed.

    Raises DataError when the file is absent or not of the form above.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; the official protocol draws its galleries from it: copy it there ({SOURCE}), or "
            "choose the community protocol"
        )
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(f"{path}: reading it needs SciPy, which is not installed; pip install scipy") from None
    try:
        cells = {
            (camera, identity): np.asarray(cell).astype(np.int64, casting="safe")
            for camera, identities in enumerate(loadmat(path)[VARIABLE].ravel(), start=1)
            for identity, cell in enumerate(np.asarray(identities).ravel(), start=1)
            if np.size(cell)
        }
    except Exception as error:  # SciPy names a damaged file by a dozen exception types
        raise DataError(f"{path}: not a readable {VARIABLE} ({error!r}); copy it again ({SOURCE})") from error
    for (camera, identity), cell in cells.items():
        if cell.ndim != 2 or len(cell) != DRAWS or (np.sort(cell) != np.arange(1, cell.shape[1] + 1)).any():
            raise DataError(
                f"{path}: camera {camera}, identity {identity}: {cell.shape} numbers up to {cell.max()}, expected "
                f"{DRAWS} permutations of 1..N; copy it again ({SOURCE})"
            )
    return cells


def save_permutations(path: Path, counts: Mapping[int, Mapping[int, int]], cameras: int, seed: tuple[int, ...]) -> None:
    """Writes draws for ``counts[identity][camera]`` images, in the real file's form."""
    from scipy.io import savemat

    rng = np.random.default_rng(seed)
    cells = np.empty((cameras, 1), object)
    for camera in range(1, cameras + 1):
        cells[camera - 1, 0] = of_camera = np.empty((max(counts), 1), object)
        for identity in range(1, max(counts) + 1):
            images = counts.get(identity, {}).get(camera, 0)
            numbers = np.tile(np.arange(1, images + 1, dtype=np.uint16), (DRAWS, 1))
            of_camera[identity - 1, 0] = rng.permuted(numbers, axis=1)
    content = io.BytesIO()
    savemat(content, {VARIABLE: cells}, do_compression=True)
    content.getbuffer()[: len(HEADER)] = HEADER  # in place of a text with today's date
    path.write_bytes(content.getvalue())
