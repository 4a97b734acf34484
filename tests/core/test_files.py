"""Files are whole or absent, and two processes that write the same one come to an end both."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import pytest

from msclnet.core.errors import DataError
from msclnet.core.files import atomic_write, exclusive_lock, storage

FORK = multiprocessing.get_context("fork")


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "x") as partial:
        partial.write_text("half")
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").read_text() == "half"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_failure_leaves_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("before")
    with pytest.raises(UnicodeEncodeError), atomic_write(tmp_path / "x") as partial:
        partial.write_text("half\ud800")
    assert (tmp_path / "x").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def write(path: Path, text: str, seconds: float) -> None:
    """A text letter by letter."""
    with atomic_write(path) as partial, partial.open("w") as file:
        for letter in text:
            file.write(letter)
            file.flush()
            time.sleep(seconds / len(text))


def test_two_writers_of_a_file_take_turns(tmp_path: Path) -> None:
    writers = [FORK.Process(target=write, args=(tmp_path / "x", letter * 50, 0.5)) for letter in "abc"]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        if (tmp_path / "x").exists():
            seen.add((tmp_path / "x").read_text())
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert seen | {(tmp_path / "x").read_text()} == {"a" * 50, "b" * 50, "c" * 50}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_killed_writer_holds_up_nobody(tmp_path: Path) -> None:
    writer = FORK.Process(target=write, args=(tmp_path / "x", "a" * 50, 600))
    writer.start()
    while not (tmp_path / "x.partial").exists():
        time.sleep(0.01)
    writer.kill()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    write(tmp_path / "x", "b", 0)
    assert (tmp_path / "x").read_text() == "b"


def test_a_folder_is_one_processs_at_a_time(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "work", 1):
        began = time.monotonic()
        with (
            pytest.raises(DataError, match=r"work: another process has been at work here for \d+ s; let it end"),
            exclusive_lock(tmp_path / "work", 1),
        ):
            pass
        assert time.monotonic() - began >= 1
    with exclusive_lock(tmp_path / "work", 1):
        pass


def test_a_lock_that_its_holder_deletes_is_made_again_by_who_waits(tmp_path: Path) -> None:
    """As a training does at its end, on which the next start of it waits."""
    lock = tmp_path / "work/lock"
    with exclusive_lock(lock, 0, file=True):
        with pytest.raises(DataError, match="another process"), exclusive_lock(lock, 0, file=True):
            pass
        lock.unlink()
        with exclusive_lock(lock, 0, file=True):
            assert lock.is_file()


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write says it
    assert caught.value.filename == str(tmp_path / "x")
    assert re.match(
        rf"{tmp_path}/x: cannot be written .*\d MiB are free on its disk", str(storage(caught.value, Path()))
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("refused", [errno.EBADF, errno.ENOLCK])
def test_a_file_is_locked_as_network_file_systems_want_it_or_not_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refused: int
) -> None:
    """NFS 4 answers EBADF for a file that is open to be read alone; some lock nothing."""
    flock = fcntl.flock

    def of_nfs(descriptor: int, operation: int) -> None:
        reading = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        if reading or refused == errno.ENOLCK:
            raise OSError(refused, os.strerror(refused))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", of_nfs)
    lock = tmp_path / "lock"
    lock.touch()
    with exclusive_lock(lock, 0):
        pass
    with exclusive_lock(lock, 0):
        said = capsys.readouterr().err
    if refused == errno.EBADF:
        assert said == ""
        with exclusive_lock(lock, 0), pytest.raises(DataError, match="another process"), exclusive_lock(lock, 0):
            pass
    else:
        assert said.startswith(f"warning: {tmp_path}: its file system locks no files (No locks available): two runs")
        assert said.count("warning") == 1
