"""Libraries that only some commands need: imported where they are used, missed with a word on how to install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msclnet.core.errors import UserError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Stands around imports that an ordinary installation lacks.

    Args:
        name: a group of optional dependencies in pyproject.toml.

    Raises:
        UserError: one of them is not installed; the message says how to install the group.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; this needs the extra {name!r}: pip install -e '.[{name}]'"
        ) from error
