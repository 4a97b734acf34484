"""Memory, disk and files: as they are here, and with too little of each."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from msclnet.core.errors import StorageError
from msclnet.doctor import room
from msclnet.doctor.place import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(room, "TRIED", room.MIB)
    for name in ("temporary", "results"):
        (tmp_path / name).mkdir()
    return Place(tmp_path / "temporary", tmp_path / "results", 0, 1, 1)


def test_this_machine_has_all_of_it_and_nothing_is_left_behind(place: Place) -> None:
    found = {line.check: line for line in room.room(place)}
    assert list(found) == [
        "cores",
        "memory",
        "/dev/shm",
        "disk of the results",
        "disk of temporary files",
        "files of the results",
    ]
    assert found["memory"].values["free_bytes"] > 0
    assert found["disk of the results"].values["bytes_per_second"] > 0
    assert found["files of the results"].status == "pass"
    assert not list(place.results.iterdir())
    assert not list(place.folder.iterdir())


@pytest.mark.parametrize(("load", "status"), [(0.3, "pass"), (1.0, "pass"), (7.5, "warn")])
def test_what_else_is_at_work_is_said_before_speeds_are(
    monkeypatch: pytest.MonkeyPatch, load: float, status: str
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    line = room._load(2)
    assert line.status == status
    assert f"2 cores, {load} processes" in line.found


@pytest.mark.parametrize(("free", "status"), [(1_000_000, "fail"), (4_000_000, "warn"), (40_000_000, "pass")])
def test_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, status: str) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 64000000 kB\nMemFree: 1 kB\nMemAvailable: {free} kB\n")
    monkeypatch.setattr(room, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(room, "LIMITS", ())
    assert room._memory().status == status
    (tmp_path / "memory.max").write_text("1500000000\n")
    monkeypatch.setattr(room, "LIMITS", (tmp_path / "memory.max",))
    limited = room._memory()
    assert limited.status == "fail", "a container has less than its machine"
    assert limited.values["free_bytes"] <= 1_500_000_000


def test_little_shared_memory_matters_where_gpus_exchange_by_it(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: SimpleNamespace(free=64e6))
    assert room._shared(place).status == "pass"
    several = room._shared(Place(place.folder, place.results, 2, 2, 1))
    assert several.status == "warn"
    assert "docker run --ipc host" in several.remedy
    monkeypatch.setattr(room, "SHARED", place.folder / "absent")
    assert room._shared(place).status == "fail"


def test_a_disk_with_little_room_is_said(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: SimpleNamespace(free=int(9e9)))
    (line,) = room._disk("disk of the results", place.results)
    assert line.status == "warn"
    assert "9 GB free" in line.found
    assert "wants 20 GB" in line.remedy
    monkeypatch.setattr(room, "TRIED", 10**10)
    with pytest.raises(StorageError, match=r"results: 9537 MiB are needed there, 8583 MiB are free; free some"):
        list(room._disk("disk of the results", place.results))


def test_a_file_system_without_locks_fails(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    """As where a network's knows none: the call fails, and a run goes on without."""

    def flock(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    line = room._files(place.results)
    assert line.status == "fail"
    assert "a lock held by one process does not keep out another" in line.found
    assert "a disk of this machine" in line.remedy


def test_a_file_system_without_hard_links_fails(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    def link(one: Path, other: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(one))

    monkeypatch.setattr(os, "link", link)
    line = room._files(place.results)
    assert line.status == "fail"
    assert "Operation not permitted" in line.found
    assert not list(place.results.iterdir())
