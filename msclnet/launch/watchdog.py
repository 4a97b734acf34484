"""Ends processes that stand still: SIGSTOP, a dead disk and a deadlock leave a process that nobody misses by itself.

Each process counts its steps in a file that lies in memory alone, and goes with the launcher that made it. The launcher
looks whether the numbers move. Only the time it has itself been awake counts, so that all may be stopped and continued
together, as by Ctrl-Z.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

BEATS = "MSCLNET_HEARTBEATS"  # where a process of a launcher counts its steps
SLOT = struct.Struct("=qq")  # of a process: its id, 0 when it needs no watch, and the steps it has taken
POLL = 0.5  # seconds between two looks


class Heartbeat:
    """What a process tells its launcher: that it is at work. It tells nobody where no launcher watches."""

    def __init__(self) -> None:
        self._place = SLOT.size * int(os.environ.get("LOCAL_RANK", "0"))
        self._steps = 0
        self._file: int | None = None

    def __enter__(self) -> Heartbeat:
        with suppress(OSError):  # the launcher is gone, by which the process ends at its next step
            if BEATS in os.environ:
                self._file = os.open(os.environ[BEATS], os.O_WRONLY | os.O_CLOEXEC)
        self.beat()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._file is not None:
            os.pwrite(self._file, SLOT.pack(0, 0), self._place)
            os.close(self._file)
            self._file = None

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Takes as long as it likes over what is no step."""
        if self._file is not None:
            os.pwrite(self._file, SLOT.pack(0, 0), self._place)
        yield
        self.beat()

    def beat(self) -> None:
        """Says that a step has been taken."""
        self._steps += 1
        if self._file is not None:
            os.pwrite(self._file, SLOT.pack(os.getpid(), self._steps), self._place)


def watch(processes: int, seconds: float) -> None:
    """Kills each child of this process that has begun to count its steps and stands still, as long as this one lives.

    Args:
        processes: how many children count, each by its LOCAL_RANK.
        seconds: how long a step may take.
    """
    file = os.memfd_create("heartbeats", os.MFD_CLOEXEC)
    os.truncate(file, SLOT.size * processes)
    os.environ[BEATS] = f"/proc/{os.getpid()}/fd/{file}"
    threading.Thread(target=_watch, args=(file, processes, seconds), daemon=True).start()


def _watch(file: int, processes: int, seconds: float) -> None:
    seen, still = [(0, 0)] * processes, [0.0] * processes
    pause = threading.Event()
    while not pause.wait(POLL):
        for rank, found in enumerate(SLOT.iter_unpack(os.pread(file, SLOT.size * processes, 0))):
            still[rank] = 0.0 if found != seen[rank] else still[rank] + POLL
            seen[rank] = (found[0], found[1])
            process = found[0]
            if process and still[rank] > seconds:
                still[rank] = 0.0
                if _is_child(process):
                    print(
                        f"error: process {rank} here (id {process}) took no step in {seconds:.0f} s and is killed; it "
                        "was stopped, or waits for a disk or a device. Where steps take that long, raise "
                        "survival.timeout",
                        file=sys.stderr,
                        flush=True,
                    )
                    os.kill(process, signal.SIGKILL)


def _is_child(process: int) -> bool:
    """Whether it is one that lives, or has died and not been asked for its status: its number is no other's."""
    try:
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
