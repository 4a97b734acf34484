"""A training is killed in earnest and goes on; a model that is not the undisturbed one's is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from msclnet.core import torch_file
from msclnet.doctor.isolation import Check, run
from msclnet.doctor.place import Place
from msclnet.doctor.resume import compared
from tests.patience import PATIENCE


def test_a_killed_training_goes_on_to_the_same_bits(drawn: Place) -> None:
    """In a process that has used no threads, as every check is."""
    (line,) = run(Check("a kill", "msclnet.doctor.resume:resume", PATIENCE), drawn)
    assert line.status == "pass", line.found
    assert "of 12 steps: the model is that of an undisturbed training, to the bit" in line.found


@pytest.mark.parametrize(
    ("change", "exactly", "status"),
    [
        (0.0, True, "pass"),
        (1e-6, True, "fail"),
        (1e-6, False, "warn"),
        (0.1, False, "fail"),
        (float("nan"), False, "fail"),
    ],
)
def test_what_differs_is_held_against_what_the_device_can(
    tmp_path: Path, change: float, exactly: bool, status: str
) -> None:
    one, other = tmp_path / "one.pt", tmp_path / "other.pt"
    torch_file.save(one, {"network": {"weight": torch.ones(4)}, "step": 3})
    torch_file.save(other, {"network": {"weight": torch.ones(4) + change}, "step": 3})
    line = compared(one, other, 5, exactly)
    assert line.status == status
    assert line.found.startswith("SIGKILL after 5 of 12 steps: ")
    assert bool(line.remedy) == (status != "pass")
