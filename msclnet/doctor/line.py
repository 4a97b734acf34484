"""What a check found: a line of the table on the terminal, and of the JSON file."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msclnet.core.errors import printable

Status = Literal["pass", "warn", "fail"]
NAME = 36  # characters of the column of names
LEAST = 40  # of the column beside it


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        check: what was looked at.
        status: ``pass``, ``warn`` (it works, and could be better) or ``fail``.
        found: what was found, in words.
        remedy: what to do about it; a line that passes needs none.
        values: the numbers in it, by name and unit, for whoever reads the file.
    """

    check: str
    status: Status
    found: str
    remedy: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, width: int) -> str:
        """The line as a terminal of ``width`` characters shows it."""
        head = f"{self.status}  {self.check:<{NAME}}  "
        first, *more = [
            *textwrap.wrap(self.found, max(LEAST, width - len(head))),
            *textwrap.wrap(self.remedy, max(LEAST, width - len(head)), initial_indent="-> ", subsequent_indent="   "),
        ] or [""]
        return printable("\n".join([head + first, *(" " * len(head) + line for line in more)]))


def passed(check: str, found: str, **values: Any) -> Line:
    """A line that passes."""
    return Line(check, "pass", found, values=values)


def warned(check: str, found: str, remedy: str, **values: Any) -> Line:
    """A line that warns; ``remedy`` is what to do."""
    return Line(check, "warn", found, remedy, values)


def failed(check: str, found: str, remedy: str, **values: Any) -> Line:
    """A line that fails; ``remedy`` is what to do."""
    return Line(check, "fail", found, remedy, values)
