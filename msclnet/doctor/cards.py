"""What torch, the driver, the cards and NCCL are, and whether they go together."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist

from msclnet.core.errors import ConfigError
from msclnet.doctor.line import Line, failed, passed, warned
from msclnet.doctor.place import Place
from msclnet.launch.gpu_lease import LEASED
from msclnet.launch.gpu_list import DECLARED, PART, DeviceError, driver, obstacle, real, visible
from msclnet.launch.usable import require_compiler, require_usable
from msclnet.training.machine import gpu_busy

LEAST_FREE = 6e9  # bytes: a training by the paper's recipe takes about 5 GB
GPUS = "GPUs"  # the line whose values say how many can be used


def cards(place: Place) -> Iterator[Line]:
    """The line ``GPUS`` among others; ``place.gpus`` are those wanted, -1 for all."""
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    yield passed("torch", f"{torch.__version__}, {built}; Python {platform.python_version()}", cuda=torch.version.cuda)
    found, usable = _usable(place.gpus)
    yield found
    if usable:
        yield passed("driver", driver() or "nvidia-smi does not say which", driver=driver())
        for index in range(torch.cuda.device_count()):
            yield _card(index)
        yield _nccl(place.processes)
        yield _busy()
    if place.processes > 1 and not usable:
        yield _gloo()
    yield _compiler("cuda" if usable else "cpu")


def _usable(wanted: int) -> tuple[Line, int]:
    """The line of the GPUs, and how many of those that are wanted can be used."""
    if wanted == 0:
        return passed(GPUS, "none are to be used (--gpus 0): all that follows is on the CPU", usable=0), 0
    listed = visible()
    if not listed:
        if trouble := obstacle():
            return failed(GPUS, trouble, "mend that, or state --gpus 0 to look at the CPU", usable=0), 0
        instead = "all that follows is on the CPU; if there is a GPU, see that nvidia-smi runs and lists it"
        line = warned if wanted < 0 else failed
        return line(GPUS, "there is no sign of one", instead, usable=0), 0
    together = [name for name in listed if not name.startswith(PART)] or listed[:1]  # a process sees one part
    with _leased(listed[:1]):
        try:
            require_usable()
        except DeviceError as error:
            return failed(GPUS, str(error), "or state --gpus 0; all that follows is on the CPU", usable=0), 0
    seen = torch.cuda.device_count()
    if not torch.cuda.is_available():
        declared = f"{DECLARED} declares {len(listed)}, and torch sees none"
        return failed(GPUS, declared, f"unset {DECLARED}; all that follows is on the CPU", usable=0), 0
    usable = min(seen, len(listed))
    if usable < (len(together) if wanted < 0 else wanted):
        less = f"{'all' if wanted < 0 else wanted} wanted, {len(listed)} listed and {seen} seen by torch"
        part = "a process sees one part of a divided GPU: state --gpus 1"
        remedy = part if len(together) < len(listed) else "make more visible, or state a lower --gpus"
        return failed(GPUS, less, remedy, usable=usable), usable
    count = usable if wanted < 0 else wanted
    return passed(GPUS, f"{count} of {len(listed)} to be used, and torch can use them", usable=count), count


@contextmanager
def _leased(names: Sequence[str]) -> Iterator[None]:
    """In it these GPUs are this process's, as those of a job are: torch must then see as many."""
    if real():
        os.environ[LEASED] = ",".join(names)
    try:
        yield
    finally:
        os.environ.pop(LEASED, None)


def _card(index: int) -> Line:
    about = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    half = "bfloat16" if (about.major, about.minor) >= (8, 0) else "float16 only"
    said = f"{about.name}, compute capability {about.major}.{about.minor}, {half}; "
    said += f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    values = {"name": about.name, "capability": [about.major, about.minor], "free_bytes": free, "bytes": total}
    if free < LEAST_FREE:
        remedy = "see with nvidia-smi who holds it; the paper's recipe takes about 5 GB, smaller batches less"
        return warned(f"GPU {index}", said, remedy, **values)
    return passed(f"GPU {index}", said, **values)


def _nccl(processes: int) -> Line:
    if not dist.is_nccl_available():
        remedy = "install torch as requirements.lock has it; trainings of one GPU each need none"
        return (failed if processes > 1 else warned)("NCCL", "torch is built without it", remedy)
    version = ".".join(map(str, torch.cuda.nccl.version()))
    return passed("NCCL", version, version=version)


def _gloo() -> Line:
    if dist.is_available() and dist.is_gloo_available():
        return passed("gloo", "torch has it: processes on the CPU exchange their gradients by it")
    return failed("gloo", "torch is built without it", "install torch as requirements.lock has it")


def _busy() -> Line:
    share = gpu_busy(torch.device("cuda", 0))
    if share is None:
        remedy = "pip install nvidia-ml-py; of a part of a GPU (MIG) the driver tells none"
        return warned("GPU utilisation", "the driver does not tell it", remedy)
    return passed("GPU utilisation", f"{share:.0f} % at the moment", percent=share)


def _compiler(device: str) -> Line:
    try:
        require_compiler(device)
    except ConfigError as error:
        return warned("compiler, for train.compile", str(error), "nothing to do where train.compile stays false")
    return passed("compiler, for train.compile", "there is one, and Python's headers")
