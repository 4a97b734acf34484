"""1, 2 and 4 real gloo processes on the same global batch give the same losses and the same gradients."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

STEPS = Path(__file__).with_name("steps.py")


def run(method: str, world: int, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    subprocess.run([*command, str(STEPS), method, str(out)], check=True, capture_output=True, timeout=300)
    return torch.load(out, weights_only=True)


@pytest.mark.parametrize("method", ["base", "agw", "msclnet"])
def test_the_number_of_processes_changes_nothing(method: str, tmp_path: Path) -> None:
    alone = run(method, 1, tmp_path / "1.pt")
    assert any(gradient.abs().max() > 1e-3 for gradient in alone["gradients"].values())
    for world in (2, 4):
        shared = run(method, world, tmp_path / f"{world}.pt")
        for kind in ("terms", "gradients"):
            assert shared[kind].keys() == alone[kind].keys()
            for name, value in alone[kind].items():
                torch.testing.assert_close(shared[kind][name], value, rtol=1e-6, atol=1e-9, msg=f"{world}: {name}")
