"""A check in a process of its own, which may raise, die or hang: the others go on.

On the CPU it is forked from a process that has imported torch and done nothing else; where there may be GPUs it begins
anew, for CUDA survives no fork. What it prints goes to a file, of which the last line is quoted where it ends badly. It
is ended, with all it has started, when its time is over.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msclnet.core.errors import UserError
from msclnet.doctor.line import Line, failed
from msclnet.doctor.place import Place

PRELOADED = ["msclnet.doctor.steps", "torch._dynamo"]  # the latter by every optimiser
POLL = 0.05  # seconds
QUOTED = 300  # characters of the last line


@dataclass(frozen=True)
class Check:
    """A part of the examination.

    Attributes:
        title: what is said of it while it runs, and in the line of its failure.
        function: ``module:name`` of what is called with the place, and yields lines; imported by its process alone.
        seconds: how long it may take.
    """

    title: str
    function: str
    seconds: float


def run(check: Check, place: Place, patience: float = 1.0) -> Iterator[Line]:
    """The lines of a check as it finds them, and where it ends badly one that says how.

    Args:
        check: the check.
        place: what it is told.
        patience: how many times its seconds it may take.

    Yields:
        A line at a time.
    """
    seconds = patience * check.seconds
    lines, log = (place.folder / f"{check.function.replace(':', '.')}.{end}" for end in ("jsonl", "log"))
    lines.write_text("")
    context: Any = multiprocessing.get_context("spawn" if place.gpus else "forkserver")
    if not place.gpus:
        context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_look, args=(check.function, place, lines, log, dict(os.environ)))
    began = time.monotonic()
    process.start()
    assert process.pid is not None
    try:
        with lines.open() as file:
            while process.exitcode is None and time.monotonic() - began < seconds:
                process.join(POLL)
                yield from _read(file)
            late = process.exitcode is None
            if late:
                end(process.pid)
            yield from _read(file)
    finally:
        end(process.pid)
        process.join()
    if late:
        said = f"not at its end after {seconds:.0f} s, and ended"
        yield failed(check.title, said + _last(log), "see what it waits for; --patience 2 gives twice the time")
    elif process.exitcode:
        how = f"its process ended with status {process.exitcode}"
        if process.exitcode < 0:
            how = f"its process was ended by {signal.Signals(-process.exitcode).name}"
        yield failed(check.title, how + _last(log), "mend what it names; python -X faulthandler may say more")


def end(process: int) -> None:
    """Kills a process, and those that it has started and theirs."""
    for number in (process, *descendants(process)):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """The processes that a process has started and that live, theirs among them; none where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, ahead = [], [process]
    while ahead:
        children = parents.get(ahead.pop(), [])
        found += children
        ahead += children
    return found


def _look(function: str, place: Place, lines: Path, log: Path, environment: dict[str, str]) -> None:
    """In the process of a check: writes each line as it is found, and another for what is raised."""
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    module, _, name = function.partition(":")
    with lines.open("a", buffering=1) as file:
        try:
            for line in getattr(importlib.import_module(module), name)(place):
                print(json.dumps(asdict(line)), file=file)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)


def _read(file: Any) -> Iterator[Line]:
    """The whole lines that have come since the last look."""
    while True:
        place = file.tell()
        text = file.readline()
        if not text.endswith("\n"):
            file.seek(place)
            return
        yield Line(**json.loads(text))


def _last(log: Path) -> str:
    """What the process said last, to be put after how it ended."""
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    return f"; its last words: {text.splitlines()[-1][:QUOTED]}" if text else ""
