"""The GPUs of this machine, as nvidia-smi lists them, and why none can be used where there seem to be some."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from msclnet.core.errors import UserError, printable

VISIBLE = "CUDA_VISIBLE_DEVICES"
DECLARED = "MSCLNET_GPUS"  # so many devices, whatever nvidia-smi says
DEVICES = Path("/dev")
AMD = "kfd"  # of DEVICES, where there is an AMD GPU
MOST = 1024  # GPUs of a machine
PART = "MIG-"  # how an instance of a divided GPU is named
UUID = re.compile(r"GPU-[0-9A-Za-z-]+(?=,|$)")
NAMED = re.compile(r"\(UUID: ((?:GPU|MIG)-[0-9A-Za-z/-]+)\)")
PATIENCE = 30.0  # seconds for nvidia-smi's answer


class DeviceError(UserError):
    """A job wants GPUs the machine does not have, or what it was told of them makes no sense."""


def visible(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The devices a job may use: those CUDA_VISIBLE_DEVICES names, else all.

    It names them by nvidia-smi's indices, by UUID or by a UUID's beginning. An entry that names none hides those after
    it, as for CUDA. A device has one name here however it was given, so that two jobs mean the same by it.

    Args:
        environment: the variables of the job.

    Returns:
        A name each: the UUID, or the index where there is no nvidia-smi.

    Raises:
        DeviceError: MSCLNET_GPUS is no number.
    """
    machine = _machine(environment)
    if VISIBLE not in environment:
        return machine
    named: list[str] = []
    for entry in environment[VISIBLE].split(","):
        name = _name(entry.strip(), machine)
        if name is None:
            break
        named.append(name)
    return tuple(dict.fromkeys(named))


def obstacle(environment: Mapping[str, str] = os.environ) -> str:
    """Why no GPU of this machine can be used, where it seems to have some.

    Args:
        environment: the variables of the job.

    Returns:
        The reason; empty where a GPU can be used, or there is no sign of any.

    Raises:
        DeviceError: MSCLNET_GPUS is no number.
    """
    machine, trouble = _listed(environment)
    if machine and not visible(environment):
        return f"{VISIBLE}={environment[VISIBLE]} hides its {len(machine)} GPUs"
    return trouble


def real(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the devices of ``visible`` are there: not those declared on a machine without a GPU, a rehearsal.

    Args:
        environment: the variables of the job.
    """
    return DECLARED not in environment or any(DEVICES.glob("nvidia[0-9]*")) or (DEVICES / AMD).exists()


def driver() -> str:
    """The driver's version, as nvidia-smi says it; empty where it says none."""
    try:
        return next(iter(_ask("--query-gpu=driver_version", "--format=csv,noheader")), "")
    except (OSError, subprocess.TimeoutExpired, _Refused):
        return ""


def _machine(environment: Mapping[str, str]) -> tuple[str, ...]:
    """All devices there are, by index."""
    return _listed(environment)[0]


def _listed(environment: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """All devices there are, by index, and what kept them from being listed."""
    if DECLARED in environment:
        if not environment[DECLARED].isdecimal() or int(environment[DECLARED]) > MOST:
            raise DeviceError(
                f"{DECLARED}={environment[DECLARED]}: expected the number of GPUs of this machine, {MOST} at most"
            )
        return tuple(map(str, range(int(environment[DECLARED])))), ""
    try:
        lines = _ask("--query-gpu=uuid,mig.mode.current", "--format=csv,noheader")
        if any(line.endswith("Enabled") for line in lines):
            return _with_parts(_ask("-L")), ""
    except subprocess.TimeoutExpired:
        return (), f"nvidia-smi has not answered in {PATIENCE:.0f} s: the driver hangs"
    except _Refused as refused:
        return (), str(refused)
    except OSError as error:
        there = sorted(map(str, DEVICES.glob("nvidia[0-9]*")))
        if not there and (DEVICES / AMD).exists():
            return (), (
                f"it has {DEVICES / AMD}, an AMD GPU, which nvidia-smi does not list: {DECLARED}=1 (or how many there "
                "are) declares it; nothing here has been tried on one"
            )
        return (), f"it has {', '.join(there)}, and nvidia-smi does not run ({error.strerror})" if there else ""
    named = [(match[0] if (match := UUID.match(line)) else None, line) for line in lines]
    if odd := [line for name, line in named if name is None]:
        print(f"nvidia-smi: {printable(odd[0])}: passed over", file=sys.stderr, flush=True)
    devices = tuple(name for name, _ in named if name)
    return devices, f"nvidia-smi names no GPU: {printable(odd[0])}" if odd and not devices else ""


class _Refused(Exception):
    """nvidia-smi ended with an error; the message has its words."""


def _ask(*arguments: str) -> list[str]:
    """What nvidia-smi says, a line each; raises _Refused, OSError, or subprocess.TimeoutExpired."""
    listed = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=PATIENCE)
    if listed.returncode:
        said = next(iter((listed.stdout + listed.stderr).splitlines()), "no reason given")
        raise _Refused(f"nvidia-smi ends with status {listed.returncode}: {printable(said)}")
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def _with_parts(lines: Sequence[str]) -> tuple[str, ...]:
    """The devices of ``nvidia-smi -L``: of a GPU that is divided (MIG) its instances."""
    found: list[str] = []
    whole = ""  # a GPU that may be divided
    for line in lines:
        if not (match := NAMED.search(line)):
            continue
        name = match[1]
        if name.startswith(PART):
            if whole in found:
                found.remove(whole)
            found.append(name)
        else:
            whole = name
            found.append(name)
    return tuple(found)


def _name(entry: str, machine: tuple[str, ...]) -> str | None:
    if entry.isdecimal():
        index = int(entry)
        if not machine:
            return str(index)
        return machine[index] if index < len(machine) else None
    if entry.startswith("GPU-") and machine:
        return next((uuid for uuid in machine if uuid.startswith(entry)), None)
    return entry if entry.startswith(("GPU-", "MIG-")) else None
