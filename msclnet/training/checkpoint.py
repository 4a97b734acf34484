"""A training's checkpoints: what it goes on from after an interruption. Written whole or not at all."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msclnet.core.errors import DataError, UserError
from msclnet.core.files import storage
from msclnet.core.torch_file import Damaged, content, not_finite, save
from msclnet.training.failure import Stopped
from msclnet.training.process_group import Processes
from msclnet.training.stop_requests import StopRequests

NAME = re.compile(r"checkpoint-([0-9]{1,18})\.pt")
KEPT = 2  # checkpoints of a training


class NotFinite(UserError):
    """A weight, or what is kept of its gradients, is not a finite number."""


class Checkpointer:
    """Writes a training's checkpoints: in the first process alone, whose state is every process's."""

    def __init__(
        self, folder: Path, every: float, origin: dict[str, Any], process: Processes, stop: StopRequests, code: str = ""
    ) -> None:
        """One is due every ``every`` seconds (0: after every step) and when the training is to stop.

        ``origin``: plain values that decide the training's bits. ``code``: any name of the code that does, or empty.
        """
        self.folder, self.every, self.origin, self.code = folder, every, origin, code
        self.process, self.stop = process, stop
        self.last = time.monotonic()
        self.stopping = ""

    def due(self) -> bool:
        """Whether one is to be written now; asked after every step."""
        self.stopping = self.stop.reason()
        return self.process.first and (bool(self.stopping) or time.monotonic() - self.last >= self.every)

    def write(self, contents: Callable[[], dict[str, Any]]) -> None:
        """Writes one of ``contents()``, the ``step`` and all else to go on from, and drops those before the last two.

        A disk that cannot take it is reported and stops nothing. Raises Stopped when the training is to stop here, and
        NotFinite for a state that nothing could be resumed from.
        """
        if not self.process.first:
            return
        self.last = time.monotonic()
        try:
            state = {"origin": self.origin, "code": self.code, **contents()}
            if name := not_finite(state):
                raise NotFinite(
                    f"{name} has a value that is not finite after step {state['step']}, of which no checkpoint is "
                    f"written. Lower train.rate and delete {self.folder}: another rate continues no checkpoint in it"
                )
            save(self.folder / f"checkpoint-{state['step']}.pt", state)
            for path in _newest_first(self.folder)[KEPT:]:
                path.unlink()
        except OSError as error:
            problem = storage(error, self.folder)
            if self.stopping:
                raise problem from error
            print(f"warning: {problem}. The training goes on and tries again later", file=sys.stderr, flush=True)
            return
        if self.stopping:
            raise Stopped(
                f"stopped after step {state['step']} by {self.stopping}; the checkpoint is written, the same command "
                "goes on from there",
                for_good=self.stop.orphaned,
            )


def newest(folder: Path, origin: dict[str, Any], code: str = "") -> dict[str, Any] | None:
    """The newest checkpoint of a training that is whole, None where there is none; damaged ones are reported, and go.

    So do those that other ``code`` has written, where both are known: no training is of two codes. Raises DataError
    naming the keys in which its ``origin`` is another, and OSError or MemoryError where one cannot be read now.
    """
    for partial in folder.glob("*.partial"):  # of a kill in the midst of writing
        partial.unlink()
    found = _newest_first(folder)
    for path, before in itertools.zip_longest(found, found[1:]):
        try:
            state = content(path)
            if not isinstance(state, dict) or not isinstance(state.get("origin"), dict):
                raise Damaged("it does not say of which training it is")
        except Damaged as error:
            instead = f"going on from {before.name}" if before else "no other is left: training from the beginning"
            print(f"warning: {path}: damaged ({error}); {instead}", file=sys.stderr, flush=True)
            path.unlink()
            continue
        if lines := differing(origin, state["origin"]):
            raise DataError(
                f"{path}: a checkpoint of another configuration:\n  " + "\n  ".join(lines) + "\n"
                f"Restore these values to continue it, or delete {folder} to train from the beginning"
            )
        if code and state.get("code") and code != state["code"]:
            print(
                f"{path}: of step {state['step']}, by code that has been changed since: training from the beginning",
                file=sys.stderr,
                flush=True,
            )
            drop(folder)
            return None
        return state
    return None


def drop(folder: Path) -> None:
    """Deletes a training's checkpoints, the oldest first: what a kill leaves of them can still be continued from."""
    for path in reversed(_newest_first(folder)):
        path.unlink()


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder; what has such a name but no number is somebody's, and passed over."""
    found = [
        (int(match[1]), path)
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found, reverse=True)]


def differing(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Dotted keys in which two plain configurations differ, each with both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            line
            for key in dict.fromkeys((*ours, *theirs))
            for line in differing(ours.get(key), theirs.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if ours == theirs else [f"{where}: {theirs!r} in the checkpoint, {ours!r} now"]
