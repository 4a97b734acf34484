"""Experiments side by side in one clone: what they share, what is each one's own, and what is made again when."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from msclnet.config import merge, read_yaml
from tests.conftest import ROOT
from tests.workflow.test_dag import TINY, planned, rows, snakemake

# One method on two splits: the smallest run with a table that another could cut.
SMALL = {"run": {"sets": ["regdb"], "methods": ["base"]}}
FIRST, OTHER = "first.yaml", "other.yaml"


def configuration(folder: Path, name: str, **changes: Mapping[str, Any]) -> tuple[Path]:
    """A user's own file, whole in itself and without a word on the experiment's name unless ``changes`` has one."""
    values = merge(read_yaml(str(TINY)), SMALL)
    del values["run"]["name"]
    (folder / name).write_text(yaml.safe_dump(merge(values, changes)))
    return (folder / name,)


def contents(folder: Path, *parts: str, without: Iterable[str] = ("logs", "benchmarks")) -> dict[str, str]:
    """The sha256 of every file under the parts, but for what tells of a run and not of its result."""
    found = (path for part in parts for path in sorted((folder / part).rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if not set(without) & set(path.relative_to(folder).parts)
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the experiment called default."""
    folder = tmp_path_factory.mktemp("experiments")
    snakemake(folder, configs=configuration(folder, FIRST, run={"name": "default"}))
    return folder


@pytest.fixture
def first(done: Path) -> tuple[Path]:
    return (done / FIRST,)


def runs_of(folder: Path, experiment: str) -> list[tuple[object, ...]]:
    """What MLflow holds of an experiment's runs."""
    code = (
        "import mlflow, json, sys; c = mlflow.MlflowClient(sys.argv[1]); e = c.get_experiment_by_name(sys.argv[2]);"
        "print(json.dumps(sorted([r.info.run_name, r.info.status, *map(sorted, (r.data.metrics.items(),"
        " r.data.params.items(), r.data.tags.items()))] for r in c.search_runs([e.experiment_id]))))"
    )
    command = ["python", "-c", code, f"sqlite:///{folder}/mlflow.db", experiment]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def store_of(folder: Path, model: Path) -> Path:
    """Where a model was trained: the other name of the same file."""
    (found,) = (path for path in (folder / "results/trainings").glob("*/model.pt") if path.samefile(model))
    return found


def test_a_configuration_of_ones_own_takes_nothing_from_a_finished_experiment(done: Path, first: tuple[Path]) -> None:
    """Other weights, another length, one split: its results lie beside, under the name of its file."""
    finished = contents(done, "results", "data", "mlartifacts")
    tracked = runs_of(done, "RegDB (stand-in)")
    drawn = {path: path.stat().st_mtime_ns for path in (done / "data").rglob("*") if path.is_file()}
    other = configuration(done, OTHER, train={"rate": 0.01}, data={"regdb": {"epochs": 1, "splits": [1]}})
    snakemake(done, configs=other)
    own = done / "results/experiments/other"
    assert {row["trials"] for row in rows(own / "regdb_summary.csv")} == {"1"}
    assert (own / "regdb/base/split1/model.pt").is_file()
    now = contents(done, "results", "data", "mlartifacts")
    assert {path: now.get(path) for path in finished} == finished
    assert runs_of(done, "RegDB (stand-in)") == tracked
    assert len(runs_of(done, "RegDB (stand-in), other")) == 4, "base, untrained, and a split of each"
    assert {path: path.stat().st_mtime_ns for path in drawn} == drawn
    assert "Nothing to be done" in snakemake(done, "--dry-run", configs=first)
    assert "Nothing to be done" in snakemake(done, "--dry-run", configs=other)


def test_what_is_the_same_is_shared(done: Path, tmp_path: Path) -> None:
    """Another way of scoring trains nothing; the models are the same files."""
    flipped = configuration(tmp_path, "flipped.yaml", evaluate={"flip": True})
    plan = planned(snakemake(done, "--dry-run", configs=flipped))
    assert not {"stand_in", "check_data", "pack", "train"} & set(plan)
    target = "results/experiments/flipped/regdb/base/split1/model.pt"
    snakemake(done, target, configs=flipped)
    assert (done / target).samefile(done / "results/regdb/base/split1/model.pt")
    fewer = configuration(tmp_path, "fewer.yaml", data={"regdb": {"splits": [1]}})
    plan = planned(snakemake(done, "--dry-run", configs=fewer))
    assert not {"check_data", "pack", "train"} & set(plan)
    larger = configuration(tmp_path, "larger.yaml", data={"height": 96, "width": 48})
    plan = planned(snakemake(done, "--dry-run", configs=larger))
    assert (plan["stand_in"], plan["pack"], plan["train"]) == (0, 1, 3), "two splits, and the untrained network"


def test_a_name_in_the_configuration_counts_more_than_the_files(done: Path, tmp_path: Path) -> None:
    named = configuration(tmp_path, "file.yaml", run={"name": "mine"})
    output = snakemake(done, "--dry-run", configs=named)
    assert "results/experiments/mine/regdb_summary.csv" in output
    assert "results/experiments/file" not in output
    bad = configuration(tmp_path, "bad.yaml", run={"name": "../up"})
    output = snakemake(done, "--dry-run", configs=bad, check=False)
    assert "run.name" in output
    assert "Traceback" not in output


