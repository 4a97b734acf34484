"""A term of a user's own file trains and is logged, and its model loads where that file is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import msclnet
from msclnet.config import TrainJob, plain
from msclnet.inference.info import info
from tests.conftest import ROOT
from tests.training.test_trainer import job as job
from tests.training.test_trainer import pack as pack

PLUGIN = '''
"""The squared length of f^s and of f hat, which no term of the package reads in this way."""

from msclnet.losses.table import TERMS, Term


def length(synergistic, hat):
    return synergistic.square().mean() + hat.square().mean()


TERMS.register(Term("length", length, ("synergy_neck", "infrared_normalised")))
'''


@pytest.fixture
def trained(job: TrainJob, pack: Path, tmp_path: Path) -> Path:
    """The folder of two epochs by identity and the toy term, in a process that knows its file."""
    (tmp_path / "length.py").write_text(PLUGIN)
    values = plain(job)
    values |= {"epochs": 2, "method": values["method"] | {"losses": {"identity": 1.0, "length": 0.25}}}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(values))
    script = ROOT / "workflow/scripts/train.py"
    command = [sys.executable, script, "--job", tmp_path / "job.yaml", "--pack", pack, "--out", tmp_path / "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MSCLNET_PLUGINS": str(tmp_path / "length.py")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tmp_path / "out"


def test_a_users_term_trains_and_its_model_loads_without_it(trained: Path) -> None:
    lines = list(map(json.loads, (trained / "metrics.jsonl").read_text().splitlines()))
    steps = [line for line in lines if line["kind"] == "step"]
    assert steps
    for line in steps:
        assert line["total"] == pytest.approx(line["identity"] + 0.25 * line["length"], rel=1e-5)
    assert len({line["length"] for line in steps}) == len(steps), "it moves"
    assert all("length" in line for line in lines if line["kind"] == "epoch")

    network = msclnet.load_model(trained / "model.pt")
    assert {name for name, _ in network.named_children()} == {
        "backbone", "bottleneck", "classifier", "instance_norm", "synergy", "synergy_neck",
        "part_masks",
    }  # fmt: skip
    with torch.no_grad():
        assert network.embed(torch.zeros(1, 3, 48, 24), "visible").bn.isfinite().all()
    assert "length: 0.25" in info(trained / "model.pt")
