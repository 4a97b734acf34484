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
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from msclnet.core.errors import UserError, printable

VISIBLE = "CUDA_VISIBLE_DEVICES"
DECLARED = "MSCLNET_GPUS"  # so many devices, whatever nvidia-smi says
FOLDER = "MSCLNET_LEASES"  # where leases lie; containers that share GPUs must share it
DEFAULT_FOLDER = "/tmp/msclnet-leases"  # not TMPDIR, which may differ between two jobs
LEASED = "MSCLNET_LEASED"  # the devices of this job, where they are real
DEVICES = Path("/dev")
STANDARD_INPUT = 0
AMD = "kfd"  # of DEVICES, where there is an AMD GPU
MOST = 1024  # GPUs of a machine
PART = "MIG-"  # how an instance of a divided GPU is named
UUID = re.compile(r"GPU-[0-9A-Za-z-]+(?=,|$)")
NAMED = re.compile(r"\(UUID: ((?:GPU|MIG)-[0-9A-Za-z/-]+)\)")
PATIENCE_OF_SMI = 30.0  # seconds
POLL = 1.0  # seconds between two looks at who has what
PATIENCE = 5.0  # seconds until a job says that it waits for the others' look
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class DeviceError(UserError):
    """A job wants GPUs the machine does not have, or what it was told of them makes no sense."""


def visible(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The devices a job may use: those CUDA_VISIBLE_DEVICES names, else all.

    It names them by nvidia-smi's indices, by UUID or by a UUID's beginning. An entry that names none hides those after
    it, as for CUDA. A device has one name here however it was given, so that two jobs mean the same by it.

    Args:
        environment: the variables of the job.

    Returns:
        A name each: the UUID, or the index where there is no nvidia-smi.

    Raises:
        DeviceError: MSCLNET_GPUS is no number.
    """
    machine = _machine(environment)
    if VISIBLE not in environment:
        return machine
    named: list[str] = []
    for entry in environment[VISIBLE].split(","):
        name = _name(entry.strip(), machine)
        if name is None:
            break
        named.append(name)
    return tuple(dict.fromkeys(named))


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
                if DECLARED not in os.environ:
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


def obstacle(environment: Mapping[str, str] = os.environ) -> str:
    """Why no GPU of this machine can be used, where it seems to have some.

    Args:
        environment: the variables of the job.

    Returns:
        The reason; empty where a GPU can be used, or there is no sign of any.

    Raises:
        DeviceError: MSCLNET_GPUS is no number.
    """
    machine, trouble = _listed(environment)
    if machine and not visible(environment):
        return f"{VISIBLE}={environment[VISIBLE]} hides its {len(machine)} GPUs"
    return trouble


def driver() -> str:
    """The driver's version, as nvidia-smi says it; empty where it says none."""
    try:
        return next(iter(_ask("--query-gpu=driver_version", "--format=csv,noheader")), "")
    except (OSError, subprocess.TimeoutExpired, _Refused):
        return ""


def _machine(environment: Mapping[str, str]) -> tuple[str, ...]:
    """All devices there are, by index."""
    return _listed(environment)[0]


def _listed(environment: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """All devices there are, by index, and what kept them from being listed."""
    if DECLARED in environment:
        if not environment[DECLARED].isdecimal() or int(environment[DECLARED]) > MOST:
            raise DeviceError(
                f"{DECLARED}={environment[DECLARED]}: expected the number of GPUs of this machine, {MOST} at most"
            )
        return tuple(map(str, range(int(environment[DECLARED])))), ""
    try:
        lines = _ask("--query-gpu=uuid,mig.mode.current", "--format=csv,noheader")
        if any(line.endswith("Enabled") for line in lines):
            return _with_parts(_ask("-L")), ""
    except subprocess.TimeoutExpired:
        return (), f"nvidia-smi has not answered in {PATIENCE_OF_SMI:.0f} s: the driver hangs"
    except _Refused as refused:
        return (), str(refused)
    except OSError as error:
        there = sorted(map(str, DEVICES.glob("nvidia[0-9]*")))
        if not there and (DEVICES / AMD).exists():
            return (), (
                f"it has {DEVICES / AMD}, an AMD GPU, which nvidia-smi does not list: {DECLARED}=1 (or how many there "
                "are) declares it; nothing here has been tried on one"
            )
        return (), f"it has {', '.join(there)}, and nvidia-smi does not run ({error.strerror})" if there else ""
    named = [(match[0] if (match := UUID.match(line)) else None, line) for line in lines]
    if odd := [line for name, line in named if name is None]:
        print(f"nvidia-smi: {printable(odd[0])}: passed over", file=sys.stderr, flush=True)
    devices = tuple(name for name, _ in named if name)
    return devices, f"nvidia-smi names no GPU: {printable(odd[0])}" if odd and not devices else ""


class _Refused(Exception):
    """nvidia-smi ended with an error; the message has its words."""


def _ask(*arguments: str) -> list[str]:
    """What nvidia-smi says, a line each; raises _Refused, OSError, or subprocess.TimeoutExpired."""
    listed = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=PATIENCE_OF_SMI)
    if listed.returncode:
        said = next(iter((listed.stdout + listed.stderr).splitlines()), "no reason given")
        raise _Refused(f"nvidia-smi ends with status {listed.returncode}: {printable(said)}")
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def _with_parts(lines: Sequence[str]) -> tuple[str, ...]:
    """The devices of ``nvidia-smi -L``: of a GPU that is divided (MIG) its instances."""
    found: list[str] = []
    whole = ""  # a GPU that may be divided
    for line in lines:
        if not (match := NAMED.search(line)):
            continue
        name = match[1]
        if name.startswith(PART):
            if whole in found:
                found.remove(whole)
            found.append(name)
        else:
            whole = name
            found.append(name)
    return tuple(found)


def _name(entry: str, machine: tuple[str, ...]) -> str | None:
    if entry.isdecimal():
        index = int(entry)
        if not machine:
            return str(index)
        return machine[index] if index < len(machine) else None
    if entry.startswith("GPU-") and machine:
        return next((uuid for uuid in machine if uuid.startswith(entry)), None)
    return entry if entry.startswith(("GPU-", "MIG-")) else None


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
