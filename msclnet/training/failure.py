"""How a training that cannot go on ends: what the user can mend is named, what a restart cannot mend is not retried.

torchrun starts dead workers again (``--max-restarts``), which saves a training from a lost process, but would only
repeat an error in the data or the configuration. Such an error leaves a note in the work folder that ends every further
attempt of the same torchrun at once. Imports no torch: a vain attempt costs no more than Python's start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msclnet.core.errors import UserError
from msclnet.core.files import FORBIDDEN, FULL, storage

NOTE = "failed.txt"
OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)  # of CUDA, and of torch on the CPU


class OutOfMemory(UserError):
    """A process has less memory than the training takes."""


class Stopped(UserError):
    """The training was asked to end and has written its checkpoint; ``for_good``: nobody waits for it any more."""

    def __init__(self, message: str, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


@contextmanager
def final(work: Path) -> Iterator[None]:
    """Names errors of memory and disk as UserErrors, and notes in ``work`` those that a restart would only repeat."""
    try:
        yield
    except Exception as error:
        named = _named(error, work)
        if isinstance(named, UserError) and not (isinstance(named, Stopped) and not named.for_good):
            with suppress(OSError):
                (work / NOTE).write_text(f"{named}\n")
        if named is error:
            raise
        raise named from error


def forget(work: Path) -> None:
    """Takes away the note of an earlier torchrun; before the processes join, so that none of this one is lost."""
    if not _restarted():
        with suppress(OSError):  # absent, or in a folder that cannot be written, which is said later
            (work / NOTE).unlink()


def failed_for_good(work: Path) -> bool:
    """Whether this is a restarted attempt of a torchrun whose training has ended by such an error."""
    return _restarted() and (work / NOTE).exists()


def _restarted() -> bool:
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def _named(error: Exception, work: Path) -> Exception:
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        found = next(iter(str(error).splitlines()), "")
        return OutOfMemory(
            f"out of memory ({found}): take more processes or GPUs (data.*.processes), or make train.identities x "
            "train.images, data.height x data.width or model.backbone smaller; fewer trainings at once (--cores) help"
        )
    if isinstance(error, OSError) and error.errno in (*FULL, *FORBIDDEN):
        return storage(error, work)
    return error
