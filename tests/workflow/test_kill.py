"""Snakemake killed in the midst of a training, and started again."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from msclnet.config import TrainJob, build, read_yaml
from tests.conftest import ROOT
from tests.training.faults.victim import finish, run, start

TINY = ROOT / "tests/workflow/tiny.yaml"
TARGET = Path("results/sysu/base/split1")


def test_after_a_kill_of_snakemake_the_next_one_continues(tmp_path: Path) -> None:
    longer = tmp_path / "longer.yaml"
    longer.write_text("data: {sysu: {epochs: 12}}")
    command = ["snakemake", "--directory", str(tmp_path), "--cores", "2", "--configfile", str(TINY), str(longer)]
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen([*command, "--", str(TARGET / "model.pt")], cwd=ROOT, stdout=log, stderr=log)
        while not list(tmp_path.glob("results/trainings/sysu-base-split1-*/work/checkpoint-*.pt")):
            assert first.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        first.kill()
        first.wait()
        subprocess.run([*command, "--unlock"], cwd=ROOT, stdout=log, stderr=log, check=True)
        subprocess.run([*command, "--", str(TARGET / "model.pt")], cwd=ROOT, stdout=log, stderr=log, check=True)
    (trained,) = tmp_path.glob("results/trainings/sysu-base-split1-*")
    lines = list(map(json.loads, (trained / "metrics.jsonl").read_text().splitlines()))
    assert [line["kind"] for line in lines].count("start") == 2, "it went on from a checkpoint"
    job = build(TrainJob, read_yaml(str(trained / "config.yaml")))
    (pack,) = (tmp_path / "data/packs").glob("sysu-*")
    assert finish(start(run, job, pack, tmp_path / "undisturbed")) == 0
    assert (tmp_path / TARGET / "model.pt").read_bytes() == (tmp_path / "undisturbed/model.pt").read_bytes()
