"""The workflow through a real Slurm: each job is queued, and the training runs across two nodes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.workflow import slurm
from tests.workflow.test_dag import TINY, rows, snakemake

CONFIGS = (TINY, ROOT / "tests/workflow/slurm.yaml")
SUMMARY = "results/regdb_summary.csv"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run through Slurm, and what its controller logged."""
    if reason := slurm.missing():
        pytest.skip(reason)
    folder, daemons = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("slurm")
    with slurm.started(daemons):
        # With no accounting only squeue knows the jobs. Few seconds to the first look, for the jobs take few.
        patience = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"]
        snakemake(folder, "--profile", "profiles/slurm", *patience, configs=CONFIGS)
    return folder, (daemons / "slurmctld.log").read_text()


def test_the_training_runs_across_both_nodes(cluster: tuple[Path, str]) -> None:
    folder, controller = cluster
    assert re.search(r"Allocate JobId=\d+ NodeList=n\[1-2\]", controller)
    (log,) = (folder / "results/logs").glob("train_regdb-msclnet-split1-*.log")
    assert set(re.findall(r"node (n\d): joins the 2 nodes that meet at", log.read_text())) == {"n1", "n2"}
    start = json.loads((folder / "results/regdb/msclnet/split1/metrics.jsonl").read_text().splitlines()[0])
    assert start["processes"] == 2


def test_every_job_that_computes_was_queued(cluster: tuple[Path, str]) -> None:
    """stand_in, check_data, pack; train, features and scores of both methods; explain."""
    assert len(re.findall(r"_job_complete: JobId=\d+ WEXITSTATUS 0", cluster[1])) == 10


def test_the_tables_are_those_of_one_machine(cluster: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = cluster
    shutil.copytree(folder / "data", tmp_path / "data")
    one_node = tmp_path / "one_node.yaml"
    one_node.write_text("run: {nodes_per_training: 1}")
    snakemake(tmp_path, SUMMARY, configs=(*CONFIGS, one_node))
    assert (tmp_path / SUMMARY).read_bytes() == (folder / SUMMARY).read_bytes()
    assert {row["method"] for row in rows(folder / SUMMARY)} == {"untrained", "msclnet"}
    assert (folder / "results/tracking/regdb.json").exists()
    assert (folder / "results/figures/regdb_cmc.svg").exists()
