"""Checks that end badly, each in its own way; by name, as ``msclnet.doctor.isolation`` takes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from msclnet.core.errors import StorageError
from msclnet.core.files import write_text
from msclnet.doctor.line import Line, passed
from msclnet.doctor.place import Place

STARTED = "started.txt"  # in the place's folder: the id of what ``hang`` has started


def right(place: Place) -> Iterator[Line]:
    yield passed("one", f"in {place.folder.name}", number=1)
    print("said by the way")
    yield passed("two", os.environ.get("GIVEN", "nothing"))


def raise_error(place: Place) -> Iterator[Line]:
    yield passed("one", "before it")
    raise ValueError("a number was wrong")


def user_error(place: Place) -> Iterator[Line]:
    raise StorageError("/full: 9 MiB are needed there")
    yield


def die(place: Place) -> Iterator[Line]:
    yield passed("one", "before it")
    os.kill(os.getpid(), signal.SIGKILL)


def hang(place: Place) -> Iterator[Line]:
    yield passed("one", "before it")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    print("waiting for nobody", flush=True)
    write_text(place.folder / STARTED, str(child.pid))  # last, and whole: it may be ended at any moment
    time.sleep(3600)


def one_gpu(place: Place) -> Iterator[Line]:
    yield passed("GPUs", "one", usable=1)


def which_place(place: Place) -> Iterator[Line]:
    yield passed("place", f"{place.gpus} GPUs, {place.processes} processes")
