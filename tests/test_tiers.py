"""The markers that tests/conftest.py gives, by which `make test-fast` chooses."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT, TIERS, tiers


@pytest.mark.parametrize("place", [place for places in TIERS.values() for place in places])
def test_a_place_that_has_a_marker_exists(place: str) -> None:
    path, _, name = place.partition("::")
    assert (ROOT / path).exists()
    assert not name or re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_a_test_has_the_markers_of_its_folder_its_file_and_its_own() -> None:
    assert tiers("tests/workflow/test_slurm.py::test_any[case]") == {"workflow", "cluster"}
    assert tiers("tests/browser/test_mlflow_ui.py::test_any") == {"browser"}
    assert tiers("tests/test_docs.py::test_the_picture_of_the_rules_is_the_codes") == {"workflow"}
    assert tiers("tests/test_docs.py::test_links_lead_somewhere[README.md]") == set()
    assert tiers("tests/workflows.py::test_any") == set()


def test_the_fast_tier_is_what_has_none_of_them() -> None:
    choice = re.search(r'^test-fast:.*\n\tpytest .*-m "([^"]+)"', (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert choice
    assert choice[1] == f"not ({' or '.join(['slow', *(tier for tier in TIERS if tier != 'slow')])})"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", choice[1], "tests/browser", "tests/core"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    chosen = [line for line in done.stdout.splitlines() if "::" in line]
    assert chosen, done.stderr
    assert all(line.startswith("tests/core/") for line in chosen)
