"""What goes wrong and can be mended: every error a user meets is one of these."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

# How NumPy and torch say that a file holds Python objects: they then tell how to run them.
ADVICE = re.compile(r"allow_pickle|pickled|Python objects|weights.only", re.IGNORECASE)


def printable(text: str) -> str:
    """A text as a terminal may have it: names of files, and what stands in files, are a stranger's.

    Args:
        text: what is to be printed.

    Returns:
        The same, with ``\\x1b`` and the like for whatever is not to be seen, line feeds and tabs excepted.
    """
    return "".join(sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text)


def nearest(name: object, known: Iterable[str]) -> str:
    """``did you mean ...?``: the names that ``name`` is near to, or all."""
    names = list(known)
    near = get_close_matches(str(name), names, n=3, cutoff=0.5) or names
    return f"did you mean {' or '.join(map(repr, near))}?"


class UserError(Exception):
    """Something the user can mend: scripts end with its message and exit status 1, without a traceback."""

    def __str__(self) -> str:
        return printable(super().__str__())


class DataError(UserError):
    """A data set, pack or feature file is not as its contract says.

    The message names the file, what was found, what was expected and what to do.
    """


class SpoiledError(DataError):
    """A file that the workflow made is not, or no more, what was written.

    ``path`` is what stands for it in the workflow: where that is gone, the next snakemake makes the file again.
    """

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class ConfigError(UserError):
    """A key or value of the configuration is wrong; the message names the key and what would be right."""


class StorageError(UserError):
    """A file cannot be written, or has no room on its disk; the message says what to free or to mend."""


def reason(error: BaseException) -> str:
    """What a library says was wrong with a file, in a line, without its advice to loosen what protects from the file.

    Args:
        error: what it raised.

    Returns:
        The first line of its message, or its kind where it says nothing.
    """
    text = str(error)
    if foreign := re.search(r"GLOBAL ([\w.]+)", text) or re.search(r"[Gg]lobal:? ([\w.]+)", text):
        return f"it holds an object of {foreign[1]}, which could run a program when it is read"
    if "Weights only" in text or "WeightsUnpickler" in text:
        return "no tensors as torch saves them"
    if ADVICE.search(text):
        return "it holds Python objects, which could run a program: save numbers, and words as str"
    return (text.strip() or type(error).__name__).splitlines()[0]
