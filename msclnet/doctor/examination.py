"""The whole examination: its checks in order, the table, and the file."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from msclnet.core.files import write_text
from msclnet.doctor.estimate import estimates, kept_up
from msclnet.doctor.isolation import Check, run
from msclnet.doctor.line import Line, failed
from msclnet.doctor.place import PAPER, Place

HERE = "msclnet.doctor"
CARDS = Check("torch and GPUs", f"{HERE}.cards:cards", 90)
ROOM = Check("memory and files", f"{HERE}.room:room", 60)
DRAW = Check("drawn people", f"{HERE}.drawn:draw", 180)
STEPS = Check("steps", f"{HERE}.steps:steps", 180)
RECIPES_STEPS = Check("steps of the recipe", f"{HERE}.steps:recipes_steps", 600)  # some are compiled
RANKS = Check("processes", f"{HERE}.ranks:ranks", 240)
RESUME = Check("killed, and gone on with", f"{HERE}.resume:resume", 120)
DEFAULT_SPEED = Check("speed, default", f"{HERE}.speed:default_speed", 120)
RECIPES_SPEED = Check("speed of the recipe", f"{HERE}.speed:recipes_speed", 900)  # the same
LITERAL_SPEED = Check("speed beside the plain loop", f"{HERE}.speed:literal_speed", 240)
LOADER = Check("loader alone", f"{HERE}.speed:loader_speed", 60)


@dataclass(frozen=True)
class Options:
    """What of the examination is chosen.

    Attributes:
        quick: the machine, and one step of each method and precision.
        gpus: how many to use; -1: all; 0: the CPU.
        processes: the most that share a step; None: as many as GPUs, 2 on the CPU.
        folder: for temporary files; None: a new one, removed afterwards.
        recipe: files laid over the default configuration, of the recipe that is timed.
        patience: how many times its seconds a check may take.
    """

    quick: bool = False
    gpus: int = -1
    processes: int | None = None
    folder: Path | None = None
    recipe: tuple[str, ...] = (PAPER,)
    patience: float = 1.0


def doctor(out: Path, options: Options | None = None) -> int:
    """Looks at the machine: prints a table, line by line, and writes a JSON file.

    Args:
        out: the file.
        options: what is chosen.

    Returns:
        The exit status: 1 where a line fails, else 0.

    Raises:
        ConfigError: the recipe is none.
        StorageError: the file, or the temporary folder, cannot be written.
    """
    options = options or Options()
    began, width = time.time(), shutil.get_terminal_size((120, 24)).columns
    with _temporary(options.folder) as folder:
        lines = []
        for line in examine(Path(folder), options):
            print(line.text(width), flush=True)
            lines.append(line)
    number = {status: sum(line.status == status for line in lines) for status in ("pass", "warn", "fail")}
    write_text(out, json.dumps(_record(lines, number, began, options), indent=2) + "\n")
    said = ", ".join(f"{count} {status}" for status, count in number.items())
    print(f"{said}; {time.time() - began:.0f} s; {out}")
    return 1 if number["fail"] else 0


def examine(folder: Path, options: Options) -> Iterator[Line]:
    """The lines of every check, as they are found."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    place = Place(folder, Path.cwd(), options.gpus, options.processes or 2, cores, options.recipe)
    recipe = place.timed()  # an error in it is said before any work
    found = yield from _seen(run(CARDS, place, options.patience))
    usable = next((int(line.values["usable"]) for line in found if "usable" in line.values), 0)
    place = replace(place, gpus=usable, processes=options.processes or usable or 2)
    yield from run(ROOM, place, options.patience)
    drawn = yield from _seen(run(DRAW, place, options.patience))
    if any(line.status == "fail" for line in drawn):
        return
    yield from run(STEPS, place, options.patience)
    if options.quick:
        return
    if place.gpus:
        yield from run(RECIPES_STEPS, place, options.patience)
    if place.gpus and place.processes > place.gpus:
        few = f"{place.processes} processes wanted, and {place.gpus} GPUs are there"
        yield failed(RANKS.title, few, "state --processes as many as GPUs, or --gpus 0")
    elif place.processes > 1:
        yield from run(RANKS, place, options.patience)
    elif place.gpus == 1 and options.processes is None:  # the same code by gloo; NCCL needs a second GPU
        yield from run(RANKS, replace(place, gpus=0, processes=2), options.patience)
    yield from run(RESUME, place, options.patience)
    yield from run(DEFAULT_SPEED, place, options.patience)
    timed = yield from _seen(run(RECIPES_SPEED, place, options.patience))
    yield from run(LITERAL_SPEED, place, options.patience)
    yield from _loader(run(LOADER, place, options.patience), timed)
    speeds = {
        line.values["method"]: line.values["images_per_second"]
        for line in timed
        if line.values.get("recipe") == place.name
    }
    if speeds:
        yield from estimates(recipe, speeds, place.gpus)


def _loader(found: Iterable[Line], timed: list[Line]) -> Iterator[Line]:
    """The loader's line beside the fastest of the recipe's trainings, where it was measured."""
    trained = [line for line in timed if "images_per_second" in line.values]
    for line in found:
        if trained and "images_per_second" in line.values:
            yield kept_up(line, max(trained, key=lambda each: each.values["images_per_second"]))
        else:
            yield line


def _seen(lines: Iterable[Line]) -> Generator[Line, None, list[Line]]:
    """The lines, which are also what it returns."""
    found = []
    for line in lines:
        yield line
        found.append(line)
    return found


def _temporary(folder: Path | None) -> Any:
    """A new folder in ``folder``, or where temporary files lie; removed at the end."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="msclnet-doctor-", dir=folder, ignore_cleanup_errors=True)


def _record(lines: list[Line], number: dict[str, int], began: float, options: Options) -> dict[str, Any]:
    return {
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": time.time() - began,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.platform()}",
        "python": sys.version.split()[0],
        "options": {**asdict(options), "folder": str(options.folder or "")},
        "number": number,
        "lines": [asdict(line) for line in lines],
    }
