"""The features of a folder's images on disk: a killed run loses at most what it had not yet put there.

``features-<n>.f32`` holds rows of float32, only ever appended to; ``images.sqlite`` says which row is of which image.
The row of an image that has changed or gone stays, unused, until most of the rows are such; then the rows in use are
copied to the file of the next ``n``, which the database names as it renumbers them. So a row number is never used twice
within one ``n``, and an index of the features sees by the numbers alone what has changed.

The database holds the sum of each row's words, too, and the file's size and time after it was last written. Where these
are others, all rows are held against their sums before any is used.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from msclnet.core.errors import StorageError
from msclnet.core.files import require_folder
from msclnet.core.types import Modality

BLOCK = 4096  # features read at once
DATABASE = "images.sqlite"
PRIVATE = 0o600  # of every file: by its features a person can be found again
PATIENCE = 60.0  # seconds for another process that writes
# Of SQLite's, what says nothing against the file: the disk, rights, another process.
TROUBLES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
}
TYPES = (  # of a sound row, which SQLite does not insist on
    "typeof(path) = 'text' AND typeof(bytes) = 'integer' AND typeof(modified) = 'integer' "
    "AND typeof(modality) = 'integer' AND typeof(colour) = 'real' AND typeof(sum) = 'integer'"
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    row INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    modality INTEGER NOT NULL,
    colour REAL NOT NULL,
    sum INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS written (bytes INTEGER NOT NULL, modified INTEGER NOT NULL)
"""


class Image(NamedTuple):
    """An embedded image: ``path`` relative to the folder, the file's size and time (ns), see ``colourfulness``."""

    path: str
    bytes: int
    modified: int
    modality: Modality
    colour: float


class _Damaged(Exception):
    """What lies in a cache is not what was put there."""


