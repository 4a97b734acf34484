"""Pooling of feature maps ``[B, C, H, W]`` to vectors, whole or by horizontal parts."""

from __future__ import annotations

from torch import Tensor

EPS = 1e-12  # as in the public AGW code: keeps the root's gradient finite where a channel is silent


def gem(maps: Tensor, p: float) -> Tensor:
    """Generalised mean over all positions: ``[B, C, H, W] -> [B, C]``, every value >= 0.

    Negative activations count as 0, so p may be any number >= 1; p = 1 averages, a large p takes the maximum.
    Source: Radenovic et al., TPAMI 2019; AGW uses p = 3.
    """
    return gem_parts(maps, p, 1).squeeze(1)


def gem_parts(maps: Tensor, p: float, parts: int) -> Tensor:
    """GeM of ``parts`` equal horizontal stripes, top to bottom: ``[B, C, H, W] -> [B, parts, C]``.

    Raises ValueError when H is not a multiple of ``parts``.
    """
    batch, channels, height, width = maps.shape
    if height % parts:
        raise ValueError(
            f"model.parts: the feature map has {height} rows, which {parts} parts do not divide evenly; "
            f"choose a divisor of {height} or another data.height"
        )
    stripes = maps.reshape(batch, channels, parts, (height // parts) * width)
    pooled = (stripes.clamp(min=0).pow(p).mean(-1) + EPS).pow(1 / p)  # [B, C, parts]
    return pooled.transpose(1, 2)
