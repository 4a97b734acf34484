"""Pooling of feature maps ``[B, C, H, W]`` to vectors, whole or by horizontal parts.

Positions come before channels in what is computed here, which is how maps lie in memory (channels last).
"""

from __future__ import annotations

from torch import Tensor

EPS = 1e-12  # as in the public AGW code: keeps the root's gradient finite where a channel is silent


def gem(maps: Tensor, p: float) -> Tensor:
    """Generalised mean over all positions: ``[B, C, H, W] -> [B, C]``, every value >= 0.

    Negative activations count as 0, so p may be any number >= 1; p = 1 averages, a large p takes the maximum.
    Source: Radenovic et al., TPAMI 2019; AGW uses p = 3.
    """
    means = maps.permute(0, 2, 3, 1).flatten(1, 2).relu().pow(p).mean(1)
    return (means + EPS).pow(1 / p)


def gem_and_parts(maps: Tensor, p: float, parts: int) -> tuple[Tensor, Tensor]:
    """GeM of whole maps and of their stripes, from one pass: ``[B, C, H, W] -> [B, C]`` and ``[B, parts, C]``.

    The stripes are ``parts`` equal horizontal ones, top to bottom. Raises ValueError when H is not a multiple of them.
    """
    batch, channels, height, width = maps.shape
    if height % parts:
        raise ValueError(
            f"model.parts: the feature map has {height} rows, which {parts} parts do not divide evenly; "
            f"choose a divisor of {height} or another data.height"
        )
    stripes = maps.permute(0, 2, 3, 1).reshape(batch, parts, (height // parts) * width, channels)
    means = stripes.relu().pow(p).mean(2)  # [B, parts, C]
    return (means.mean(1) + EPS).pow(1 / p), (means + EPS).pow(1 / p)
