"""What several rooms' tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from msclnet import config as settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in the trainings: the workers of a parallel test run share the cores, and sums keep their order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def default() -> settings.Config:
    """The default configuration."""
    return settings.load(str(ROOT / "config/config.yaml"))


@pytest.fixture(scope="session")
def paper() -> settings.Config:
    """The paper's configuration, laid over the default as Snakemake lays it."""
    return settings.load(str(ROOT / "config/config.yaml"), str(ROOT / "config/paper.yaml"))
