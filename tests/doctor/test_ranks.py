"""What processes give is compared tensor by tensor. tests/training/ddp runs the comparison itself, with 1, 2 and 4."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from msclnet.doctor.place import Place
from msclnet.doctor.ranks import Found, compared, counts, launched

PLACE = Place(Path("."), Path("."), 0, 2, 1)


@pytest.mark.parametrize(
    ("most", "tried"), [(1, []), (2, [2]), (3, [2]), (4, [2, 4]), (6, [2, 4]), (8, [2, 4, 8]), (64, [2, 4, 8])]
)
def test_the_numbers_that_are_tried(most: int, tried: list[int]) -> None:
    assert counts(most) == tried


def found(*values: float) -> dict[str, Found]:
    tensors = {"weight": torch.tensor(values, dtype=torch.float64), "empty": torch.zeros(0)}
    return {"agw, synchronised": {"gradients": tensors}}


@pytest.mark.parametrize(
    ("shared", "status"),
    [((1.0, 2.0), "pass"), ((1.0, 2.0 + 1e-7), "pass"), ((1.0, 2.001), "fail"), ((1.0, float("nan")), "fail")],
)
def test_a_gradient_that_differs_fails(shared: tuple[float, ...], status: str) -> None:
    line = compared(PLACE, 2, found(1.0, 2.0), found(*shared))
    assert (line.check, line.status) == ("2 processes by gloo", status)
    if status == "fail":
        assert "(agw, synchronised, gradients weight)" in line.found
        assert "run.gpus_per_training: 1" in line.remedy


def test_two_processes_started_as_a_training_is(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path, 0, 2, 2)
    alone, shared = (launched(place, world, ("agw",)) for world in (1, 2))
    line = compared(place, 2, alone, shared)
    assert line.status == "pass"
    assert shared["agw, synchronised"]["gradients"]


def test_processes_that_fail_are_no_result(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="1 processes ended with status 1"):
        launched(Place(tmp_path, tmp_path, 0, 1, 1), 1, ("no method",))
