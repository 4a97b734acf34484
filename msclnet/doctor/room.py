"""What cores, memory and disk there are, and whether files can be locked, linked and renamed where results will lie."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from msclnet.core.errors import DataError
from msclnet.core.files import MIB, allocate, atomic_write, exclusive_lock, require_folder, require_room
from msclnet.doctor.line import Line, failed, passed, warned
from msclnet.doctor.place import Place
from msclnet.launch.gpu_lease import DEFAULT_FOLDER, FOLDER

SHARED = Path("/dev/shm")
MEMINFO = Path("/proc/meminfo")
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # of a container
LEAST_MEMORY, WANTED_MEMORY = 2e9, 8e9  # bytes
WANTED_SHARED = 512e6
WANTED_DISK = 20e9  # two packs, the trainings of two methods, their features and reports
BUSY = 0.5  # processes at work a core
TRIED = 256 * MIB  # of a file that is written to see how fast
TAKEN = 3  # exit status of a process that finds a lock taken


def room(place: Place) -> Iterator[Line]:
    """What else is at work, memory, shared memory, disk, and files."""
    yield _load(place.cores)
    yield _memory()
    yield _shared(place)
    for name, folder in {"disk of the results": place.results, "disk of temporary files": place.folder}.items():
        yield from _disk(name, folder)
    yield _files(place.results)
    if place.gpus:
        yield _locks("locks of the leases", Path(os.environ.get(FOLDER, DEFAULT_FOLDER)))


def _load(cores: int) -> Line:
    waiting = os.getloadavg()[0]
    said = f"{cores} core{'s' * (cores > 1)}, {waiting:.1f} processes at work on average over the last minute"
    if waiting > BUSY * cores:
        remedy = "the speeds below are those of a busy machine; look again when it is idle"
        return warned("cores", said, remedy, cores=cores, load=waiting)
    return passed("cores", said, cores=cores, load=waiting)


def _memory() -> Line:
    fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
    total, free = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    for limit in LIMITS:
        if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
            total, free = min(total, int(text)), min(free, int(text))
    said = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB available"
    if free < LEAST_MEMORY:
        return failed("memory", said, "end what holds it: the smallest training takes 1 GB", free_bytes=free)
    if free < WANTED_MEMORY:
        remedy = "enough for the default configuration; the paper's takes more, and its packs are read from memory"
        return warned("memory", said, remedy, free_bytes=free)
    return passed("memory", said, free_bytes=free, bytes=total)


def _shared(place: Place) -> Line:
    if not SHARED.is_dir() or not os.access(SHARED, os.W_OK):
        remedy = "mount it, writable for this user: workers and processes share memory by it"
        return failed(str(SHARED), "absent, or not to be written to", remedy)
    free = shutil.disk_usage(SHARED).free
    said = f"{free / 1e9:.2f} GB free"
    if free < WANTED_SHARED and place.gpus > 1:
        remedy = "NCCL exchanges by it; in a container give it the host's: docker run --ipc host"
        return warned(str(SHARED), said, remedy, free_bytes=free)
    return passed(str(SHARED), said, free_bytes=free)


def _disk(name: str, folder: Path) -> Iterator[Line]:
    """Its room, and how fast a file reaches it; the file is gone afterwards."""
    require_folder(folder)
    require_room(folder, TRIED)
    free = shutil.disk_usage(folder).free
    path = folder / f".doctor-{os.getpid()}"
    try:
        path.touch()
        allocate(path, TRIED)
        began = time.perf_counter()
        with path.open("rb+", buffering=0) as file:
            for _ in range(TRIED // MIB):
                file.write(os.urandom(4096) * (MIB // 4096))
            os.fsync(file.fileno())
        speed = TRIED / (time.perf_counter() - began)
    finally:
        path.unlink(missing_ok=True)
    said = f"{folder}: {free / 1e9:.0f} GB free, {speed / 1e6:.0f} MB/s written"
    values = {"free_bytes": free, "bytes_per_second": speed}
    if free < WANTED_DISK and name == "disk of the results":
        remedy = f"a run of the paper's recipe wants {WANTED_DISK / 1e9:.0f} GB: free some, or run in another folder"
        yield warned(name, said, remedy, **values)
    else:
        yield passed(name, said, **values)


def _files(folder: Path) -> Line:
    """Whether a file is whole or absent, may have a second name, and can be held against other processes."""
    path = folder / f".doctor-{os.getpid()}.txt"
    second = path.with_suffix(".second")
    try:
        with atomic_write(path) as partial:
            partial.write_text("whole")
        os.link(path, second)
        if second.read_text() != "whole" or not path.samefile(second):
            raise OSError(f"{second} is not {path}")
    except OSError as error:
        remedy = "work in a folder of a file system with hard links and renaming: of this machine, or a good network's"
        return failed("files of the results", f"{folder}: {error}", remedy)
    finally:
        for left in (path, second):
            left.unlink(missing_ok=True)
    return _locks("files of the results", folder, "renamed, linked and ")


def _locks(name: str, folder: Path, before: str = "") -> Line:
    """Whether another process finds taken what this one holds."""
    path = folder / f".doctor-{os.getpid()}.lock"
    folder.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        with exclusive_lock(path):
            other = multiprocessing.get_context("fork").Process(target=_try, args=(path,))
            other.start()
            other.join()
    finally:
        path.unlink(missing_ok=True)
    if other.exitcode != TAKEN:
        remedy = (
            "two runs in it would write the same files, or take the same GPU: use a folder on a disk of this machine, "
            "or a network's that locks (NFS 4, Lustre with flock)"
        )
        return failed(name, f"{folder}: a lock held by one process does not keep out another", remedy)
    return passed(name, f"{folder}: files can be {before}locked")


def _try(path: Path) -> None:
    try:
        with exclusive_lock(path, 0):
            os._exit(0)
    except DataError:
        os._exit(TAKEN)
