"""Where an experiment's results lie, by the words that Snakemake is given."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

SUMMARY = "data,method,feature,direction,trials,rank1,rank1_std\nstand-in,agw,bn,visible-to-infrared,2,61.00,1.50\n"


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the script prints in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["where.py", *arguments])
        runpy.run_path(str(ROOT / "workflow/scripts/where.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_the_folder_is_that_of_the_experiment(tmp_path: Path, where: Callable[..., str]) -> None:
    (tmp_path / "mine.yaml").write_text("run: {name: wide}\ntrain: {rate: 0.2}\n")
    (tmp_path / "other.yaml").write_text("seed: 1\n")
    assert where("--folder") == "results\n"
    assert where("--folder", "--configfile", "other.yaml") == "results/experiments/other\n", "named after its file"
    assert where(
        "--folder", "--cores", "2", "-n", "--configfile", "mine.yaml", "other.yaml", "--forcerun", "train"
    ) == ("results/experiments/wide\n")
    assert where("--folder", "--configfiles", "mine.yaml", "--config", "run={name: long}", "seed=3") == (
        "results/experiments/long\n"
    )
    assert where("--folder", "--configfile=mine.yaml", "results/regdb_summary.csv") == "results/experiments/wide\n"


def test_what_is_no_configuration_is_named(where: Callable[..., str]) -> None:
    with pytest.raises(SystemExit, match=r"error: none.yaml: no such configuration file"):
        where("--configfile", "none.yaml")
    with pytest.raises(SystemExit, match=r"error: --config seed: expected KEY=VALUE"):
        where("--config", "seed")


def test_the_headline_is_the_experiments_own(tmp_path: Path, where: Callable[..., str]) -> None:
    folder = tmp_path / "results/experiments/wide"
    folder.mkdir(parents=True)
    (folder / "regdb_summary.csv").write_text(SUMMARY)
    (tmp_path / "results/sysu_summary.csv").write_text(SUMMARY)
    text = where("--config", "run={name: wide}")
    assert "mean and standard deviation over 2 splits, a training each, in brackets:" in text
    assert "61.00 (1.50)" in text
    assert f"Report:   {folder}/report.html" in text
    assert "sysu" not in text
    assert "sysu_summary.csv, the BN feature; percent, mean and standard deviation over 2 gallery draws" in where()
