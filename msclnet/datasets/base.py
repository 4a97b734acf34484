"""What every data set's reader shares: a split, the listing of a folder, and problems collected into one error."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from msclnet.core.errors import DataError
from msclnet.core.files import open_regular
from msclnet.core.types import ImageRecord

SHOWN = 20  # problems printed before "and N more"
IDENTITY = re.compile(r"[0-9]{1,9}")
EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp"}


@dataclass(frozen=True)
class Split:
    """The images of one training and of its test, in the order of the set's own index files.

    ``validation`` are those of ``train`` that a list of the set's own names for validation, where it has one.
    """

    train: tuple[ImageRecord, ...]
    test: tuple[ImageRecord, ...]
    validation: tuple[ImageRecord, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What a reader found in a data set's folder."""

    title: str
    splits: dict[int, Split]
    counts: dict[str, int]
    expected: dict[str, int]  # of the same names, in the real set
    problems: list[str]  # each with its remedy
    notes: list[str] = field(default_factory=list)  # what stops nothing

    def require(self) -> dict[int, Split]:
        """The splits; raises DataError listing the problems, if there are any."""
        Problems(self.problems).raise_any(self.title)
        return self.splits

    def __str__(self) -> str:
        """A table of the counts beside the real set's, then the problems."""
        width = max(map(len, self.counts))
        lines = [self.title, f"  {'':{width}}  {'found':>8}  {'real set':>8}"]
        for name, count in self.counts.items():
            differs = "" if count == self.expected[name] else "  differs"
            lines.append(f"  {name:{width}}  {count:8,}  {self.expected[name]:8,}{differs}")
        notes = [f"left out: {Problems(self.notes)}"] if self.notes else []
        return "\n".join([*lines, *notes, str(Problems(self.problems)) if self.problems else "no problems"])


@dataclass
class Problems:
    """Collects what is amiss, so that a user mends everything at once."""

    lines: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        self.lines.append(problem)

    def __str__(self) -> str:
        """Their number, and the first ``SHOWN`` of them, a line each."""
        more = [f"... and {len(self.lines) - SHOWN} more"] if len(self.lines) > SHOWN else []
        return "\n  ".join([f"{len(self.lines)} problems", *self.lines[:SHOWN], *more])

    def raise_any(self, what: str) -> None:
        """Raises DataError listing the problems, if there are any."""
        if self.lines:
            raise DataError(f"{what}: {self}")


def compare(counts: dict[str, int], expected: dict[str, int], root: Path, problems: Problems) -> None:
    """Adds a problem for each count that is not the real set's."""
    for name, found in counts.items():
        if found != expected[name]:
            problems.add(f"{root}: {found} {name}, expected {expected[name]}; unpack the set again")


def read_lines(path: Path, problems: Problems) -> list[str]:
    """The lines of an index file, without CR and LF; none, and a problem, where it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read().decode(errors="replace").splitlines()
    except DataError as error:
        problems.add(str(error))
    except FileNotFoundError:
        problems.add(f"{path}: no such file; expected one of the set's own index files: copy it from its archive")
    except OSError as error:
        problems.add(f"{path}: not readable ({error.strerror}); make it readable, or copy it from the set's archive")
    return []


def read_identities(path: Path, problems: Problems) -> list[int]:
    """A file's comma-separated identities, sorted."""
    words = [word.strip() for line in read_lines(path, problems) for word in line.split(",") if word.strip()]
    if wrong := [word for word in words if not IDENTITY.fullmatch(word)]:
        problems.add(f"{path}: {wrong[0]!r} is no identity; expected integers separated by commas: restore the file")
    identities = [int(word) for word in words if IDENTITY.fullmatch(word)]
    if twice := sorted(identity for identity, count in Counter(identities).items() if count > 1):
        problems.add(f"{path}: names the identity {twice[0]} twice; expected each once: restore the file")
    return sorted(set(identities))


def require_layout(root: Path, folders: tuple[str, ...], key: str) -> None:
    """Raises DataError when ``root`` is absent or lacks ``folders``; names a subfolder that has them."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set {key} to the folder that holds {', '.join(folders)}")
    if missing := [name for name in folders if not (root / name).is_dir()]:
        nested = [path for path in sorted(root.iterdir()) if all((path / name).is_dir() for name in folders)]
        hint = (
            f"it lies one folder deeper: set {key} to {nested[0]}"
            if nested
            else f"check {key}, or unpack the set again"
        )
        raise DataError(f"{root}: has no {', '.join(missing)}; expected {', '.join(folders)}; {hint}")


def amiss(path: Path) -> str:
    """Why a listed image cannot be read, and what to do; empty where it is a file."""
    if os.path.isfile(path):  # False, where Path.is_file raises, for a name no file can have
        return ""
    try:
        os.stat(path)
    except PermissionError as error:
        return f"{path}: {error.strerror}; make it readable for this user"
    except (OSError, ValueError):
        pass
    return f"{path} does not exist; copy it from the set's archive"


def images_in(folder: Path, problems: Problems) -> list[str]:
    """The names of the images in ``folder``, sorted; strays of file managers are passed over.

    A name that is not UTF-8 is a problem, and left out: no list of images could say it.
    """
    if not folder.is_dir():
        return []
    names = sorted(
        path.name for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not path.name.startswith("._")
    )
    for name in names:
        if not _is_text(name):
            problems.add(f"{folder}: {name!a} is no name in UTF-8, or has control characters; rename the file")
    return [name for name in names if _is_text(name)]


def _is_text(name: str) -> bool:
    return name.isprintable()  # what is not UTF-8 is not, either
