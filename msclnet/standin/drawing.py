"""What every set's stand-in is drawn with: its people and cameras, the copy of the real set's lists, its workers.

A stand-in is of any size, or, ``like`` a folder with the real set's own lists, of exactly its identities, cameras,
images and splits. Every image has a generator of its own, seeded by (seed, set, identity, camera, number), so the files
are the same with any number of workers. A stand-in's number is never a result on the real set.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msclnet.core.errors import ConfigError
from msclnet.core.files import write_text
from msclnet.core.registry import load_plugins
from msclnet.core.types import Modality
from msclnet.core.workers import divided
from msclnet.standin import people

DRAWN = "drawn.json"  # written last
CROP_WIDTHS, CROP_ASPECTS = (72, 150), (2.0, 2.7)  # of detected people
PERSON, CAMERA, PLACE, IMAGE, SPLIT, PRESENCE = range(6)  # what a generator is for


@dataclass(frozen=True)
class Cast:
    """The people and cameras of one stand-in: others for each ``seed``, and for each data set's own ``number``."""

    seed: int
    number: int

    def rng(self, purpose: int, *key: int) -> np.random.Generator:
        """A generator of its own for each purpose, ``PERSON`` .. ``PRESENCE``, and key."""
        return np.random.default_rng((self.seed, self.number, purpose, *key))

    def person(self, identity: int) -> people.Person:
        return people.person(self.rng(PERSON, identity))

    def camera(self, number: int, place: int, modality: Modality, *, thermal: bool = False) -> people.Camera:
        """The camera ``number``, which looks at ``place``: cameras of one place share its background."""
        return people.camera(self.rng(CAMERA, number), self.rng(PLACE, place), modality, thermal=thermal)


def crop(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of a detected person, in pixels."""
    width = int(rng.integers(*CROP_WIDTHS))
    return width, round(width * rng.uniform(*CROP_ASPECTS))


def copy_lists(source: Path, root: Path, folder: str, key: str) -> list[str]:
    """Copies the real set's ``folder`` of lists; returns its files' names.

    Raises ConfigError naming ``key`` where ``source`` has no such folder.
    """
    if not (source / folder).is_dir():
        raise ConfigError(f"{key}: {source} has no folder {folder}; name the folder of the real set, or of its lists")
    (root / folder).mkdir(parents=True, exist_ok=True)
    for path in sorted((source / folder).iterdir()):
        shutil.copyfile(path, root / folder / path.name)
    return sorted(path.name for path in (root / folder).iterdir())


def lines(path: Path) -> list[str]:
    """The lines of a copied list, empty ones aside; raises ConfigError where it is absent."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected the real set's own list: copy it beside the others")
    return [line for line in path.read_text().splitlines() if line.strip()]


def in_parallel(function: Callable[..., None], tasks: Iterable[tuple], workers: int) -> None:
    """Calls a function with each task, in processes of their own where there are several workers.

    Args:
        function: a module must hold it by name.
        tasks: of each person one, ``(root, cast, identity, ...)``.
        workers: the most processes; 1 or fewer: it is done here.

    Raises:
        WorkerDied: a process has died; the message says of what, and at which person.
    """
    # A set from outside the package is known to a new process by its plugin alone.
    draw = functools.partial(_draw_each, function)
    for _ in divided(draw, list(tasks), workers, chunk=4, name=_person, start="spawn", prepare=load_plugins):
        pass


def _draw_each(function: Callable[..., None], tasks: Iterator[tuple]) -> None:
    for task in tasks:
        function(task)


def _person(task: tuple) -> str:
    return f"the images of identity {task[2]} in {task[0]}"


def finish(root: Path, layout: str, counts: dict[str, int]) -> None:
    """Writes ``drawn.json``, which says that the images are drawn, and that all of them are there."""
    write_text(root / DRAWN, json.dumps({"drawn": "stand-in", "layout": layout, **counts}, indent=2) + "\n")
