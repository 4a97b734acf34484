"""How long a test waits: for an event, never for a span, and long enough for a machine at many times its load."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 600  # seconds: what has not come by then does not come


def until(ready: Callable[[], Found], missed: Callable[[], str] = lambda: "it does not come") -> Found:
    """Waits for what a function returns to be true, and returns it.

    Args:
        ready: looks.
        missed: says what is amiss when it has not come.

    Returns:
        What ``ready`` has found.

    Raises:
        AssertionError: it has not come in ``PATIENCE`` seconds.
    """
    end = time.monotonic() + PATIENCE
    while not (found := ready()):
        if time.monotonic() > end:
            raise AssertionError(missed())
        time.sleep(0.05)
    return found
