"""Features as other people's code stores them, made into the arrays that ``evaluate`` takes.

Three forms are read, told apart by their content. Q, G and N are numbers of images, D of channels.

- Two halves in one file: ``query_f`` [Q, D], ``query_label`` [Q], ``query_cam`` [Q], and ``gallery_f``,
  ``gallery_label``, ``gallery_cam`` of G. Such a ``.mat`` is written by layumi's Person_reID_baseline_pytorch, by what
  follows it for torchreid and fast-reid, and by the public AGW code for its t-SNE; an ``.npz`` may hold the same names.
- Two halves in a folder: ``query_f.npy``, ``query_label.npy`` and so on. The folder is named, or one of its two ``_f``.
- One array: ``NAME.npy`` [N, D] with ``NAME_label.npy``, ``NAME_cam.npy`` and ``NAME_modality.npy`` [N] beside it.

Which modality a half is of, the direction says; without a direction, each image's camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from msclnet.core.archive import require_plausible
from msclnet.core.errors import ConfigError, DataError, reason
from msclnet.core.file_kind import Kind, kind_of
from msclnet.core.types import Images, Modality
from msclnet.datasets.dataset import DataSet
from msclnet.datasets.mat_file import Unreadable, read_variables
from msclnet.datasets.protocol import DIRECTIONS
from msclnet.evaluation.feature_file import load_anybodys

HALVES = ("query", "gallery")
MATRIX = ("f", "feat", "feature")  # how a half's features are called
LABEL, CAMERA, MODALITY = "label", "cam", "modality"
HALVED = "expected query_f, query_label, query_cam, gallery_f, gallery_label and gallery_cam"
NAMES = [f"{half}_{part}" for half in HALVES for part in (*MATRIX, LABEL, CAMERA)]
EXPECTED = (
    "expected features: an .npz with features, identities, cameras, modality and paths; a .mat, an .npz or a folder of "
    ".npy with query_f, query_label, query_cam, gallery_f, gallery_label and gallery_cam; or NAME.npy with "
    "NAME_label.npy, NAME_cam.npy and NAME_modality.npy beside it"
)

Arrays = Mapping[str, np.ndarray]
T = TypeVar("T")


def load_features_of(
    path: Path, data_set: DataSet, direction: str | None = None, feature: str = "bn"
) -> dict[str, np.ndarray]:
    """The arrays that ``msclnet.evaluate`` takes, of a file of any of the forms above, or of this project.

    Args:
        path: the file, or the folder.
        data_set: by whose protocol they are to be scored: it says whether cameras are needed.
        direction: which modality asks, ``visible-to-infrared`` say; None for a set that has none, or whose files say
            the modality of each image.
        feature: of a file of this project, which holds two: ``bn`` or ``pooled``.

    Returns:
        ``features``, ``identities``, ``cameras``, ``modality`` and ``paths``. Where no paths are stored, they are the
            numbers of the rows.

    Raises:
        DataError: the path is absent or of another kind, or an array is missing, of another shape, or no number.
        ConfigError: nothing says which modality the queries are of.
    """
    if not path.exists():
        raise DataError(f"{path}: no such feature file; see that the name is right, or extract the features again")
    kind = kind_of(path)
    match kind.format:
        case "npz" if set(kind.names) & set(NAMES):
            return _of_halves(path, _npz(path), data_set, direction)
        case "npz":
            return load_anybodys(path, feature)
        case "mat":
            return _of_halves(path, _mat(path), data_set, direction)
        case "folder":
            return _of_halves(path, _folder(path, kind), data_set, direction)
        case "npy" if path.stem in NAMES:
            return _of_halves(path.parent, _folder(path.parent, kind), data_set, direction)
        case "npy":
            return _of_one(path, data_set)
    hint = ": save it by scipy.io.savemat, or in MATLAB with '-v7'" if kind.format == "hdf5" else ""
    raise DataError(f"{path}: {kind}; {EXPECTED}{hint}")


def _of_halves(path: Path, arrays: Arrays, data_set: DataSet, direction: str | None) -> dict[str, np.ndarray]:
    needed = [(half, part) for half in HALVES for part in (LABEL, *([CAMERA] if data_set.cameras else []))]
    matrices = {half: next((n for p in MATRIX if (n := f"{half}_{p}") in arrays), f"{half}_f") for half in HALVES}
    wanted = [*matrices.values(), *(f"{half}_{part}" for half, part in needed)]
    if missing := [name for name in wanted if name not in arrays]:
        raise DataError(f"{path}: has no {', '.join(missing)}; {HALVED}: write them, too")
    features = [_matrix(path, name, arrays[name]) for name in matrices.values()]
    if features[0].shape[1] != features[1].shape[1]:
        widths = " and ".join(f"{name} {values.shape[1]}" for name, values in zip(wanted, features, strict=False))
        raise DataError(f"{path}: channels differ, {widths}; expected features of one network: extract them again")
    counts = [len(values) for values in features]

    def joined(part: str) -> np.ndarray:
        vectors = (_vector(path, f"{h}_{part}", arrays[f"{h}_{part}"], n) for h, n in zip(HALVES, counts, strict=True))
        return np.concatenate(list(vectors))

    named = all(f"{half}_{CAMERA}" in arrays for half in HALVES)
    cameras = joined(CAMERA) if named else None
    asks = np.repeat([True, False], counts)
    if direction in DIRECTIONS:
        modality = np.where(asks, *DIRECTIONS[direction])
    elif (by_camera := _by_camera(path, data_set, cameras)) is not None:
        modality = by_camera
    else:
        raise ConfigError(
            f"direction: {path} does not say which modality its queries are of; name {' or '.join(DIRECTIONS)}"
        )
    rows = {
        "features": np.concatenate(features),
        "identities": joined(LABEL),
        "cameras": modality + 1 if cameras is None else cameras,
        "modality": modality.astype(np.int64),
        "paths": np.array(
            [f"{half} row {row:09d}" for half, n in zip(HALVES, counts, strict=True) for row in range(n)]
        ),
    }
    if direction not in DIRECTIONS:
        _require_queries(path, data_set, rows, asks)
    return rows


def _of_one(path: Path, data_set: DataSet) -> dict[str, np.ndarray]:
    """``NAME.npy`` and what lies beside it."""
    beside = {part: path.with_name(f"{path.stem}_{part}.npy") for part in (LABEL, CAMERA, MODALITY)}
    features = _matrix(path, path.name, _npy(path))
    if not beside[LABEL].exists():
        raise DataError(
            f"{path}: features of {len(features)} images, without their identities; expected "
            f"{', '.join(file.name for file in beside.values())} beside it, {len(features)} whole numbers each"
        )
    found = {
        part: _vector(file, file.name, _npy(file), len(features)) for part, file in beside.items() if file.exists()
    }
    if data_set.cameras and CAMERA not in found:
        raise DataError(f"{beside[CAMERA]}: no such file; {data_set.title}'s protocol reads the cameras: write it")
    modality = found[MODALITY] if MODALITY in found else _by_camera(path, data_set, found.get(CAMERA))
    if modality is None:
        raise DataError(
            f"{beside[MODALITY]}: no such file; expected 0 (visible) or 1 (infrared) for each image: write it"
        )
    return {
        "features": features,
        "identities": found[LABEL],
        "cameras": found.get(CAMERA, modality + 1),
        "modality": modality,
        "paths": np.array([f"row {row:09d}" for row in range(len(features))]),
    }


def _by_camera(path: Path, data_set: DataSet, cameras: np.ndarray | None) -> np.ndarray | None:
    """Each image's modality; None where a camera of the set has both, or none is known."""
    known = [(camera, modality) for modality, has in data_set.cameras.items() for camera in has]
    of = dict(known)
    if cameras is None or not of or len(of) < len(known):
        return None
    if wrong := sorted(set(cameras.tolist()) - of.keys()):
        expected = ", ".join(f"{m.name.lower()} {', '.join(map(str, has))}" for m, has in data_set.cameras.items())
        raise DataError(
            f"{path}: found the camera {wrong[0]}, and {data_set.title} has {expected}: number them as the set does"
        )
    return np.array([of[camera] for camera in cameras.tolist()], np.int64)


