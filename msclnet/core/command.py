"""What every command shares: paths as people write them, and an end in words for what they can mend."""

from __future__ import annotations

import argparse
import errno
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msclnet.core.errors import SpoiledError, UserError
from msclnet.core.files import FORBIDDEN, FULL, require_file, require_folder, storage

# What a path on a command line may lead to, and that no longer fits when it is used.
PLACES = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO)
REMADE = "MSCLNET_REMADE"  # in the environment where what is missing is made again: of the workflow's jobs
INTERRUPTED = 128 + signal.SIGINT  # the exit status, as a shell gives it
SHORT = re.compile(r"\d+ requested and \d+ written")  # how NumPy says that a disk is full


def source(text: str) -> Path:
    """What a command reads, as the ``type`` of an argument of argparse: a leading ``~`` is the home folder.

    Args:
        text: what was written there.

    Returns:
        The path.

    Raises:
        argparse.ArgumentTypeError: it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a path; . is the folder that this runs in")
    return Path(os.path.expanduser(text))


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The ``type`` of an argument of argparse that is a whole number.

    Args:
        least: the smallest that will do, 0 or more.
        most: the largest, where there is one.

    Returns:
        A function that reads the number, and raises argparse.ArgumentTypeError for any other text.
    """

    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= (math.inf if most is None else most):
            upper = " or more" if most is None else f" to {most}"
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of {least}{upper}")
        return int(text)

    return number


class BlackToWhite(argparse.Action):
    """The ``action`` of an argument of argparse that is two numbers: what is black, and what is white above it."""

    def __init__(self, option_strings: Sequence[str], dest: str, **how: Any) -> None:
        super().__init__(option_strings, dest, nargs=2, type=float, metavar=("BLACK", "WHITE"), **how)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: object) -> None:
        """Keeps the numbers; ends the program with a message for any others."""
        black, white = values
        if not -math.inf < black < white < math.inf:
            raise argparse.ArgumentError(self, f"found {black:g} {white:g}, expected finite numbers, black below white")
        setattr(namespace, self.dest, (black, white))


def output(text: str) -> Path:
    """A file to be written, as ``source``, seen to before the work that it is for.

    Args:
        text: what was written there.

    Returns:
        The path.

    Raises:
        StorageError: it is a folder, or none can be written there.
    """
    return require_file(source(text))


def output_folder(text: str) -> Path:
    """A folder to write to, as ``source``, seen to before the work that it is for.

    Args:
        text: what was written there.

    Returns:
        The path; the folder need not exist.

    Raises:
        StorageError: it is a file, or cannot be written to.
    """
    return require_folder(source(text))


def _put_aside(error: SpoiledError) -> str:
    """What becomes of a spoiled file: in a job of the workflow it makes room for a new one."""
    path = error.path.resolve()  # an experiment's file is a link to it
    if not os.environ.get(REMADE) or not path.is_file():
        return ""
    aside = path.with_name(f"{path.name}.spoiled")
    path.replace(aside)
    return f". It was put aside as {aside}: the next snakemake makes it again"


def run(main: Callable[[], int | None]) -> None:
    """Runs a command; where it fails this process ends, with a message for what the user can mend.

    Args:
        main: the command; it returns its exit status, or None for 0.
    """
    if ended := _ended(main):
        sys.exit(ended)


def status(main: Callable[[], int | None]) -> int:
    """The exit status of a command; what the user can mend is said on stderr.

    Args:
        main: the command; it returns its exit status, or None for 0.

    Returns:
        What it returns, or 1; 130 where Ctrl-C ended it.
    """
    ended = _ended(main)
    if isinstance(ended, int):
        return ended
    print(ended, file=sys.stderr)
    return 1


def _ended(main: Callable[[], int | None]) -> int | str:
    """The exit status of a command, or what the user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")  # a name need not be UTF-8
    try:
        return main() or 0
    except SpoiledError as error:
        return f"error: {error}{_put_aside(error)}"
    except UserError as error:
        return f"error: {error}"
    except BrokenPipeError:  # whoever reads, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's own last flush fails
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        return f"error: {_named(error)}"


def _named(error: OSError) -> Exception:
    """What a file said that was opened, read or written; another failure of the system is raised again."""
    if error.errno in FULL or SHORT.fullmatch(str(error)):
        return storage(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), error.filename), Path())
    if error.filename is None or error.errno not in (*FORBIDDEN, *PLACES):
        raise error
    return UserError(
        f"{error.filename}: {error.strerror}; expected a file or folder that this user may read and write: see that "
        "the path is right, and its permissions"
    )
