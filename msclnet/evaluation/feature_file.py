"""``features.npz``, what an evaluation reads: written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from msclnet.core.archive import require_plausible
from msclnet.core.errors import DataError, SpoiledError, reason
from msclnet.core.file_kind import kind_of
from msclnet.core.files import atomic_write
from msclnet.core.types import Features

REMEDY = "extract the features again"
TYPES: dict[str, type[np.generic]] = {
    "bn": np.float32,
    "pooled": np.float32,
    "identities": np.int64,
    "cameras": np.int64,
    "modality": np.int64,
    "paths": np.str_,
    "split": np.int64,
    "flip": np.bool_,
}
ANYBODYS: dict[str, Any] = {
    "features": np.floating,
    "identities": np.integer,
    "cameras": np.integer,
    "modality": np.integer,
    "paths": np.str_,
}
MATRICES, SCALARS = ("bn", "pooled", "features"), ("split", "flip")  # the other arrays are vectors
UNIT = 1e-3  # how far from 1 the length of a feature may be: beyond it the product of two is no cosine


def save_features(path: Path, features: Features, split: int) -> None:
    """Writes the arrays of ``features`` and the scalar ``split``; the same features give the same bytes."""
    values = {**vars(features), "split": split}
    arrays = {name: np.asarray(values[name], dtype) for name, dtype in TYPES.items()}
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)  # dates every member 1980-01-01


def load_features(path: Path) -> tuple[Features, int]:
    """The features in ``path`` and the split whose test images they are; nothing in the file is executed.

    Raises DataError when the file is absent or damaged, an array is missing, of another type or length, or a feature
    is not finite or not of unit length.
    """
    arrays = _read(path, TYPES)
    for name in ("bn", "pooled"):
        lengths = np.linalg.norm(arrays[name], axis=1)
        if bad := np.flatnonzero(~(np.abs(lengths - 1) <= UNIT)).tolist():  # NaN is bad, too
            raise SpoiledError(
                f"{path}: {name} has {len(bad)} rows that are not of unit length, the first of length "
                f"{lengths[bad[0]]:.4g} ({arrays['paths'][bad[0]]}); expected finite rows of length 1; {REMEDY}",
                path,
            )
    split, flip = int(arrays.pop("split")), bool(arrays.pop("flip"))
    return Features(**arrays, flip=flip), split


def load_anybodys(path: Path, feature: str = "bn") -> dict[str, np.ndarray]:
    """The arrays that ``msclnet.evaluate`` takes, of a file of any model: those of ``ANYBODYS``.

    Of a file of this project, which holds two features, ``feature`` says which: ``bn`` or ``pooled``. Raises DataError
    as ``load_features`` does, except that the features' lengths are free.
    """
    with _opened(path) as file:
        own = "features" not in file and "bn" in file
    arrays = _read(path, TYPES if own else ANYBODYS)
    return {"features": arrays[feature]} | {name: arrays[name] for name in list(ANYBODYS)[1:]} if own else arrays


def load_split(path: Path, split: int) -> Features:
    """As ``load_features``; raises DataError when the file is of another split than the one asked for."""
    features, found = load_features(path)
    if found != split:
        raise DataError(f"{path}: features of split {found}, expected split {split}; {REMEDY} with that split's model")
    return features


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """The file, nothing in which is executed; DataError when it is absent, or damaged in what is read of it."""
    if not path.is_file():
        raise DataError(f"{path}: no such feature file; {REMEDY}")
    try:
        require_plausible(path, path.stat().st_size)
        with np.load(path, allow_pickle=False) as file:
            yield file
    except DataError:
        raise
    except Exception as error:  # numpy and zipfile name a damaged file by half a dozen exception types
        raise SpoiledError(
            f"{path}: {kind_of(path)}, not a readable .npz of features ({reason(error)}); {REMEDY}", path
        ) from error


def _read(path: Path, types: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of ``types``, each with as many rows as there are paths."""
    with _opened(path) as file:
        if missing := [name for name in types if name not in file]:
            raise SpoiledError(f"{path}: has no {', '.join(missing)}; expected {', '.join(types)}; {REMEDY}", path)
        arrays = {name: file[name] for name in types}
    images = len(arrays["paths"]) if arrays["paths"].ndim else 0
    for name, array in arrays.items():
        shape = () if name in SCALARS else (images, *array.shape[-1:]) if name in MATRICES else (images,)
        if array.shape != shape or not np.issubdtype(array.dtype, types[name]):
            raise SpoiledError(
                f"{path}: {name} is {array.dtype} of shape {list(array.shape)}; expected {types[name].__name__} of "
                f"shape {list(shape)}, a row for each of {images} paths; {REMEDY}",
                path,
            )
    return arrays
