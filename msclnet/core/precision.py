"""How precisely a GPU computes, and whether twice the same: stated here for whatever runs on one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def allow_tf32(allowed: bool) -> None:
    """Whether GPUs may round the factors of float32 convolutions to TF32, stated for this process.

    Those of matrix products they never may: distances between features are such products, in which large numbers
    cancel, forward and backward. Nearly all of a ResNet's arithmetic is in its convolutions.

    By the older two of torch's settings: what exports a network reads those, and raises where only newer ones are set.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = allowed


def repeat(exactly: bool) -> None:
    """Whether a GPU gives the same bits twice, stated for this process before its first product.

    Where it need not, cuDNN times its ways of convolving each shape and takes the fastest. Where it must, an operation
    that cannot raises RuntimeError.
    """
    if exactly:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what torch asks for; read at the first product
    torch.use_deterministic_algorithms(exactly)
    torch.backends.cudnn.deterministic = exactly
    torch.backends.cudnn.benchmark = not exactly


@contextmanager
def full_precision() -> Iterator[None]:
    """Float32 without TF32, in a caller's own process: its settings come back."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    allow_tf32(False)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
