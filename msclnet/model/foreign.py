"""Files of weights that others wrote: read without executing anything, and held against what a network has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from msclnet.core.archive import require_plausible

COUNTERS = "num_batches_tracked"  # of batch normalisation: absent in old files, and read by nothing here


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


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """In what a state dict is not the one expected.

    Args:
        expected: each entry that there should be, by the name that the file gives it.
        found: the file's.

    Returns:
        The names that are missing; those of another shape, with both shapes.
    """
    missing = [name for name in expected if name not in found and not name.endswith(COUNTERS)]
    misshapen = [
        f"{name} {list(found[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    return missing, misshapen


def listed(names: Sequence[str], shown: int) -> str:
    """The first ``shown`` names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(map(str, names[:shown]))}{more}"
