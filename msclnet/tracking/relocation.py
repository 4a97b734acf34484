"""A database that was copied or moved together with its files: what it says of them is made to lead here.

MLflow notes absolute places. The copy of a clone would write, and delete, in the clone that it was copied from.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from msclnet.core.files import exclusive_lock

ARTIFACTS = "mlartifacts"  # beside the database
PLACES = (  # where MLflow notes a place
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
PATIENCE = 60.0  # seconds for another writer


def folder_of(experiment: str) -> str:
    """The folder in ``mlartifacts`` of an experiment of this package: its name without signs."""
    words = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in experiment).split()
    return "-".join(words).lower()


def relocate(database: Path) -> int:
    """Makes places in ``database`` that lie in another clone's ``mlartifacts`` lie in its own; returns their number.

    The other clone is known by an experiment of this package that lies there. Raises sqlite3.Error where the file is
    no database or cannot be written, and OSError.
    """
    own = database.parent / ARTIFACTS
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        if not _others(connection, own):
            return 0
        with exclusive_lock(database.parent), connection:
            connection.execute("BEGIN IMMEDIATE")
            changed = 0
            for other in _others(connection, own):  # again: another process may have been faster
                folder = url2pathname(urlsplit(other).path)
                for old, new in ((other, own.as_uri()), (folder, str(own))):
                    changed += sum(_replace(connection, *place, old, new) for place in PLACES)
            return changed


def _others(connection: sqlite3.Connection, own: Path) -> list[str]:
    """The ``mlartifacts`` of other clones in which experiments of this package lie, as they are written."""
    if ("experiments",) not in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        return []
    found = set()
    for name, location in connection.execute("SELECT name, artifact_location FROM experiments"):
        other = str(location or "").removesuffix(f"/{folder_of(name)}")
        if other != location and other.startswith("file://") and other.endswith(f"/{ARTIFACTS}"):
            found.add(other)
    return [other for other in sorted(found) if not _same(Path(url2pathname(urlsplit(other).path)), own)]


def _same(one: Path, other: Path) -> bool:
    """Whether both are one folder, by whatever name."""
    return one == other or (one.exists() and other.exists() and one.samefile(other))


def _replace(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> int:
    """Exchanges the beginning ``old`` of a column's places; the number of rows changed."""
    known = connection.execute("SELECT count(*) FROM pragma_table_info(?) WHERE name = ?", (table, column)).fetchone()
    if not known[0]:
        return 0
    begins = f"substr({column}, 1, length(:old) + 1) = :old || '/'"
    query = f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) WHERE {begins}"
    return connection.execute(query, {"old": old, "new": new}).rowcount