def _require_queries(path: Path, data_set: DataSet, rows: Arrays, asks: np.ndarray) -> None:
    """Raises DataError where the halves are not those that the set's protocol asks with and searches in."""
    images = Images(rows["identities"], rows["cameras"], rows["modality"], rows["paths"])
    expected = np.zeros(len(asks), bool)
    expected[next(iter(data_set.comparisons(images))).query] = True
    if (odd := np.flatnonzero(expected != asks)).size:
        row = odd[0]
        kind = Modality(int(rows["modality"][row])).name.lower()
        raise DataError(
            f"{path}: {rows['paths'][row]} is {kind} by its camera {rows['cameras'][row]}, which {data_set.title} does "
            f"not {'ask with' if asks[row] else 'search in'}: give the halves as the set's protocol has them"
        )


def _matrix(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Features as float32 ``[N, D]``."""
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
        raise DataError(
            f"{path}: {name} is {values.dtype} of shape {list(values.shape)}; expected numbers of shape [images, "
            "channels]"
        )
    return values.astype(np.float32)


def _vector(path: Path, name: str, values: np.ndarray, images: int) -> np.ndarray:
    """Whole numbers ``[images]``; MATLAB has them in a row or a column, and as float64."""
    flat = values.ravel()
    shaped = flat.shape == (images,) and values.size == max(values.shape, default=0)
    with np.errstate(invalid="ignore"):
        whole = values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool((flat == flat.astype(np.int64)).all()))
    if not shaped or not whole:
        raise DataError(
            f"{path}: {name} is {values.dtype} of shape {list(values.shape)}; expected {images} whole numbers, one for "
            "each row of the features"
        )
    return flat.astype(np.int64)


def _mat(path: Path) -> Arrays:
    try:
        return read_variables(path, NAMES)
    except Unreadable as error:
        raise DataError(f"{path}: not readable as a .mat of features ({error}); {EXPECTED}") from error


def _npz(path: Path) -> Arrays:
    def read() -> dict[str, np.ndarray]:
        require_plausible(path, path.stat().st_size)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in NAMES if name in file}

    return _read(path, read)


def _folder(folder: Path, kind: Kind) -> Arrays:
    files: Iterable[Path] = (folder / f"{name}.npy" for name in NAMES)
    found = {file.stem: _npy(file) for file in files if file.exists()}
    if not found:
        raise DataError(f"{folder}: {kind} without query_f.npy and gallery_f.npy; {EXPECTED}")
    return found


def _npy(path: Path) -> np.ndarray:
    """A .npy whose header promises no more than the file has."""
    if (kind := kind_of(path)).format != "npy":
        raise DataError(f"{path}: {kind}; expected a NumPy array (.npy)")
    return _read(path, lambda: np.array(np.load(path, mmap_mode="r", allow_pickle=False)))


def _read(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except Exception as error:  # NumPy names a damaged file by half a dozen exception types
        raise DataError(f"{path}: not readable ({reason(error)}); write it again by numpy.save or savez") from error
