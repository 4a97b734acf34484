"""Tables of things known by name, to which a file outside the package can add its own."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from msclnet.core.errors import ConfigError, nearest

PLUGINS = "MSCLNET_PLUGINS"  # files of Python, separated as PATH is: what the workflow hands on to its jobs


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Table(Generic[T]):
    """Entries by name, in the order in which they were added."""

    def __init__(self, kind: str, entries: Iterable[T]) -> None:
        """A table that holds ``entries``.

        Args:
            kind: what an entry is called in messages, e.g. ``data set``.
            entries: those to begin with.
        """
        self.kind = kind
        self._entries: dict[str, T] = {}
        for entry in entries:
            self.register(entry)

    def register(self, entry: T) -> T:
        """Adds an entry, in place of one of the same name from the same module.

        Args:
            entry: what to add.

        Returns:
            The entry.

        Raises:
            ConfigError: another module has added one of this name.
        """
        known = self._entries.get(entry.name)
        if known is not None and _origin(known) != _origin(entry):
            raise ConfigError(f"{self.kind} {entry.name!r}: there is one of this name already; choose another name")
        self._entries[entry.name] = entry
        return entry

    def get(self, name: str) -> T:
        """The entry called ``name``, perhaps from a plugin.

        Args:
            name: as the configuration writes it.

        Returns:
            The entry.

        Raises:
            ConfigError: there is none; the message names the nearest.
        """
        load_plugins()
        if name not in self._entries:
            raise ConfigError(f"{name!r} is no {self.kind}; {nearest(name, self._entries)}")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        load_plugins()
        return tuple(self._entries)

    def __iter__(self) -> Iterator[T]:
        load_plugins()
        return iter(tuple(self._entries.values()))


def _origin(entry: object) -> str:
    """The module that an entry comes from: as it says itself, or its class's."""
    return getattr(entry, "origin", type(entry).__module__)


def load_plugins(paths: Iterable[str] | None = None) -> None:
    """Runs each file of Python once in this process: it adds what it has to the tables.

    Args:
        paths: the files; those that the environment variable ``MSCLNET_PLUGINS`` names where it is None.

    Raises:
        ConfigError: a file is absent, or fails.
    """
    for given in os.environ.get(PLUGINS, "").split(os.pathsep) if paths is None else paths:
        if not given:
            continue
        path = Path(given).expanduser().resolve()
        name = f"msclnet_plugin_{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
        if name in sys.modules:
            continue
        if not path.is_file():
            raise ConfigError(f"plugins: {given}: no such file; expected a file of Python, from the working directory")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before it runs: dataclasses and pickles look there
        try:
            spec.loader.exec_module(module)
        except ConfigError:
            del sys.modules[name]
            raise
        except Exception as error:
            del sys.modules[name]
            raise ConfigError(f"plugins: {given}: {type(error).__name__}: {error}; correct the file") from error
