"""What every data set's reader shares: a split, the listing of a folder, and problems collected into one error."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from msclnet.types import DataError, Record

SHOWN = 20  # problems printed before "and N more"
STRAY = {"thumbs.db", ".ds_store", "desktop.ini"}  # what file managers leave behind
EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp"}


@dataclass(frozen=True)
class Split:
    """The images of one training and of its test, in the order of the set's own index files."""

    train: tuple[Record, ...]
    test: tuple[Record, ...]


@dataclass
class Problems:
    """Collects what is amiss, so that a user mends everything at once."""

    lines: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        self.lines.append(problem)

    def raise_any(self, what: str) -> None:
        """Raises DataError listing the problems, if there are any."""
        if self.lines:
            more = [f"... and {len(self.lines) - SHOWN} more"] if len(self.lines) > SHOWN else []
            raise DataError(f"{what}: {len(self.lines)} problems\n  " + "\n  ".join(self.lines[:SHOWN] + more))


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


def images_in(folder: Path) -> list[str]:
    """The names of the images in ``folder``, sorted; strays of file managers are passed over."""
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in EXTENSIONS and path.name.lower() not in STRAY and not path.name.startswith("._")
    )
