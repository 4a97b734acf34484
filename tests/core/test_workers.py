"""A pool ends when one of its processes dies, says how and at what, and leaves no process behind."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from msclnet.core.errors import DataError
from msclnet.core.workers import WorkerDied, divided
from tests.patience import until

ITEMS = [f"{number}.jpg" for number in range(12)]
Start = Literal["forkserver", "spawn"]


def work(end: str, items: Iterator[str]) -> list[str]:
    """Ends at the seventh item as it is told; another process is at work then."""
    done = []
    for item in items:
        if item == "6.jpg":
            match end:
                case "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "terminate":
                    os.kill(os.getpid(), signal.SIGTERM)
                case "exit":
                    os._exit(3)
                case "raise":
                    raise DataError(f"{item}: not readable")
        done.append(item)
    return done


def sleep(folder: Path, items: Iterator[str]) -> None:
    for item in items:
        (folder / f"{item}.{os.getpid()}").touch()
        time.sleep(600)


def run(end: str, workers: int, start: Start = "forkserver") -> list[str]:
    chunks = divided(functools.partial(work, end), ITEMS, workers, chunk=2, name="the file {}".format, start=start)
    return sorted(item for chunk in chunks for item in chunk)


@pytest.mark.parametrize("workers", [0, 1, 2, 50])
def test_everything_is_done_once(workers: int) -> None:
    assert run("well", workers) == sorted(ITEMS)


@pytest.mark.parametrize("start", ["forkserver", "spawn"])
@pytest.mark.parametrize(
    ("end", "fate"), [("kill", "was ended by SIGKILL"), ("exit", r"ended itself \(3\)"), ("terminate", "by SIGTERM")]
)
def test_a_worker_that_dies_ends_the_pool_and_is_named_with_its_file(end: str, fate: str, start: Start) -> None:
    with pytest.raises(WorkerDied, match=f"a worker at .*the file 6.jpg.* {fate}") as caught:
        run(end, 2, start)
    if end != "terminate":  # which the pool itself sends to the others
        assert str(caught.value).count(".jpg") == 1
    assert "--workers" in str(caught.value)
    assert ("want of memory" in str(caught.value)) == (end == "kill")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_is_its_own(workers: int) -> None:
    with pytest.raises(DataError, match=r"^6\.jpg: not readable$"):
        run("raise", workers)


def test_workers_end_with_a_killed_caller(tmp_path: Path) -> None:
    code = (
        "import functools; from pathlib import Path; from tests.core.test_workers import *\n"
        f"list(divided(functools.partial(sleep, Path({str(tmp_path)!r})), ITEMS, 2, chunk=1, name=str))"
    )
    caller = subprocess.Popen([sys.executable, "-c", f"{code}"])
    until(lambda: len(list(tmp_path.iterdir())) == 2 or caller.poll() is not None)
    assert caller.poll() is None
    workers = [int(path.suffix[1:]) for path in tmp_path.iterdir()]
    caller.kill()
    caller.wait()
    until(lambda: not any(alive(pid) for pid in workers), lambda: "orphans wait for ever")


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
