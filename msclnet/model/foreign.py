"""Files of weights that others wrote: read without executing anything, and held against what a network has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from msclnet.core.archive import require_plausible

WRAPPERS = ("state_dict", "model", "net", "network", "model_state_dict", "weights")  # keys that hold a state dict
PREFIXES = ("module.", "model.", "backbone.", "base.", "encoder.")  # of a state dict's names, from what wrapped it
COUNTERS = "num_batches_tracked"  # of batch normalisation: absent in old files, and read by nothing here
REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_tensors(path: Path) -> Any:
    """What torch saved in a file; nothing in it is executed.

    Args:
        path: the file.

    Returns:
        Its content, tensors on the CPU.

    Raises:
        Exception: it is no such file; torch names that by a dozen exception types.
    """
    require_plausible(path, path.stat().st_size)
    return torch.load(path, map_location="cpu", weights_only=True)


def state_dict(content: Any) -> tuple[str, dict[str, Tensor]] | None:
    """The state dict in a file's content.

    Args:
        content: what ``read_tensors`` gave.

    Returns:
        The key of ``WRAPPERS`` that it lies under, empty under none, and the state dict; None without one.
    """
    wrapper, state = _unwrapped(content)
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        return None
    return wrapper, {str(name): value for name, value in state.items()}


def held(content: Any, shown: int) -> str:
    """What a file holds, in words: the first ``shown`` names of what may be its state dict."""
    _, state = _unwrapped(content)
    return listed(list(state), shown) or "nothing" if isinstance(state, dict) else type(state).__name__


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without the prefixes of ``PREFIXES`` that all its names share."""
    bare = dict(state)
    while shared := [prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in bare)]:
        bare = {name.removeprefix(shared[0]): value for name, value in bare.items()}
    return bare


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """In what a state dict is not the one expected.

    Args:
        expected: each entry that there should be, by the name that the file gives it.
        found: the file's.

    Returns:
        The names that are missing; those of another shape, or of no plain numbers, with what is found and expected.
    """
    missing = [name for name in expected if name not in found and not name.endswith(COUNTERS)]
    misshapen = [
        f"{name} {_form(found[name])} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in found and not (found[name].shape == value.shape and _plain(found[name], value))
    ]
    return missing, misshapen


def as_ours(found: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries that ``ours`` has too, in its types: what is finite in 64 bits need not be in 32."""
    return {name: found[name].to(value.dtype) for name, value in ours.items() if name in found}


def listed(names: Sequence[str], shown: int) -> str:
    """The first ``shown`` names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(map(str, names[:shown]))}{more}"


def _unwrapped(content: Any) -> tuple[str, Any]:
    """The key of ``WRAPPERS`` that a file's content has a dict under, and that dict; the content itself without one."""
    for wrapper in WRAPPERS if isinstance(content, dict) else ():
        if isinstance(content.get(wrapper), dict):
            return wrapper, content[wrapper]
    return "", content


def _plain(value: Tensor, ours: Tensor) -> bool:
    """Whether a tensor's numbers can stand in the place of ours: no complex, quantised or sparse ones, no bits."""
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        return False
    return value.dtype in REAL if ours.is_floating_point() else not value.is_complex()


def _form(value: Tensor) -> str:
    kind = "" if value.dtype in REAL else f"{str(value.dtype).removeprefix('torch.')} "
    layout = "" if value.layout is torch.strided else f"{str(value.layout).removeprefix('torch.')} "
    return f"{kind}{layout}{list(value.shape)}"