class Store:
    """Images and their features, ``dimension`` numbers each, in ``folder``; one process writes at a time."""

    def __init__(self, folder: Path, dimension: int) -> None:
        """Opens the store in ``folder``, or makes one, also in place of a damaged one; StorageError where it cannot."""
        self.folder, self.dimension = require_folder(folder), dimension
        folder.mkdir(parents=True, exist_ok=True)
        with self._named():
            try:
                self._open()
            except _Damaged as error:
                print(f"{folder}: a damaged cache of features ({error}); it is made anew", file=sys.stderr, flush=True)
                self._discard()
                self._open()
            if self._rows() - self._live() > self._live() + BLOCK:
                self._compact()

    def file(self, kind: str, suffix: str) -> Path:
        """Where something that holds row numbers lies; gone when they change."""
        (number,) = self._database.execute("PRAGMA user_version").fetchone()
        return self.folder / f"{kind}-{number}{suffix}"

    @staticmethod
    def open(path: Path, mode: Literal["ab", "wb"]) -> BinaryIO:
        """A file of the store to be written, which nobody else may read."""
        return open(path, mode, opener=lambda name, flags: os.open(name, flags, PRIVATE))

    def images(self) -> dict[str, Image]:
        """Every image by its path."""
        rows = self._database.execute("SELECT path, bytes, modified, modality, colour FROM images")
        return {path: Image(path, size, time, Modality(m), colour) for path, size, time, m, colour in rows}

    def put(self, images: Sequence[Image], features: np.ndarray) -> None:
        """Writes images and their features ``[N, dimension]``, in place of those of the same path."""
        with self._changing():  # appending is for one process at a time
            start = self._rows()
            with self.open(self.file("features", ".f32"), "ab") as file:
                file.truncate(start * self.dimension * 4)  # what a killed run left of a row
                file.write(features.astype("<f4").tobytes())
                file.flush()
                os.fsync(file.fileno())
            self._database.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (row, *image, total)
                    for row, (image, total) in enumerate(zip(images, _sums(features), strict=True), start)
                ],
            )
            self._note()

    def drop(self, paths: Iterable[str]) -> None:
        """Forgets images."""
        with self._changing():
            self._database.executemany("DELETE FROM images WHERE path = ?", ((path,) for path in paths))

    def rows(self, modality: Modality) -> np.ndarray:
        """The rows of the images of a modality, int64, ascending."""
        rows = self._database.execute("SELECT row FROM images WHERE modality = ? ORDER BY row", (int(modality),))
        return np.fromiter((row for (row,) in rows), np.int64)

    def features(self, rows: np.ndarray) -> np.ndarray:
        """float32 ``[n, dimension]``, in the order of ``rows``."""
        if not len(rows):
            return np.empty((0, self.dimension), np.float32)
        return np.memmap(self.file("features", ".f32"), "<f4", "r", shape=(self._rows(), self.dimension))[rows]

    def blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """``rows`` and their features, ``BLOCK`` at once."""
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            yield some, self.features(some)

    def path(self, row: int) -> str:
        (path,) = self._database.execute("SELECT path FROM images WHERE row = ?", (row,)).fetchone()
        return path

    def _open(self) -> None:
        """Raises _Damaged where what lies there is not what was put there."""
        try:
            self._close_to_others()
            self._database = sqlite3.connect(self.folder / DATABASE, isolation_level=None, timeout=PATIENCE)
            self._database.executescript(SCHEMA)
            (sound,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            columns = [column for _, column, *_ in self._database.execute("PRAGMA table_info(images)")]
            if sound != "ok" or columns != ["row", *Image._fields, "sum"]:
                raise _Damaged(sound if sound != "ok" else f"its table has {', '.join(columns)}")
            rows = self._database.execute("SELECT min(row), max(row), min(modality), max(modality) FROM images")
            first, last, lowest, highest = rows.fetchone()
            (odd,) = self._database.execute(f"SELECT count(*) FROM images WHERE NOT ({TYPES})").fetchone()
            if odd:
                raise _Damaged(f"{odd} images of other types")
            for _ in self._database.execute("SELECT path FROM images NOT INDEXED"):
                pass  # each is UTF-8
        except UnicodeDecodeError as error:
            raise _Damaged(str(error)) from error
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in TROUBLES:  # Python's own errors have none
                raise
            raise _Damaged(str(error)) from error
        if first is not None and (first < 0 or last >= self._rows()):
            raise _Damaged(f"{self.file('features', '.f32').name} has {self._rows()} rows, and row {last} is in use")
        if first is not None and not {lowest, highest} <= set(Modality):
            raise _Damaged(f"the modalities {lowest} to {highest}")
        self._verify()

    def _verify(self) -> None:
        """Holds every row against its sum, where the file is not as it was left; raises _Damaged."""
        held = self._database.execute("SELECT bytes, modified FROM written").fetchone()
        if held == self._state():
            return
        sums = dict(self._database.execute("SELECT row, sum FROM images"))
        for rows, features in self.blocks(np.array(sorted(sums), np.int64)):
            for row, found in zip(rows.tolist(), _sums(features), strict=True):
                if sums[row] != found:
                    raise _Damaged(f"row {row} of {self.file('features', '.f32').name} is not what was put there")
        with self._changing():
            self._note()

    def _note(self) -> None:
        """Keeps the size and the time of the file of features."""
        self._database.execute("DELETE FROM written")
        self._database.execute("INSERT INTO written VALUES (?, ?)", self._state())

    def _state(self) -> tuple[int, int]:
        file = self.file("features", ".f32")
        stat = file.stat() if file.exists() else None
        return (stat.st_size, stat.st_mtime_ns) if stat else (0, 0)

    def _close_to_others(self) -> None:
        """Makes the database, where there is none, and lets nobody else read a file of the store."""
        (self.folder / DATABASE).touch(PRIVATE)  # SQLite's journals take after it
        for path in self.folder.iterdir():
            if path.is_file():
                path.chmod(PRIVATE)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A change that is there whole or not at all; other processes wait."""
        with self._named():
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:
                yield

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Raises what SQLite says of the disk, or of another process, as StorageError."""
        try:
            yield
        except (sqlite3.OperationalError, _Damaged) as error:
            raise StorageError(
                f"{self.folder}: not usable as a cache of features ({error}); see that it can be written, on a disk "
                "with room, or name another folder: --cache"
            ) from error

    def _discard(self) -> None:
        self._database.close()
        for pattern in (f"{DATABASE}*", "*-*.f32", "*-*.faiss"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def _live(self) -> int:
        """Rows in use."""
        (live,) = self._database.execute("SELECT count(*) FROM images").fetchone()
        return live

    def _rows(self) -> int:
        """Whole rows in the file, in use or not."""
        file = self.file("features", ".f32")
        return file.stat().st_size // (4 * self.dimension) if file.exists() else 0

    def _compact(self) -> None:
        with self._changing():
            used = np.fromiter((row for (row,) in self._database.execute("SELECT row FROM images ORDER BY row")), int)
            (number,) = self._database.execute("PRAGMA user_version").fetchone()
            outdated = list(self.folder.glob("*-*.*"))  # also what a run killed at this point left behind
            with self.open(self.folder / f"features-{number + 1}.f32", "wb") as file:
                for _, features in self.blocks(used):
                    file.write(features.tobytes())
                file.flush()
                os.fsync(file.fileno())
            # Ascending, and never upwards: no row is renumbered to one that is still to be.
            self._database.executemany("UPDATE images SET row = ? WHERE row = ?", enumerate(used.tolist()))
            self._database.execute(f"PRAGMA user_version = {number + 1}")
            self._note()
        for path in outdated:
            path.unlink()


def _sums(features: np.ndarray) -> list[int]:
    """Of each row ``[N, D]`` the sum of its words: another bit gives another sum."""
    words = np.ascontiguousarray(features, "<f4").view("<u4")
    return [int(total) for total in words.sum(axis=1, dtype=np.uint64)]
