"""The features of a folder's images on disk, one SQLite file: each write is whole, so a killed run loses little."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msclnet.types import DataError, Modality

BLOCK = 4096  # features read at once
# Ids are never used twice: an index of the features sees by the ids alone what has changed.
SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    modality INTEGER NOT NULL,
    colour REAL NOT NULL,
    feature BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_modality ON images (modality, id);
"""


class Image(NamedTuple):
    """An embedded image: ``path`` relative to the folder, the file's size and time (ns), see ``colourfulness``."""

    path: str
    bytes: int
    modified: int
    modality: Modality
    colour: float


class Store:
    """Images and their features, float32 of ``dimension`` numbers, by path and by id."""

    def __init__(self, file: Path, dimension: int) -> None:
        """Opens or creates ``file``; DataError when it is no such database."""
        self.file, self.dimension = file, dimension
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = sqlite3.connect(file)
            self._database.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise DataError(f"{file}: not a cache of features ({error}); delete it, it is made anew") from error

    def images(self) -> dict[str, Image]:
        """Every image by its path."""
        rows = self._database.execute("SELECT path, bytes, modified, modality, colour FROM images")
        return {path: Image(path, size, time, Modality(m), colour) for path, size, time, m, colour in rows}

    def put(self, images: Iterable[Image], features: np.ndarray) -> None:
        """Writes images and their features ``[N, dimension]``, in place of those of the same path."""
        rows = [(*image, feature.tobytes()) for image, feature in zip(images, features.astype("<f4"), strict=True)]
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO images (path, bytes, modified, modality, colour, feature) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def drop(self, paths: Iterable[str]) -> None:
        """Forgets images."""
        with self._database:
            self._database.executemany("DELETE FROM images WHERE path = ?", ((path,) for path in paths))

    def ids(self, modality: Modality) -> np.ndarray:
        """int64, ascending."""
        rows = self._database.execute("SELECT id FROM images WHERE modality = ? ORDER BY id", (int(modality),))
        return np.fromiter((row[0] for row in rows), np.int64)

    def blocks(self, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The ids and features ``[n, dimension]`` of some images, ``BLOCK`` at once, in the order of ``ids``."""
        for start in range(0, len(ids), BLOCK):
            some = ids[start : start + BLOCK]
            yield some, self.features(some)

    def features(self, ids: np.ndarray) -> np.ndarray:
        """``[n, dimension]``, in the order of ``ids``."""
        by_id = self._select("feature", ids)
        return np.frombuffer(b"".join(by_id[i] for i in ids.tolist()), "<f4").reshape(len(ids), self.dimension)

    def paths(self, ids: np.ndarray) -> dict[int, str]:
        return self._select("path", ids)

    def _select(self, column: str, ids: np.ndarray) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for start in range(0, len(ids), BLOCK):
            some = ids[start : start + BLOCK].tolist()
            marks = ",".join("?" * len(some))
            found |= dict(self._database.execute(f"SELECT id, {column} FROM images WHERE id IN ({marks})", some))
        return found
