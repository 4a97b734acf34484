"""Torch and the GPUs: as they are here, with a false nvidia-smi, and with cards that torch cannot use."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from msclnet.doctor import cards
from msclnet.doctor.cards import GPUS
from msclnet.doctor.line import Line
from msclnet.doctor.place import Place
from msclnet.launch import gpu_lease, gpu_list

SMI = """#!/bin/sh
case "$1" in *driver_version*) echo 595.10;; *) echo "GPU-aaaa, [N/A]"; echo "GPU-bbbb, [N/A]";; esac
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a driver; what is written to ``nvidia-smi`` in the folder is its."""
    for name in ("CUDA_VISIBLE_DEVICES", gpu_list.DECLARED, gpu_lease.LEASED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # this machine's own is not asked
    monkeypatch.setattr(gpu_list, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return tmp_path


def smi(folder: Path, script: str = SMI) -> None:
    (folder / "nvidia-smi").write_text(script)
    (folder / "nvidia-smi").chmod(0o755)


@pytest.fixture
def seen(bare: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Two cards that nvidia-smi lists and torch sees."""
    smi(bare)
    about = SimpleNamespace(name="Card", major=9, minor=0)
    for name, value in {
        "is_available": True, "device_count": 2, "get_device_capability": (9, 0), "get_device_name": "Card",
        "get_arch_list": ["sm_90"], "get_device_properties": about, "mem_get_info": (int(70e9), int(80e9)),
        "utilization": 3,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    monkeypatch.setattr(torch.cuda.nccl, "version", lambda: (2, 29, 1))
    monkeypatch.setattr(cards.dist, "is_nccl_available", lambda: True)
    return monkeypatch


def look(folder: Path, gpus: int = -1, processes: int = 2) -> dict[str, Line]:
    return {line.check: line for line in cards.cards(Place(folder, folder, gpus, processes, 1))}


def test_without_a_gpu_the_cpu_is_looked_at(bare: Path) -> None:
    found = look(bare)
    assert found["torch"].found.startswith(torch.__version__)
    assert (found[GPUS].status, found[GPUS].values["usable"]) == ("warn", 0)
    assert found["gloo"].status == "pass"
    assert look(bare, gpus=0)[GPUS].status == "pass", "as it was asked for"
    assert look(bare, gpus=1)[GPUS].status == "fail"


def test_gpus_that_torch_does_not_see_fail(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update")

    smi(bare)
    monkeypatch.setattr(torch.cuda, "init", init)
    line = look(bare)[GPUS]
    assert (line.status, line.values["usable"]) == ("fail", 0)
    assert "the GPUs GPU-aaaa are this job's, and torch sees none: " in line.found
    assert "too old (found version 11040)" in line.found
    assert gpu_lease.LEASED not in gpu_lease.os.environ


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho 'No devices were found'\n", "nvidia-smi names no GPU: No devices were found"),
        ("#!/bin/sh\necho broken >&2; exit 9\n", "nvidia-smi ends with status 9: broken"),
        ("#!/bin/sh\nexec /bin/sleep 60\n", "nvidia-smi has not answered in 1 s: the driver hangs"),
    ],
)
def test_a_driver_that_does_not_answer_fails(
    bare: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    smi(bare, script)
    if "sleep" in script:  # else it answers, however late
        monkeypatch.setattr(gpu_list, "PATIENCE", 1.0)
    line = look(bare)[GPUS]
    assert (line.status, line.found) == ("fail", said)
    assert "--gpus 0" in line.remedy


def test_declared_gpus_that_torch_does_not_see_fail(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpu_list.DECLARED, "2")
    assert look(bare)[GPUS].found == "MSCLNET_GPUS declares 2, and torch sees none"


def test_a_card_that_the_build_has_no_code_for_fails(seen: pytest.MonkeyPatch, bare: Path) -> None:
    seen.setattr(torch.cuda, "get_device_capability", lambda index: (6, 0))
    line = look(bare)[GPUS]
    assert line.status == "fail"
    assert "Card is of compute capability 6.0, and torch" in line.found


def test_cards_that_can_be_used_are_told_one_by_one(seen: pytest.MonkeyPatch, bare: Path) -> None:
    found = look(bare)
    assert (found[GPUS].status, found[GPUS].values["usable"]) == ("pass", 2)
    assert found["driver"].found == "595.10"
    assert found["GPU 1"].found == "Card, compute capability 9.0, bfloat16; 70.0 of 80.0 GB free"
    assert found["NCCL"].found == "2.29.1"
    assert found["GPU utilisation"].found == "3 % at the moment"
    assert look(bare, gpus=1)[GPUS].values["usable"] == 1
    three = look(bare, gpus=3)[GPUS]
    assert (three.status, three.values["usable"]) == ("fail", 2)


def test_one_that_torch_does_not_see_fails_and_the_others_are_used(seen: pytest.MonkeyPatch, bare: Path) -> None:
    seen.setattr(torch.cuda, "device_count", lambda: 1)
    line = look(bare)[GPUS]
    assert (line.status, line.found, line.values["usable"]) == ("fail", "all wanted, 2 listed and 1 seen by torch", 1)
    assert look(bare, gpus=1)[GPUS].status == "pass"


def test_of_a_divided_gpu_one_part_at_a_time_is_seen(seen: pytest.MonkeyPatch, bare: Path) -> None:
    parts = "echo '  MIG 1g.10gb Device 0: (UUID: MIG-a)'; echo '  MIG 1g.10gb Device 1: (UUID: MIG-b)'"
    smi(
        bare,
        "#!/bin/sh\ncase \"$1\" in *driver_version*) echo 595.10;; -L) echo 'GPU 0: Card (UUID: GPU-a)'; "
        f"{parts};; *) echo 'GPU-a, Enabled';; esac\n",
    )
    seen.setattr(torch.cuda, "device_count", lambda: 1)
    line = look(bare)[GPUS]
    assert (line.status, line.found, line.values["usable"]) == ("pass", "1 of 2 to be used, and torch can use them", 1)
    assert look(bare, gpus=2)[GPUS].remedy == "a process sees one part of a divided GPU: state --gpus 1"


def test_what_is_wrong_with_one_is_said(seen: pytest.MonkeyPatch, bare: Path) -> None:
    seen.setattr(torch.cuda, "mem_get_info", lambda index: (int(2e9), int(80e9)))
    seen.setattr(cards.dist, "is_nccl_available", lambda: False)
    seen.setattr(torch.cuda, "utilization", lambda device: 1 / 0)
    found = look(bare)
    assert found["GPU 0"].status == "warn"
    assert "2.0 of 80.0 GB free" in found["GPU 0"].found
    assert found["NCCL"].status == "fail"
    assert look(bare, processes=1)["NCCL"].status == "warn"
    assert "nvidia-ml-py" in found["GPU utilisation"].remedy
