"""1, 2 and 4 real gloo processes on the same global batch give the same losses and the same gradients."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from msclnet.doctor.ranks import NORMALISATIONS
from tests.conftest import ROOT
from tests.patience import PATIENCE

STEPS = ROOT / "msclnet/doctor/ranks.py"
METHODS = ("base", "agw", "msclnet", "msclnet_ca")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """Losses, gradients and BatchNorm's statistics of each method by the number of processes."""
    folder = tmp_path_factory.mktemp("ddp")
    for world in (1, 2, 4):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        subprocess.run(
            [*command, str(STEPS), str(folder / f"{world}.pt"), ",".join(NORMALISATIONS), *METHODS],
            check=True,
            timeout=PATIENCE,
        )
    return {world: torch.load(folder / f"{world}.pt", weights_only=True) for world in (1, 2, 4)}


@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_the_number_of_processes_changes_nothing(
    results: dict[int, Any], method: str, normalisation: str, world: int
) -> None:
    alone, shared = (results[n][f"{method}, {normalisation}"] for n in (1, world))
    assert any(gradient.abs().max() > 1e-3 for gradient in alone["gradients"].values())
    for kind in ("terms", "gradients", "statistics"):
        assert shared[kind].keys() == alone[kind].keys()
        for name, value in alone[kind].items():
            torch.testing.assert_close(shared[kind][name], value, rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_synchronised_statistics_are_not_the_fixed_ones(results: dict[int, Any], method: str) -> None:
    """What the comparison above would miss: a step in which BatchNorm normalised nothing anew."""
    fixed, synchronised = (results[2][f"{method}, {normalisation}"] for normalisation in NORMALISATIONS)
    moved = {
        name for name, value in synchronised["statistics"].items() if not torch.equal(value, fixed["statistics"][name])
    }
    assert {name.rsplit(".", 1)[1] for name in moved} == {"running_mean", "running_var", "num_batches_tracked"}
