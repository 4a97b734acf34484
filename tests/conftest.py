"""What several rooms' tests start from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from msclnet import config as settings

ROOT = Path(__file__).parents[1]
LISTS = os.environ.get("MSCLNET_REAL_LISTS", "")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in the trainings: the workers of a parallel test run share the cores, and sums keep their order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_lists() -> Path:
    """A folder with the real sets' own lists: ``regdb/idx``, ``sysu/exp``, ``llcm/idx``. They may not be passed on."""
    if not LISTS:
        pytest.skip("MSCLNET_REAL_LISTS names no folder with the real sets' lists")
    return Path(LISTS)


@pytest.fixture(scope="session")
def default() -> settings.Config:
    """The default configuration."""
    return settings.load(str(ROOT / "config/config.yaml"))


@pytest.fixture(scope="session")
def paper() -> settings.Config:
    """The paper's configuration, laid over the default as Snakemake lays it."""
    return settings.load(str(ROOT / "config/config.yaml"), str(ROOT / "config/paper.yaml"))
