"""The features of a folder's images on disk: a killed run loses at most what it had not yet put there.

``features-<n>.f32`` holds rows of float32, only ever appended to; ``images.sqlite`` says which row is of which image.
The row of an image that has changed or gone stays, unused, until most of the rows are such; then the rows in use are
copied to the file of the next ``n``, which the database names as it renumbers them. So a row number is never used twice
within one ``n``, and an index of the features sees by the numbers alone what has changed.

Each image has a CRC-32 of its feature and one of its line. The lines are held against theirs whenever a store is
opened, the features only where the size or the times of their file are not those noted last.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

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
SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    row INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    modality INTEGER NOT NULL,
    colour REAL NOT NULL,
    feature INTEGER NOT NULL,
    line INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS verified (bytes INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL)
"""
COLUMNS = ["row", "path", "bytes", "modified", "modality", "colour", "feature", "line"]


class Image(NamedTuple):
    """An embedded image: ``path`` relative to the folder, the file's size and time (ns), see ``colourfulness``."""

    path: str
    bytes: int
    modified: int
    modality: Modality
    colour: float


class _Damaged(Exception):
    """What lies in a cache is not what was put there."""


@contextmanager
def _reading() -> Iterator[None]:
    """Raises _Damaged for what SQLite cannot read, but not where the disk or another process keeps it from reading."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise _Damaged(str(error)) from error
    except sqlite3.DatabaseError as error:
        # What sqlite3 says without a code is of text that is none.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in TROUBLES:
            raise
        raise _Damaged(str(error)) from error


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
            self._verify()
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
        rows = features.astype("<f4")
        with self._changing():  # appending is for one process at a time
            start, known = self._rows(), self._known()
            with self.open(self.file("features", ".f32"), "ab") as file:
                file.truncate(start * self.dimension * 4)  # what a killed run left of a row
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())
            self._database.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    _with_sum((row, *image, zlib.crc32(feature.tobytes())))
                    for row, (image, feature) in enumerate(zip(images, rows, strict=True), start)
                ],
            )
            if known:
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
        with _reading():
            self._close_to_others()
            self._database = sqlite3.connect(self.folder / DATABASE, isolation_level=None, timeout=PATIENCE)
            self._database.executescript(SCHEMA)
            (sound,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
            columns = [column for _, column, *_ in self._database.execute("PRAGMA table_info(images)")]
            if sound != "ok" or columns != COLUMNS:
                raise _Damaged(sound if sound != "ok" else f"its table has {', '.join(columns)}")
            last = -1
            for line in self._database.execute("SELECT * FROM images ORDER BY row"):
                if line != _with_sum(line[:-1]):
                    raise _Damaged(f"the line of row {line[0]} is not what was written")
                last = line[0]
        if last >= self._rows():
            raise _Damaged(f"{self.file('features', '.f32').name} has {self._rows()} rows, and row {last} is in use")

    def _verify(self) -> None:
        """Forgets images whose features are not what was written; they are embedded again."""
        if self._known():
            return
        sums = dict(self._database.execute("SELECT row, feature FROM images ORDER BY row"))
        spoiled = [
            (int(row),)
            for rows, features in self.blocks(np.fromiter(sums, np.int64))
            for row, feature in zip(rows, features, strict=True)
            if zlib.crc32(feature.tobytes()) != sums[row]
        ]
        with self._changing():
            self._database.executemany("DELETE FROM images WHERE row = ?", spoiled)
            self._note()
        if spoiled:
            print(
                f"{self.folder}: {len(spoiled)} damaged features of {len(sums)}; they are made anew",
                file=sys.stderr,
                flush=True,
            )

    def _known(self) -> bool:
        """Whether the features' file is as it was when all of it was found to be what was written."""
        try:
            with _reading():
                return self._database.execute("SELECT * FROM verified").fetchall() == [self._state()]
        except _Damaged:  # the note alone
            return False

    def _note(self) -> None:
        self._database.execute("DELETE FROM verified")
        self._database.execute("INSERT INTO verified VALUES (?, ?, ?)", self._state())

    def _state(self) -> tuple[int, int, int]:
        """Size and times of the features' file."""
        file = self.file("features", ".f32")
        if not file.exists():
            return 0, 0, 0
        found = file.stat()
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def _close_to_others(self) -> None:
        """Makes the database, where there is none, and lets nobody else read a file of the store."""
        (self.folder / DATABASE).touch(PRIVATE)  # SQLite's journals take after it
        for path in self.folder.iterdir():
            if path.is_file() and stat.S_IMODE(path.stat().st_mode) != PRIVATE:
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
                "with space, or name another folder: --cache"
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
            lines = self._database.execute("SELECT * FROM images").fetchall()
            sums = [(_with_sum(line[:-1])[-1], line[0]) for line in lines]
            self._database.executemany("UPDATE images SET line = ? WHERE row = ?", sums)
            self._database.execute(f"PRAGMA user_version = {number + 1}")
            self._note()
        for path in outdated:
            path.unlink()


def _with_sum(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A line of the table with the CRC-32 of what stands in it."""
    return *values, zlib.crc32(repr(tuple(map(_plain, values))).encode())


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, Modality) else value
