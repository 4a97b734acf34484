"""A small model and a small gallery, for all tests of a model in use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from msclnet.config import Config, Model, TrainJob, plain, replace, train_job
from msclnet.model.files import save_model
from msclnet.training.learner import build_network
from tests.datasets import trees

IDENTITIES = 5


@pytest.fixture(scope="session")
def job(default: Config) -> TrainJob:
    model: Model = replace(default.model, parts=3, hidden=8, rank=4, rounds=2)
    return replace(train_job(default, "regdb", "msclnet", 1), model=model, height=48, width=24)


def write_model(path: Path, job: TrainJob, seed: int = 0) -> Path:
    """A network whose batch normalisations have seen something, so that no layer is left at its start."""
    network = build_network(job, IDENTITIES)
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
        if name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, network, plain(job))
    return path


@pytest.fixture(scope="session")
def model(job: TrainJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``.../msclnet/split1/model.pt``."""
    return write_model(tmp_path_factory.mktemp("trained") / "msclnet/split1/model.pt", job)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Visible/ and Thermal/, twelve drawn images each."""
    return trees.regdb(tmp_path / "people")
