"""A data set and a loss of somebody's own, a file each outside the package, through the whole workflow."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.test_dag import TINY, rows, snakemake

LOSS = re.search(r"^```python\n(.*?)^```$", (ROOT / "docs/how-to/loss.md").read_text(), re.MULTILINE | re.DOTALL)[1]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the toy set by a method with a term of its own."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "hetero.py").write_text(LOSS)
    (folder / "toy.py").write_text((ROOT / "tests/datasets/toy.py").read_text())
    own = {
        "plugins": ["toy.py", "hetero.py"],
        "run": {"name": "mine", "sets": ["toy"], "methods": ["base", "base_hetero"]},
        "methods": {"base_hetero": {"like": "base", "losses": {"hetero": 0.5}}},
        "data": {"toy": {"root": "stand-in", "epochs": 1, "processes": 2}},
        "stand_in": {"toy": {"like": "", "images": 2}},
        "figures": {"identities": 2, "queries": 1},
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(own))
    snakemake(folder, configs=(TINY, folder / "own.yaml"))
    return folder / "results/experiments/mine"


def test_the_set_has_its_table_figures_and_models(done: Path) -> None:
    table = rows(done / "toy_summary.csv")
    found = {(row["method"], row["direction"]) for row in table if row["feature"] == "bn"}
    both = ("visible-to-infrared", "infrared-to-visible")
    assert found == {(method, way) for method in ("untrained", "base", "base_hetero") for way in both}
    assert {row["data"] for row in table} == {"stand-in"}
    assert all(float(row["rank1"]) >= 0 for row in table)
    assert (done / "figures/toy_cmc.svg").is_file()
    record = json.loads((done / "tracking/toy_models.json").read_text())
    assert [row["method"] for row in record["versions"]] == ["base", "base_hetero"]


def test_the_term_is_trained_and_logged(done: Path) -> None:
    lines = (done / "toy/base_hetero/split1/metrics.jsonl").read_text().splitlines()
    steps = [line for line in map(json.loads, lines) if line["kind"] == "step"]
    assert steps
    assert all(line["hetero"] > 0 for line in steps)
    assert "hetero" in {row["panel"] for row in rows(done / "figures/toy_losses.csv")}
