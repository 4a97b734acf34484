"""The GPUs of one machine, shared by jobs that do not know each other: each job leases those it uses.

A lease is a locked file that names its devices, and with how many jobs it shares them, in a folder every process of the
machine sees. The job has that file as its standard input, and so has everything the job starts: of the files a launcher
holds open, torchrun passes on the standard ones alone. The kernel drops the lock with the last process that has it,
however that one died. So a killed job gives its devices back, and a rank that outlives its launcher keeps its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from msclnet.launch.gpu_list import PART, VISIBLE, DeviceError, obstacle, real, visible

FOLDER = "MSCLNET_LEASES"  # where leases lie; containers that share GPUs must share it
DEFAULT_FOLDER = "/tmp/msclnet-leases"  # not TMPDIR, which may differ between two jobs
LEASED = "MSCLNET_LEASED"  # the devices of this job, where they are real
STANDARD_INPUT = 0
POLL = 1.0  # seconds between two looks at who has what
PATIENCE = 5.0  # seconds until a job says that it waits for the others' look
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


def lease(count: int, share: int = 1) -> tuple[str, ...]:
    """Takes visible devices, waiting for them, for this process and all it starts; first those that fewest jobs have.

    From then on they alone are in CUDA_VISIBLE_DEVICES, and the standard input, empty to whoever reads it, is the
    lease.

    Args:
        count: how many.
        share: jobs of one device that may be on it at once, this one among them. Each of them must allow as many, and
            a job of several devices shares none.

    Returns:
        Their names, as ``visible`` gives them.

    Raises:
        DeviceError: there are not as many, taken or not; or the folder of leases cannot be used.
    """
    _open_standard_input()
    devices = visible()
    if count > 1:  # processes on parts of one GPU cannot exchange gradients by NCCL
        share = 1
        devices = tuple(device for device in devices if not device.startswith(PART))
    if count > len(devices):
        told = f" in {VISIBLE}={os.environ[VISIBLE]}" if VISIBLE in os.environ else ""
        why = f" ({found})" if (found := obstacle()) else ""
        raise DeviceError(
            f"{count} GPUs wanted, and this machine has {len(devices)}{told}{why}; lower run.gpus_per_training or the "
            "data set's processes in the configuration, or make more visible"
        )
    folder = Path(os.environ.get(FOLDER, DEFAULT_FOLDER))
    waiting = False
    while True:
        with _alone(folder):
            taken = list(_taken(folder))
            on = {device: [held for held in taken if held.device == device] for device in devices}
            free = [
                device for device in devices if len(on[device]) < min([share, *(held.share for held in on[device])])
            ]
            if len(free) >= count:
                chosen = tuple(sorted(free, key=lambda device: len(on[device]))[:count])
                _write_lease(folder, chosen, share)
                os.environ[VISIBLE] = ",".join(chosen)
                if real():
                    os.environ[LEASED] = os.environ[VISIBLE]
                print(f"on the GPUs {', '.join(chosen)}", flush=True)
                return chosen
        if not waiting:
            holders = ", ".join(sorted({str(held.job) for device in devices for held in on[device]}))
            print(
                f"waiting for {count} of {len(devices)} GPUs, held by the jobs {holders}", file=sys.stderr, flush=True
            )
            waiting = True
        time.sleep(POLL)


def _open_standard_input() -> None:
    """Opens it where it is closed (``<&-``): else the mutex would be it, and the lease be closed in its place."""
    try:
        os.fstat(STANDARD_INPUT)
    except OSError:
        os.open(os.devnull, os.O_RDONLY)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's mutex. Folder and mutex are every user's, as those of /tmp are, whatever the umask."""
    mutex = folder / "mutex"
    try:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o1777)
        try:
            descriptor = os.open(mutex, READ)
        except FileNotFoundError:
            descriptor = os.open(mutex, READ | os.O_CREAT, 0o644)
            os.fchmod(descriptor, 0o644)
        try:
            _hold(descriptor, mutex)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DeviceError(
            f"{error.filename or folder}: {error.strerror}; all users of this machine lease its GPUs there: "
            f"see that each can read and write in the folder, or name another in {FOLDER}, the same for all"
        ) from error


def _hold(descriptor: int, mutex: Path) -> None:
    """Waits for the mutex; whoever can read it can hold it, so not without a word."""
    began, told = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told and time.monotonic() - began > PATIENCE:
                told = True
                print(
                    f"waiting for {mutex}, which another process holds (fuser {mutex} names it)",
                    file=sys.stderr,
                    flush=True,
                )
            time.sleep(POLL / 10)


class Held(NamedTuple):
    """A device in a lease that somebody has."""

    device: str
    job: int  # its process
    share: int  # jobs that it allows on the device, itself among them


def _taken(folder: Path) -> Iterator[Held]:
    """Each leased device. A lease nobody has any more is swept up.

    What is no file, and so no lease of ours, is passed over unopened: a pipe would be waited for.
    """
    for path in folder.glob("lease-*"):
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        descriptor = os.open(path, READ)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield from _leased(path)
        else:
            with suppress(PermissionError):  # another user's; it binds nobody
                path.unlink()
        finally:
            os.close(descriptor)


def _leased(path: Path) -> list[Held]:
    """The devices of a lease that somebody holds."""
    try:
        held = json.loads(path.read_text())
        job, devices, share = held["job"], held["devices"], held["share"]
        named = isinstance(devices, list) and all(isinstance(device, str) for device in devices)
        if not named or not all(type(number) is int and number > 0 for number in (job, share)):
            raise ValueError("expected the number of a process, a list of names, and how many share them")
        return [Held(device, job, share) for device in devices]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DeviceError(
            f"{path}: no lease of this project, and held by a process of user {path.stat().st_uid}; let that one end "
            f"(fuser {path} names it), and delete it"
        ) from None


def _write_lease(folder: Path, devices: tuple[str, ...], share: int) -> None:
    """Makes a lease this process's standard input, read to its end; the mutex keeps others from seeing it half made."""
    path = folder / f"lease-{os.getpid()}-{time.time_ns()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    os.fchmod(descriptor, 0o644)  # every user's to read
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, json.dumps({"job": os.getpid(), "devices": devices, "share": share}).encode())
    os.dup2(descriptor, STANDARD_INPUT)
    os.set_inheritable(STANDARD_INPUT, True)
    if descriptor != STANDARD_INPUT:
        os.close(descriptor)
