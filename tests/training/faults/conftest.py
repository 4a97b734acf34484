"""A training of twelve steps in four epochs, and what an undisturbed one leaves."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from msclnet.config import Config, TrainJob, replace, train_job
from msclnet.core import torch_file
from tests.training.faults.victim import finish, launch, run, start
from tests.training.test_trainer import pack  # noqa: F401

KEPT = ["config.yaml", "finished.json", "metrics.jsonl", "model.pt"]
CLOCK = {"time", "seconds", "images_per_second"}


@pytest.fixture(scope="session", autouse=True)
def _imported() -> None:
    """torch is imported, once, before any process is timed."""
    assert finish(start(time.sleep, 0)) == 0


@pytest.fixture(scope="session")
def job(default: Config) -> TrainJob:
    recipe = replace(
        default.train,
        identities=2,
        images=2,
        rate=0.05,
        warmup=1,
        milestones=(2,),
        factors=(0.5,),
        log_every=2,
        padding=2,
    )
    model = replace(default.model, parts=3, hidden=8, rank=4, rounds=2)
    whole = train_job(default, "sysu", "msclnet", 1)
    return replace(whole, train=recipe, model=model, epochs=4, processes=1, height=48, width=24)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two checkpoints are not bit for bit the same."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [line for key in one for line in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line for i, pair in enumerate(zip(one, other, strict=True)) for line in differences(*pair, f"{where}.{i}")
        ]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [where]
    return [] if one == other else [where]


@dataclasses.dataclass(frozen=True)
class Left:
    """What a finished training has left, without what depends on the clock."""

    model: bytes
    checkpoint: dict[str, Any]
    lines: list[dict[str, Any]]

    @classmethod
    def by(cls, folder: Path, steps: int = 12, ended: bool = True) -> Left:
        state = torch_file.load(folder.with_suffix(".kept") / f"checkpoint-{steps}.pt")
        state["record"] = {key: state["record"][key] for key in ("step", "count", "sums")}
        del state["code"]  # a name, of which nothing is computed
        lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        kept = [
            {k: v for k, v in line.items() if k not in CLOCK}
            for line in lines
            if line["kind"] not in ("start", "system")
        ]
        assert not ended or sorted(path.name for path in (folder / "work").iterdir()) == KEPT
        return cls((folder / "model.pt").read_bytes(), state, kept)

    def assert_equals(self, other: Left) -> None:
        assert self.lines == other.lines
        assert differences(self.checkpoint, other.checkpoint) == []
        assert self.model == other.model, "byte by byte"


@pytest.fixture(scope="session")
def alone(job: TrainJob, pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:  # noqa: F811
    """An undisturbed training by one process."""
    folder = tmp_path_factory.mktemp("alone") / "out"
    assert finish(start(run, job, pack, folder)) == 0
    return Left.by(folder)


@pytest.fixture(scope="session")
def pair(job: TrainJob, pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:  # noqa: F811
    """An undisturbed training by two processes."""
    folder = tmp_path_factory.mktemp("pair")
    assert finish(start(launch, 2, 0, folder / "log", job, pack, folder / "out", None, {})) == 0
    return Left.by(folder / "out")
