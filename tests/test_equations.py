"""docs/equations.md names functions and tests that exist, and every loss has a row."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

import pytest

from msclnet.losses import cascade, complement, synergy
from tests.conftest import ROOT

TEXT = (ROOT / "docs/equations.md").read_text()
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "`msclnet." in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_a_row_leads_somewhere(row: str) -> None:
    module, name = re.search(r"`(msclnet[\w.]*)\.(\w+)`", row).groups()
    assert inspect.getdoc(getattr(importlib.import_module(module), name))
    path, test = re.search(r"`(tests/[\w/.]*)::(\w+)`", row).groups()
    defined = {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)}
    assert test in defined


@pytest.mark.parametrize("module", [synergy, complement, cascade])
def test_every_loss_has_a_row(module) -> None:
    functions = [
        name
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__ == module.__name__ and not name.startswith("_")
    ]
    assert functions
    missing = [name for name in functions if f"`{module.__name__}.{name}`" not in TEXT]
    assert not missing
