"""Files that are whole or absent, and folders in which one process works at a time, whoever is killed when.

A job that outlives a killed Snakemake may still write what the next Snakemake's job writes: both come to an end, one
after the other. The kernel releases a lock with the process that holds it, however that one died.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import math
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msclnet.core.errors import DataError, StorageError

PATIENCE = 5.0  # seconds until a process says what it waits for
POLL = 0.2
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
MIB = 2**20


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name to write to, which becomes ``path``, on the disk, when all went well.

    A failure takes it away again; what a kill leaves is overwritten by the next. A missing folder is made.

    Args:
        path: the file to come.

    Yields:
        The temporary name, in the same folder.

    Raises:
        OSError: the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _wait(partial, os.O_RDWR | os.O_CREAT, math.inf)
    try:
        with filling(path):
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
def filling(path: Path) -> Iterator[None]:
    """Names a file, or a folder, in the error of a full disk, which by itself says no name.

    Args:
        path: what is written.

    Raises:
        OSError: what was raised within.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all.

    Args:
        path: the file to come.
        text: its content.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def exclusive_lock(path: Path, seconds: float = math.inf, *, file: bool = False) -> Iterator[None]:
    """Holds a file, or a folder, against every other process that asks to be alone there.

    What is absent is made: a folder, or an empty file. A file is held under all its names, on a network file system
    against other machines, too, where that locks. The other process may be the end of a killed run: it is waited for.

    Args:
        path: the file or folder.
        seconds: how long the other process is waited for.
        file: whether a file is made where there is nothing, then and while the other process is waited for, which may
            delete it.

    Raises:
        DataError: the other process is still there after ``seconds``.
    """
    flags = os.O_DIRECTORY
    if file:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT
    elif path.is_file():  # NFS locks no file that is open to be read alone
        flags = os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY
    descriptor = _wait(path, flags, seconds)
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


def storage(error: OSError, folder: Path) -> StorageError:
    """What failed in writing to ``folder``, and what to do about it.

    Args:
        error: the failure.
        folder: the folder, named where the failure names no file.

    Returns:
        The error for the user.
    """
    match error.errno:
        case number if number in FULL:
            place = Path(error.filename).parent if error.filename else folder
            remedy = f"{_free(place) / MIB:.0f} MiB are free on its disk; free some there, or raise your quota"
        case number if number in FORBIDDEN:
            remedy = "make the folder writable for the user who runs this"
        case _:
            remedy = "see that the folder can be written, on a disk in order"
    return StorageError(f"{error.filename or folder}: cannot be written ({error.strerror}): {remedy}")


def require_file(path: Path) -> Path:
    """Sees that a file can be written, before the work that it is for; its folder need not exist yet.

    Args:
        path: the file to come.

    Returns:
        The path.

    Raises:
        StorageError: a folder or a device is in its place, or its own folder cannot be written to.
    """
    if os.path.isdir(path):
        raise StorageError(f"{path}: a folder; expected a file to write: name one in it")
    if path.exists() and not path.is_file():
        raise StorageError(f"{path}: a pipe, a device or a socket, which would be replaced; name another file")
    require_folder(path.parent)
    return path


def require_folder(path: Path) -> Path:
    """Sees that a folder can be written to, or made, before the work that it is for.

    Args:
        path: the folder.

    Returns:
        The path.

    Raises:
        StorageError: a file is in its place or above it, or it cannot be written to.
    """
    existing = _existing(path)
    if not existing.is_dir():
        raise StorageError(f"{existing}: a file; expected a folder to write to: name another, or move the file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StorageError(f"{existing}: cannot be written to; make it writable for this user, or name another folder")
    return path


def require_room(folder: Path, size: int) -> None:
    """Raises StorageError where the disk of a folder has less than ``size`` bytes free.

    Args:
        folder: the folder; it need not exist yet.
        size: bytes to come.
    """
    if size > _free(folder):
        raise _no_room(folder, size, _free(folder))


def allocate(path: Path, size: int) -> None:
    """Gives a file its room on the disk, before anything is written there through memory.

    Args:
        path: a file that exists; its content stays, zeros follow.
        size: bytes that the file is to have.

    Raises:
        StorageError: the disk has less room, or the user's quota is less.
        OSError: the file cannot be written.
    """
    free = _free(path.parent)
    try:
        with path.open("rb+") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                for _ in range(file.seek(0, os.SEEK_END), size, MIB):  # a file system that promises nothing
                    file.write(bytes(MIB))
                file.truncate(size)
                os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _no_room(path.parent, size, free) from error


def _no_room(folder: Path, size: int, free: int) -> StorageError:
    return StorageError(
        f"{folder}: {math.ceil(size / MIB)} MiB are needed there, {free // MIB} MiB are free; free some on its disk, "
        "raise your quota, or choose a folder on another disk"
    )


def _free(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist yet."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that there is; where a file is above it, that file."""
    return next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))


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
    except OSError as error:  # some network file systems lock nothing
        _warn_of(path.parent, error.strerror)
        return descriptor
    os.close(descriptor)
    return None


@functools.cache
def _warn_of(folder: Path, said: str) -> None:
    print(
        f"warning: {folder}: its file system locks no files ({said}): two runs in it at once would spoil each other's",
        file=sys.stderr,
        flush=True,
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
