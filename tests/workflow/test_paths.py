"""A checkout that lies in a folder with spaces, quotes and braces in its path runs like any other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from msclnet import config as settings
from msclnet.results import shared
from tests.conftest import ROOT
from tests.patience import PATIENCE

TINY = ROOT / "tests/workflow/tiny.yaml"


@pytest.mark.parametrize("name", ["my project", "{project} 1", "it's {so} & more"])
def test_a_checkout_anywhere_draws_checks_and_packs(tmp_path: Path, name: str) -> None:
    checkout = tmp_path / name
    for part in ("msclnet", "workflow", "config", "envs", "profiles"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "Snakefile", checkout / "Snakefile")
    shutil.copyfile(TINY, checkout / "tiny.yaml")
    config = settings.load(str(ROOT / "config/config.yaml"), str(TINY))
    pack = f"{shared.pack(config, 'regdb')}/pack.json"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        ["snakemake", "--cores", "1", "--configfile", "tiny.yaml", "--", pack, "results/regdb/data.json"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((checkout / pack).read_text())["images"]["visible"] == 36
    assert (checkout / "results/regdb/pack/visible.npy").is_file()
    plan = ["snakemake", "--cores", "1", "--configfile", "tiny.yaml", "--dry-run", "--quiet"]
    planned = subprocess.run(plan, cwd=checkout, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert planned.returncode == 0, planned.stdout + planned.stderr
