"""Libraries that only some commands need: imported where they are used, missed with a word on how to install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msclnet.core.errors import UserError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of the optional dependencies ``name`` of pyproject.toml: UserError when one is absent."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; this needs the extra {name!r}: pip install -e '.[{name}]'"
        ) from error