def test_what_is_missing_and_wanted_is_made_again(done: Path, first: tuple[Path]) -> None:
    model = done / "results/regdb/base/split1/model.pt"
    trained = store_of(done, model)
    content = model.read_bytes()
    model.unlink()
    assert planned(snakemake(done, "--dry-run", configs=first))["train"] == 0
    snakemake(done, configs=first)
    assert model.read_bytes() == content
    model.unlink()
    trained.unlink()
    assert planned(snakemake(done, "--dry-run", configs=first))["train"] == 1
    scores = done / "results/regdb/untrained/split2/scores.json"
    scores.unlink()
    assert planned(snakemake(done, "--dry-run", configs=first))["evaluate_regdb"] >= 1
    snakemake(done, configs=first)
    assert model.read_bytes() == content
    assert scores.is_file()


def test_forcerun_trains_from_the_first_step(done: Path, first: tuple[Path]) -> None:
    model = store_of(done, done / "results/regdb/base/split2/model.pt")
    began = json.loads((model.parent / "metrics.jsonl").read_text().splitlines()[0])["time"]
    content = model.read_bytes()
    target = str(model.relative_to(done))
    snakemake(done, "--forcerun", target, "--", target, configs=first)
    lines = [json.loads(line) for line in (model.parent / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["time"] > began
    assert Counter(line["kind"] for line in lines)["start"] == 1
    assert model.read_bytes() == content, "the same training gives the same bits"
    snakemake(done, configs=first)  # what follows from it, for the tests below


PLANTED = {  # an edited source -> a rule that it re-runs, and one that it does not; "" is none
    "msclnet/training/batch_norm.py": ("train", "pack"),
    "msclnet/training/schedule.py": ("train", "pack"),
    "msclnet/training/trainer.py": ("train", "stand_in"),
    "msclnet/core/types.py": ("train", ""),
    "msclnet/data/sampling.py": ("train", "pack"),
    "msclnet/data/augmentation.py": ("train", "pack"),
    "msclnet/losses/cascade.py": ("train", "pack"),
    "msclnet/losses/table.py": ("train", "pack"),
    "msclnet/model/gem.py": ("train", "check_data"),
    "msclnet/evaluation/metrics.py": ("evaluate_regdb", "train"),
    "msclnet/evaluation/embedding.py": ("features", "train"),
    "msclnet/datasets/protocol.py": ("evaluate_regdb", "train"),
    "msclnet/datasets/regdb.py": ("check_data", ""),
    "msclnet/standin/people.py": ("stand_in", ""),
    "msclnet/data/images.py": ("pack", ""),
    "msclnet/results/tables.py": ("aggregate", "train"),
    "msclnet/report/figures/embedding.py": ("plot_embedding", "plot_losses"),
    "msclnet/report/explain/ranked.py": ("explain", "train"),
    "msclnet/tracking/server.py": ("track", "train"),
    "msclnet/core/errors.py": ("", "train"),
    "msclnet/launch/torchrun.py": ("", "train"),
    "msclnet/config/schema.py": ("", "train"),
    "workflow/scripts/pack.py": ("pack", "stand_in"),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, to be edited."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("msclnet", "workflow", "config", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    return folder


def planned_by(checkout: Path, done: Path, first: tuple[Path]) -> set[str]:
    command = ["snakemake", "--directory", str(done), "--configfile", str(first[0]), "--cores", "2", "--dry-run"]
    result = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return {rule for rule, count in planned(result.stdout + result.stderr).items() if count}


@pytest.mark.parametrize("path", PLANTED)
def test_an_edit_re_runs_what_used_the_code_and_nothing_else(
    path: str, checkout: Path, done: Path, first: tuple[Path]
) -> None:
    again, untouched = PLANTED[path]
    file = checkout / path
    before = file.read_text()
    try:
        file.write_text(before + "\nPLANTED = 1\n")
        plan = planned_by(checkout, done, first)
    finally:
        file.write_text(before)
    assert not again or again in plan, plan
    assert untouched not in plan, plan


@pytest.mark.parametrize("path", ["msclnet/evaluation/metrics.py", "msclnet/datasets/protocol.py"])
def test_an_edit_of_the_scoring_retrains_what_is_validated_by_it(path: str, checkout: Path, tmp_path: Path) -> None:
    def codes(every: int) -> set[str]:
        overlay = f"train: {{validate_every: {every}, validation_fraction: 0.4}}"
        (tmp_path / "overlay.yaml").write_text(overlay)
        configs = [str(ROOT / "tests/workflow/tiny.yaml"), str(tmp_path / "overlay.yaml")]
        command = ["snakemake", "--directory", str(tmp_path), "--configfile", *configs, "--cores", "2", "-n", "-p"]
        result = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return set(re.findall(r'/train\.py"? .* --code (\w+)', result.stdout + result.stderr))

    file = checkout / path
    before, text = [codes(every) for every in (0, 1)], file.read_text()
    assert [len(found) for found in before] == [1, 1]
    try:
        file.write_text(text + "\nPLANTED = 1\n")
        after = [codes(every) for every in (0, 1)]
    finally:
        file.write_text(text)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]


def test_a_comment_re_runs_nothing(checkout: Path, done: Path, first: tuple[Path]) -> None:
    files = {file: file.read_text() for file in (checkout / "msclnet").rglob("*.py")}
    for file, text in files.items():
        file.write_text(text + "\n# a comment\n")
    try:
        assert planned_by(checkout, done, first) == set()
    finally:
        for file, text in files.items():
            file.write_text(text)
