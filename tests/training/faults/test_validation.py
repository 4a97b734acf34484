"""Two processes score held-out identities together: as one would, in step, and through a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from msclnet.config import TrainJob, replace
from msclnet.data.pack import Pack
from msclnet.model.files import open_model
from msclnet.training.process_group import Processes
from msclnet.training.validation import Validation, held_out
from tests.training.faults.conftest import differences
from tests.training.faults.victim import LONG, Fault, finish, launch, start

STEP = "msclnet.training.trainer.train_step"
ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def validated(job: TrainJob) -> TrainJob:
    """By RegDB's rules; two of the pack's four identities are held out. Each process normalises its own share."""
    recipe = replace(job.train, validate_every=1, validation_fraction=0.5, keep="best_validation")
    return replace(job, set="regdb", train=recipe, method=replace(job.method, nonlocal_="none"))


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    found = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "time"} for line in found if line["kind"] == kind]


def together(job: TrainJob, pack: Path, folder: Path, fault: Fault | None = None, **options: Any) -> Path:
    folder.mkdir()
    restarts = 1 if fault and fault.what == "kill" else 0
    status = finish(start(launch, 2, restarts, folder / "log", job, pack, folder / "out", fault, options))
    assert status == 0, (folder / "log").read_text()
    return folder / "out"


@pytest.fixture(scope="module")
def whole(validated: TrainJob, pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed training that is scored after each epoch."""
    return together(validated, pack, tmp_path_factory.mktemp("whole") / "pair")


def test_two_processes_score_what_one_would(validated: TrainJob, pack: Path, tmp_path: Path, whole: Path) -> None:
    """With the statistics of the first process, which are the model's."""
    last = replace(validated, train=replace(validated.train, keep="last", validate_every=validated.epochs))
    out = together(last, pack, tmp_path / "pair")
    (scored,) = lines(out, "validation")
    assert scored == lines(whole, "validation")[-1]
    assert lines(out, "step") == lines(whole, "step"), "scoring each epoch leaves no trace in the training"
    opened = Pack.open(pack)
    alone = Validation(last, opened, held_out(last, opened), ALONE)
    found = alone.score(validated.epochs, open_model(out / "model.pt").network)
    for metric, value in found.items():
        assert scored[metric] == pytest.approx(value, abs=1e-3), metric
    assert len(lines(whole, "validation")) == validated.epochs


@pytest.mark.parametrize("step", [5, 10])
def test_a_killed_process_costs_neither_the_curve_nor_the_best_weights(
    validated: TrainJob, pack: Path, tmp_path: Path, whole: Path, step: int
) -> None:
    out = together(validated, pack, tmp_path / "pair", Fault("kill", STEP, step, rank=1), checkpoint_every=0)
    assert lines(out, "validation") == lines(whole, "validation")
    ours, theirs = (open_model(folder / "model.pt") for folder in (out, whole))
    assert ours.validation == theirs.validation
    assert differences(dict(ours.network.state_dict()), dict(theirs.network.state_dict())) == []


def test_a_validation_longer_than_the_time_out_ends_no_process(
    validated: TrainJob, pack: Path, tmp_path: Path, whole: Path
) -> None:
    """Each embeds its share meanwhile, so none waits for another so long."""
    slow = Fault("take long", "msclnet.training.validation.embed", 1, rank=None)
    out = together(validated, pack, tmp_path / "pair", slow, timeout=LONG - 2)
    assert lines(out, "validation") == lines(whole, "validation")
