"""What a training runs on, and what it uses of it."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import torch


def hardware(device: torch.device) -> str:
    """The GPU's name, or the processor's and the number of the machine's cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def cpu_seconds() -> float:
    """Of all threads of this process and of the children it has waited for."""
    return sum(os.times()[:4])


def peak_memory(device: torch.device) -> dict[str, float]:
    """The most this process has held so far, in MB (10^6 bytes)."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    memory = {"process_memory_peak_megabytes": resident / 1e6}
    if device.type == "cuda":
        memory["gpu_memory_peak_megabytes"] = torch.cuda.max_memory_allocated(device) / 1e6
    return memory


def gpu_busy(device: torch.device) -> float | None:
    """How much of the last moment (a sixth of a second to a second) the GPU was at work: percent.

    None on the CPU, and where the driver does not tell: of a part of a GPU, or without ``nvidia-ml-py``.
    """
    if device.type != "cuda":
        return None
    try:
        return float(torch.cuda.utilization(device))
    except Exception:  # NVML has errors of its own; a training does not end for want of a figure
        return None


def git_commit() -> str:
    """The commit of the source, empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
