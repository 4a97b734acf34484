"""Whether torch can use the GPUs of a job is said before any work."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
import torch

from msclnet.core.errors import ConfigError
from msclnet.launch import usable
from msclnet.launch.gpu_lease import LEASED
from msclnet.launch.gpu_list import DeviceError
from msclnet.launch.usable import require_compiler, require_precision, require_usable

BUILT = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_120", "compute_120"]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A card that torch sees, of capability 9.0."""
    for name, value in {
        "is_available": True, "device_count": 1, "get_device_capability": (9, 0), "get_arch_list": BUILT,
        "get_device_name": "Tesla P100",
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    return monkeypatch


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (9, 0), (12, 0), (12, 1), (13, 0)])
def test_a_card_that_the_build_has_code_for_is_used(card: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    card.setattr(torch.cuda, "get_device_capability", lambda index: capability)
    require_usable()


@pytest.mark.parametrize("capability", [(6, 0), (7, 0), (10, 0)])
def test_a_card_that_it_has_none_for_ends_the_job(card: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    card.setattr(torch.cuda, "get_device_capability", lambda index: capability)
    card.setattr(torch.cuda, "get_arch_list", lambda: BUILT[:5])
    said = f"Tesla P100 is of compute capability {capability[0]}.{capability[1]}, and torch .* is built for sm_75, .*"
    with pytest.raises(DeviceError, match=said + "; install a build of torch for that card"):
        require_usable()


def test_an_old_driver_is_said_with_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    require_usable()  # a job that has leased no GPU
    monkeypatch.setattr(usable, "driver", lambda: "470.82.01")
    monkeypatch.setenv(LEASED, "GPU-1")
    said = (
        r"the GPUs GPU-1 are this job's, and torch sees none: .*too old \(found version 11040\).*built for CUDA 13\.2, "
        r"which needs a driver of 580 or later, and found 470\.82\.01"
    )
    with pytest.raises(DeviceError, match=said):
        require_usable()
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match="is built without CUDA"):
        require_usable()


def test_fewer_gpus_than_are_leased_end_the_job(card: pytest.MonkeyPatch) -> None:
    """Of processes one each, the second would find none, minutes later."""
    card.setenv(LEASED, "GPU-1")
    require_usable()
    card.setenv(LEASED, "GPU-1,GPU-2")
    said = "the GPUs GPU-1,GPU-2 are this job's, and torch sees 1 of 2: .*Try each alone"
    with pytest.raises(DeviceError, match=said):
        require_usable()


def test_bfloat16_on_a_card_without_it_ends_the_training(card: pytest.MonkeyPatch) -> None:
    for there in (True, False):
        card.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, there=there: there)
        for device, precision in (("cpu", "bfloat16"), ("cuda", "float16"), ("cuda", "float32")):
            require_precision(device, precision)
        if there:
            require_precision("cuda", "bfloat16")
    with pytest.raises(ConfigError, match=r"bfloat16, and Tesla P100 has none .*; set train\.precision: float16"):
        require_precision("cuda", "bfloat16")


def test_the_driver_that_the_locked_torch_needs_is_known() -> None:
    built = torch.version.cuda
    assert built is None or built.partition(".")[0] in usable.DRIVERS


@pytest.mark.parametrize(
    ("device", "variable", "names", "said"),
    [("cpu", "CXX", "g++", "C++ compiler, and found no g++ or clang++"), ("cuda", "CC", "gcc", "C compiler")],
)
def test_a_compiler_is_asked_for_where_torch_would_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, variable: str, names: str, said: str
) -> None:
    include = tmp_path / "include"
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(include))
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as error:
        require_compiler(device)
    assert said in str(error.value)
    assert f"name it in {variable}, or set train.compile: false" in str(error.value)
    (tmp_path / names).write_text("#!/bin/sh\n")
    (tmp_path / names).chmod(0o755)
    with pytest.raises(ConfigError, match=r"needs Python's headers, and found no .*Python\.h; install them"):
        require_compiler(device)
    include.mkdir()
    (include / "Python.h").touch()
    require_compiler(device)
