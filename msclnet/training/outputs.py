"""What a training leaves: written in its work folder, put in its place by a second name (a hard link).

The work folder is no output of the workflow, which deletes its outputs before a job. So what was finished can be put
back: where the workflow was killed between the end of a job and its note of it. Two names take no space twice.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from msclnet.core.files import atomic_write, sha256, write_text
from msclnet.results.layout import CONFIG, METRICS, MODEL
from msclnet.training.checkpoint import drop

FINISHED, ANEW = "finished.json", "anew.txt"  # notes in the work folder
LOCK = "lock"  # there, too: held by the training that is at work; a folder would not be held between two nodes


class OutputFiles:
    """The model, the record and the configuration of the training in ``work``, whose place is ``folder``."""

    def __init__(self, work: Path, folder: Path, origin: dict[str, Any], code: str) -> None:
        """``origin`` (plain values) and ``code`` (any name) decide the outputs: others are another training's."""
        self.work, self.folder = work, folder
        self.note = work / FINISHED
        self.identity = {"origin": origin, "code": code}

    def put_back(self) -> bool:
        """Whether this training was finished before and its outputs are whole; they are then in their place.

        What another training has finished here is discarded.
        """
        if not self.note.exists():
            return False
        if self.note.read_bytes() != self._said().encode():
            discard(self.work)
            return False
        print(f"finished before: nothing to train; --anew, or deleting {self.work}, trains again", flush=True)
        self._publish()
        return True

    def finish(self) -> None:
        """Puts the outputs, all written in ``work``, in their place; the checkpoints go.

        In an order that lets a kill between any two steps be finished by the next run.
        """
        for name in (MODEL, METRICS, CONFIG):
            with (self.work / name).open("rb+") as file:
                os.fsync(file.fileno())
        write_text(self.note, self._said())
        self._publish()

    def place(self, name: str) -> None:
        """Gives an output its second name."""
        output, target = self.work / name, self.folder / name
        if target.exists() and target.samefile(output):
            return
        with atomic_write(target) as partial:
            partial.unlink()
            try:
                os.link(output, partial)
            except OSError:  # a file system without links
                shutil.copyfile(output, partial)

    def _said(self) -> str:
        """What the note says of the outputs that lie in the work folder."""
        paths = [path for name in (MODEL, METRICS, CONFIG) if (path := self.work / name).exists()]
        return json.dumps(self.identity | {"sha256": {path.name: sha256(path) for path in paths}}, sort_keys=True)

    def _publish(self) -> None:
        for name in (MODEL, METRICS, CONFIG):
            self.place(name)
        drop(self.work)
        for path in self.work.iterdir():
            if path.name not in (MODEL, METRICS, CONFIG, FINISHED):
                with suppress(OSError):  # what a network file system keeps of a file in use
                    path.unlink()


def begin_anew(work: Path) -> None:
    """Discards what an earlier run left in ``work``.

    Once in a run of torchrun, whose further attempts go on from the checkpoints of the first.
    """
    run, note = os.environ.get("TORCHELASTIC_RUN_ID", ""), work / ANEW
    if run and note.exists() and note.read_bytes() == run.encode():
        return
    discard(work)
    if run:
        write_text(note, run)


def discard(work: Path) -> None:
    """Deletes checkpoints and outputs in ``work``; their second names stay.

    The note of the end goes last: with it, a kill in between leaves nothing that would be taken for whole.
    """
    drop(work)
    for name in (METRICS, MODEL, CONFIG, FINISHED):
        (work / name).unlink(missing_ok=True)
