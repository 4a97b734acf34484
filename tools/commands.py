"""Every command of the repository as its own parser tells it: docs/reference/commands.md, and the check of the pages.

python tools/commands.py            prints the page
"""

from __future__ import annotations

import argparse
import os
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
COLUMNS = "88"  # of the help texts
MSCLNET = ROOT / "msclnet/cli.py"
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
INTRODUCTION = """# Commands

Each by its own `--help`. `msclnet` is installed with the package; the scripts are what the rules of the workflow
run, and run by hand the same: `python workflow/scripts/NAME.py`.
"""


class _Parsed(Exception):
    """Carries the parser out of a ``main`` that is about to read its command line."""


def parser_of(path: Path) -> argparse.ArgumentParser:
    """The parser that the script at ``path`` makes, named as the script is called; nothing else of its work is done."""

    def stop(self: argparse.ArgumentParser, *_: object, **__: object) -> Any:
        raise _Parsed(self)

    readers = {"parse_args": stop, "parse_known_args": stop}
    with mock.patch.multiple(argparse.ArgumentParser, **readers), mock.patch("sys.argv", [path.name]):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except _Parsed as parsed:
            return parsed.args[0]
    raise ValueError(f"{path}: parses no command line; expected a script with argparse")


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of its subcommands by name; none of a parser without."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def page() -> str:
    """The page in Markdown: ``msclnet`` by subcommand, then each script of the workflow."""
    with mock.patch.dict(os.environ, {"COLUMNS": COLUMNS, "NO_COLOR": "1"}):
        return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    parser = parser_of(MSCLNET)
    yield f"## msclnet\n\n{_help(parser)}"
    for name, command in commands_of(parser).items():
        yield f"### msclnet {name}\n\n{_help(command)}"
    yield "## Scripts of the workflow\n"
    for path in SCRIPTS:
        parser = parser_of(path)
        yield f"### {path.name}\n\n{_help(parser)}"
        for name, command in commands_of(parser).items():
            yield f"#### {path.name} {name}\n\n{_help(command)}"


def _help(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help()}```\n"


if __name__ == "__main__":
    print(page())
