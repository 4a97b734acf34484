"""benchmarks/search.py runs, goes on where it was, and measures what it says."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_the_benchmark_of_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--images", "6000", "--dimension", "64", "--queries", "20", "--probes", "1", "1000"]
    monkeypatch.setattr(sys, "argv", ["search.py", *arguments, "--folder", str(tmp_path)])
    for _ in range(2):
        runpy.run_path(str(ROOT / "benchmarks/search.py"), run_name="__main__")
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["step"] for row in rows[:4]] == ["store", "build", "open", "exact, 20 queries at once"]
        assert rows[0]["bytes"] == 6000 * 64 * 4
        one, all_cells = (row for row in rows if row["step"] == "index, a query")
        assert 0.1 < one["recall"] < 0.9, "the synthetic features are not so easy that a cell would do"
        assert all_cells["recall"] > 0.98
