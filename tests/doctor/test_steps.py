"""A step is within its tolerance of float64, and one in a worse precision than it says is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from msclnet.doctor import steps
from msclnet.doctor.place import Place
from msclnet.doctor.steps import TOLERANCES, Taken, compared, of_method, recipes_steps

CPU = torch.device("cpu")


def test_each_precision_of_the_cpu_is_near_float64(drawn: Place) -> None:
    found = list(of_method(drawn, drawn.timed(), "msclnet", CPU, "given, "))
    assert [line.check for line in found] == ["given, msclnet, a step in float32", "given, msclnet, a step in bfloat16"]
    assert [line.status for line in found] == ["pass", "pass"]
    assert 0 < found[0].values["weights"] < found[1].values["weights"]


def test_the_recipes_step_is_looked_at_compiled_and_captured(drawn: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the code generator, which takes a minute; a captured step is repeated before it counts."""
    calls = 0

    def compile(function: Callable, *, fullgraph: bool, options: dict | None) -> Callable:
        def counted(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            return function(*arguments)

        return counted

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(steps, "can_compile", lambda device: True)
    found = [line for line in recipes_steps(drawn) if "a step in" not in line.check]
    assert [line.check for line in found] == [
        f"given, msclnet, a {kind} step in bfloat16" for kind in ("compiled", "captured")
    ]
    assert [line.status for line in found] == ["pass", "pass"]
    assert found[0].values == found[1].values, "what was taken before it was undone"
    assert calls == 1 + 4
    monkeypatch.setattr(steps, "can_compile", lambda device: False)
    assert not list(steps.compiled(drawn, drawn.timed(), "msclnet", CPU)), "the compiler has a line of its own"


def test_half_precision_is_not_taken_for_float32(drawn: Place) -> None:
    """As where a library rounds without being asked: float32's tolerance is too narrow for bfloat16."""
    narrow = dict.fromkeys(TOLERANCES, TOLERANCES["float32"])
    whole, half = of_method(drawn, drawn.default(), "agw", CPU, tolerances=narrow)
    assert whole.status == "pass"
    assert half.status == "fail"
    assert "do not train in this precision here" in half.remedy


def taken(loss: float, *moved: float) -> Taken:
    terms = {"wrt": torch.tensor(loss, dtype=torch.float64)}
    return Taken(terms, {"weight": torch.tensor(moved, dtype=torch.float64)})


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (taken(2.0, 1.0, 0.0), "pass"),
        (taken(2.0001, 1.0, 0.005), "pass"),
        (taken(2.001, 1.0, 0.0), "fail"),
        (taken(2.0, 1.0, 0.02), "fail"),
        (taken(2.0, 0.0, 0.0), "fail"),  # it has not moved
        (taken(float("nan"), 1.0, 0.0), "fail"),
        (taken(2.0, float("nan"), 0.0), "fail"),
        (taken(2.0, float("inf"), 0.0), "fail"),
    ],
)
def test_a_step_is_held_against_both_tolerances(found: Taken, status: str) -> None:
    assert compared("a step", found, taken(2.0, 1.0, 0.0), TOLERANCES["float32"]).status == status


def test_a_small_loss_is_held_against_one() -> None:
    """A loss of nearly nothing, relative to itself, would be all rounding."""
    assert compared("a step", taken(2e-5, 1.0), taken(1e-5, 1.0), TOLERANCES["float32"]).status == "pass"


def test_a_gpu_is_asked_which_precisions_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    for capability, expected in {
        (7, 5): ("float32", "float16"), (9, 0): ("float32", "tf32", "float16", "bfloat16"),
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, it=capability: it)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, it=capability: it >= (8, 0))
        assert steps.precisions(gpu) == expected
        assert set(expected) <= set(TOLERANCES)
