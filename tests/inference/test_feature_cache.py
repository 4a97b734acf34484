"""Rows on disk: whole after a kill, compact after many changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from msclnet.core.errors import StorageError
from msclnet.core.types import Modality
from msclnet.inference import feature_cache as room
from msclnet.inference.feature_cache import Image, Store


def image(path: str, modality: Modality = Modality.VISIBLE) -> Image:
    return Image(path, 10, 20, modality, 3.5)


def features(*values: float) -> np.ndarray:
    return np.array([[value, -value] for value in values], np.float32)


def contents(store: Store) -> dict[str, list[float]]:
    rows = np.concatenate([store.rows(modality) for modality in Modality])
    return {store.path(row): store.features(np.array([row]))[0].tolist() for row in rows.tolist()}


def test_images_come_back_as_they_were_put(tmp_path: Path) -> None:
    Store(tmp_path, 2).put([image("a"), image("b", Modality.INFRARED)], features(1, 2))
    store = Store(tmp_path, 2)
    assert store.images() == {"a": image("a"), "b": image("b", Modality.INFRARED)}
    assert contents(store) == {"a": [1, -1], "b": [2, -2]}
    store.put([image("a")], features(3))
    store.drop(["b"])
    assert contents(Store(tmp_path, 2)) == {"a": [3, -3]}


def test_what_a_killed_run_left_behind_spoils_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, 2)
    store.put([image("a")], features(1))
    with store.file("features", ".f32").open("ab") as file:
        file.write(b"a row of another image, and a bit")  # not in the database
    store = Store(tmp_path, 2)
    store.put([image("b")], features(2))
    assert contents(store) == {"a": [1, -1], "b": [2, -2]}


def test_rows_out_of_use_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BLOCK", 2)
    store = Store(tmp_path, 2)
    for value in range(8):
        store.put([image("a"), image(f"b{value}")], features(value, 10 + value))
    store.drop(f"b{value}" for value in (0, 2, 3, 5, 6))
    (tmp_path / "visible-0.faiss").write_bytes(b"holds row numbers")
    before = contents(store)
    assert len(before) == 4
    store = Store(tmp_path, 2)
    assert contents(store) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features-1.f32", "images.sqlite"]
    assert store.file("features", ".f32").stat().st_size == 4 * 2 * 4
    store.put([image("c")], features(99))
    assert contents(Store(tmp_path, 2)) == before | {"c": [99, -99]}


def damage(folder: Path, how: str) -> None:
    database, rows = folder / "images.sqlite", folder / "features-0.f32"
    match how:
        case "text":
            database.write_bytes(b"no database at all, and long enough to be read as a header" * 20)
        case "cut off":
            database.write_bytes(database.read_bytes()[:5000])
        case "a page of noise":
            content = bytearray(database.read_bytes())
            content[4096:8192] = np.random.default_rng(0).bytes(4096)
            database.write_bytes(content)
        case "rows cut off":
            rows.write_bytes(rows.read_bytes()[:12])
        case "no rows":
            rows.unlink()
        case _:
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute(how)


@pytest.mark.parametrize(
    "how",
    [
        "text",
        "cut off",
        "a page of noise",
        "rows cut off",
        "no rows",
        "UPDATE images SET modality = 7",
        "UPDATE images SET row = row + 100",
        "UPDATE images SET path = 'z' || substr(path, 2) WHERE row = 30",
        "UPDATE images SET colour = 'x'",
        "UPDATE images SET path = CAST(x'ff' AS TEXT) WHERE row = 3",
        "UPDATE images SET line = line + 1 WHERE row = 30",
        "UPDATE images SET row = row - 100",
        "ALTER TABLE images DROP COLUMN colour",
        "ALTER TABLE images RENAME COLUMN colour TO color",
        "PRAGMA user_version = 5",
    ],
)
def test_a_damaged_cache_is_made_anew(tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path, 2)
    store.put([image(f"{name}{'x' * 200}") for name in range(50)], features(*range(50)))
    store.file("visible", ".faiss").write_bytes(b"holds row numbers")
    del store
    damage(tmp_path, how)
    store = Store(tmp_path, 2)
    assert f"{tmp_path}: a damaged cache of features (" in capsys.readouterr().err
    assert store.images() == {}
    assert not list(tmp_path.glob("*.faiss"))
    store.put([image("a")], features(1))
    assert contents(Store(tmp_path, 2)) == {"a": [1, -1]}
    assert capsys.readouterr().err == ""


def test_a_damaged_feature_is_forgotten_and_the_others_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, 2)
    store.put([image(name) for name in "abc"], features(1, 2, 3))
    file = store.file("features", ".f32")
    content = bytearray(file.read_bytes())
    content[9] ^= 1
    file.write_bytes(content)
    assert contents(Store(tmp_path, 2)) == {"a": [1, -1], "c": [3, -3]}
    assert "1 damaged features of 3; they are made anew" in capsys.readouterr().err
    read: list[int] = []
    blocks = Store.blocks
    monkeypatch.setattr(Store, "blocks", lambda self, rows: read.append(len(rows)) or blocks(self, rows))
    Store(tmp_path, 2).put([image("b")], features(2))
    store = Store(tmp_path, 2)
    assert read == [], "what was read once is known by its size and times, and so is what was added"
    assert contents(store) == {"a": [1, -1], "b": [2, -2], "c": [3, -3]}


def test_a_damaged_note_of_what_was_verified_costs_a_second_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text that is none, which Python cannot even put into an error."""
    Store(tmp_path, 2).put([image("a")], features(1))
    damage(tmp_path, "UPDATE verified SET bytes = CAST(x'636166ff' AS TEXT)")
    assert contents(Store(tmp_path, 2)) == {"a": [1, -1]}
    assert capsys.readouterr().err == ""


def test_a_folder_that_is_no_place_for_a_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.sqlite").mkdir()
    with pytest.raises(StorageError, match=f"{tmp_path}: not usable as a cache of features .*--cache"):
        Store(tmp_path, 2)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=f"{tmp_path}/file: a file; expected a folder"):
        Store(tmp_path / "file", 2)


@pytest.mark.parametrize("what", ["put", "drop"])
def test_a_change_that_the_disk_cannot_take_is_named_and_undone(tmp_path: Path, what: str) -> None:
    """A limit on the database's pages stands for the full disk."""
    store = Store(tmp_path, 2)
    store.put([image(f"{name}{'x' * 200}") for name in range(50)], features(*range(50)))
    before = store.images()
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    if what == "put":
        with pytest.raises(StorageError, match=f"{tmp_path}: not usable as a cache of features .database or disk is"):
            store.put([image(f"new{name}{'x' * 200}") for name in range(50)], features(*range(50)))
    else:
        store._database.execute("PRAGMA query_only = 1")
        with pytest.raises(StorageError, match=f"{tmp_path}: not usable as a cache of features .*readonly"):
            store.drop(before)
    assert Store(tmp_path, 2).images() == before
