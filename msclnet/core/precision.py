"""How precisely a GPU multiplies float32: stated here for whatever runs on one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def allow_tf32(allowed: bool) -> None:
    """Whether GPUs may round the factors of float32 products to TF32, stated for this process.

    By the older two of torch's settings: what exports a network reads those, and raises where only newer ones are set.
    """
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of float32 without TF32, in a caller's own process: its settings come back."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    allow_tf32(False)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
