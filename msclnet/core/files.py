"""Files that are whole or absent, and folders in which one process works at a time, whoever is killed when.

A job that outlives a killed Snakemake may still write what the next Snakemake's job writes: both come to an end, one
after the other. The kernel releases a lock with the process that holds it, however that one died.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import math
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msclnet.core.errors import DataError

PATIENCE = 5.0  # seconds until a process says what it waits for
POLL = 0.2


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name to write to, which becomes ``path``, on the disk, when all went well.

    A failure takes it away again; what a kill leaves is overwritten by the next.

    Args:
        path: the file to come, in a folder that exists.

    Yields:
        The temporary name, in the same folder.

    Raises:
        OSError: the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    descriptor = _wait(partial, os.O_RDWR | os.O_CREAT, math.inf)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)  # or a power failure could undo the renaming
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@contextmanager
def exclusive_lock(path: Path, seconds: float = math.inf) -> Iterator[None]:
    """Holds a file, or a folder, against every other process that asks to be alone there.

    A folder is made when it is absent. A file is held under all its names. The other process may be the end of a killed
    run, so it is waited for.

    Args:
        path: the file or folder.
        seconds: how long the other process is waited for.

    Raises:
        DataError: the other process is still there after ``seconds``.
    """
    descriptor = _wait(path, os.O_RDONLY if path.is_file() else os.O_DIRECTORY, seconds)
    try:
        yield
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to be read; a pipe would be waited for without end, and opening a device may do something.

    Args:
        path: the file, or a link to one.

    Returns:
        The file, open.

    Raises:
        DataError: there is a pipe, a device or a socket.
        OSError: the file is absent, a folder, or cannot be read.
    """
    _require_regular(path, path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    try:
        _require_regular(path, os.fstat(descriptor))  # it may have become another meanwhile
    except BaseException:
        file.close()
        raise
    return file


def _require_regular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        kind = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        what = kind.get(stat.S_IFMT(found.st_mode), "a device")
        raise DataError(f"{path}: {what}; expected a regular file: name another, or take it away")


def sha256(path: Path) -> str:
    """The digest of a file's content.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wait(path: Path, flags: int, seconds: float) -> int:
    """A descriptor that holds the lock on ``path``."""
    began, told = time.monotonic(), False
    while (descriptor := _locked(path, flags)) is None:
        waited = time.monotonic() - began
        if waited > seconds:
            raise DataError(
                f"{path}: another process has been at work here for {waited:.0f} s; let it end, or end it (fuser "
                f"{path} names it)"
            )
        if waited > PATIENCE and not told:
            print(f"{path}: another process is at work here; waiting for it", file=sys.stderr, flush=True)
            told = True
        time.sleep(POLL)
    return descriptor


def _locked(path: Path, flags: int) -> int | None:
    """None while another process holds the lock, or has just deleted or renamed ``path``."""
    if flags & os.O_DIRECTORY:
        path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:  # some network file systems lock nothing
        return descriptor
    os.close(descriptor)
    return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
