"""Which source files a script runs, and one name for what they say: an edit re-runs what used them.

The files are the closure of the script's imports within the package, those inside functions included. A module that is
named in a word (``"msclnet.losses.objective:sub"``) counts as imported, for tables import late what they list.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "msclnet"
WORD = re.compile(rf"{PACKAGE}(\.\w+)+(:\w+)?")


class Sources:
    """The package and the scripts under a folder, each file read once.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def digest(self, *scripts: str, without: Iterable[str] = (), beside: Iterable[Path] = ()) -> str:
        """One name for what some scripts run; comments and docstrings aside.

        Args:
            *scripts: paths from ``root``.
            without: modules and packages whose code no result depends on: left out, and not looked through.
            beside: files that count as well, as far as they exist: plugins, say.

        Returns:
            Twelve hexadecimal digits.
        """
        digest = hashlib.sha256()
        for path in sorted(self.closure(*scripts, without=without, beside=beside)):
            digest.update(_read(self.root / path)[0])
        return digest.hexdigest()[:12]

    def closure(self, *scripts: str, without: Iterable[str] = (), beside: Iterable[Path] = ()) -> set[str]:
        """The files that some scripts run, themselves among them.

        Args:
            *scripts: paths from ``root``.
            without: modules and packages left out, as in ``digest``.
            beside: files that count as well, as in ``digest``.

        Returns:
            Paths from ``root``.
        """
        left_out = tuple(without)
        found: set[str] = set()
        waiting = [*scripts, *(str(path) for path in beside if (self.root / path).is_file())]
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found.add(path)
            for name in _read(self.root / path)[1]:
                if not _within(name, left_out):
                    waiting += self._files(name, left_out)
        return found

    def _files(self, name: str, left_out: tuple[str, ...]) -> list[str]:
        """The files that are run when ``name``, a module or something in one, is imported: its packages' too."""
        parts = name.split(".")
        files = []
        for end in range(2, len(parts) + 1):  # the package's own __init__ only names what others hold
            path = Path(*parts[:end])
            for file in (path / "__init__.py", path.with_suffix(".py")):
                if _exists(self.root / file) and not _within(".".join(parts[:end]), left_out):
                    files.append(file.as_posix())
        return files


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@cache
def _exists(path: Path) -> bool:
    return path.is_file()


@cache
def _read(path: Path) -> tuple[bytes, frozenset[str]]:
    """A file's code without comments and docstrings, and the names within the package that it imports."""
    tree = ast.parse(path.read_bytes())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
            names.add(node.value.partition(":")[0])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree).encode(), frozenset(name for name in names if name.split(".")[0] == PACKAGE)
