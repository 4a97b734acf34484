"""Whether torch can use the GPUs of a job, and compile for what it runs on: seen to before any work."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from pathlib import Path

import torch

from msclnet.core.errors import ConfigError
from msclnet.launch.gpu_lease import LEASED
from msclnet.launch.gpu_list import VISIBLE, DeviceError, driver

INSTEAD = "mend that, or set run.gpus_per_training: 0 to train on the CPU"
DRIVERS = {"11": "450", "12": "525", "13": "580"}  # the oldest of NVIDIA's for each CUDA, by its release notes


def require_usable() -> None:
    """Ends a job whose GPUs torch cannot use: it would run on the CPU without a word, or fail in its first kernel.

    Raises:
        DeviceError: this job has leased GPUs and torch sees none, or not as many; or one that it sees is of an
            architecture that its build has no code for. The message says what was found, and what is needed.
    """
    leased = os.environ.get(LEASED, "")
    if not torch.cuda.is_available():
        if leased:
            raise DeviceError(f"the GPUs {leased} are this job's, and torch sees none: {_why()}; {INSTEAD}")
        return
    seen, wanted = torch.cuda.device_count(), len(leased.split(",")) if leased else 0
    if seen < wanted:
        raise DeviceError(
            f"the GPUs {leased} are this job's, and torch sees {seen} of {wanted}: CUDA cannot open one. Try each "
            f"alone ({VISIBLE}=NAME msclnet doctor), leave the one that fails out of {VISIBLE}, or lower "
            "run.gpus_per_training"
        )
    for index in range(seen):
        major, minor = torch.cuda.get_device_capability(index)
        if not _has_code_for(major, minor, built := torch.cuda.get_arch_list()):
            raise DeviceError(
                f"{torch.cuda.get_device_name(index)} is of compute capability {major}.{minor}, and torch "
                f"{torch.__version__} is built for {', '.join(built)}; install a build of torch for that card, hide it "
                f"(CUDA_VISIBLE_DEVICES), or set run.gpus_per_training: 0 to train on the CPU"
            )


def has_bfloat16() -> bool:
    """Whether the GPU at work computes in bfloat16 itself; torch goes through the motions on any."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def require_precision(device: str, precision: str) -> None:
    """Ends a training in bfloat16 on a GPU without it: slow there, and compiled not at all, without a word.

    Args:
        device: ``cuda`` or ``cpu``.
        precision: ``train.precision``.

    Raises:
        ConfigError: the GPU has none.
    """
    if device == "cuda" and precision == "bfloat16" and not has_bfloat16():
        raise ConfigError(
            f"train.precision: bfloat16, and {torch.cuda.get_device_name()} has none (compute capability 8.0 and up "
            "have); set train.precision: float16"
        )


COMPILERS = {"cuda": ("CC", ("gcc", "clang"), "C"), "cpu": ("CXX", ("g++", "clang++"), "C++")}  # Triton's; Inductor's


def require_compiler(device: str) -> None:
    """Ends a training that is to be compiled where that cannot be: its first step would, minutes later.

    Args:
        device: ``cuda`` or ``cpu``.

    Raises:
        ConfigError: there is no compiler on the PATH, or none of Python's headers.
    """
    variable, names, language = COMPILERS[device]
    wanted = (os.environ[variable],) if os.environ.get(variable) else names
    if not any(map(shutil.which, wanted)):
        raise ConfigError(
            f"train.compile: true needs a {language} compiler, and found no {' or '.join(wanted)} on the PATH; install "
            f"one (apt install g++), name it in {variable}, or set train.compile: false"
        )
    if not (header := Path(sysconfig.get_path("include"), "Python.h")).is_file():
        raise ConfigError(
            f"train.compile: true needs Python's headers, and found no {header}; install them (apt install "
            "python3-dev), or set train.compile: false"
        )


def can_compile(device: str) -> bool:
    """Whether ``require_compiler`` finds what it looks for on ``device``."""
    try:
        require_compiler(device)
    except ConfigError:
        return False
    return True


def _why() -> str:
    """Why torch sees no GPU."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} is built without CUDA"
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        return f"{said} (torch {torch.__version__} is built for CUDA {torch.version.cuda}{_needed()})"
    return "none is visible to it"


def _needed() -> str:
    """The driver that torch's CUDA needs, and the one that is there, as far as they are known."""
    least = DRIVERS.get((torch.version.cuda or "").partition(".")[0])
    found = f", and found {present}" if (present := driver()) else ""
    return f", which needs a driver of {least} or later{found}" if least else ""


def _has_code_for(major: int, minor: int, built: list[str]) -> bool:
    """Whether a build has code for a card: of its own generation up to its number, or code to be translated for it."""
    if not built:
        return True  # a build that does not say
    for name in built:
        if not (match := re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", name)):
            return True  # of another maker: gfx90a
        kind, of = match[1], (int(match[2]), int(match[3]))
        if (of[0] == major and of[1] <= minor) or (kind == "compute" and of <= (major, minor)):
            return True
    return False
