"""Parts of feature maps by learned masks, as MPANet's.

Shape legend: B images, C channels, n parts, h x w the map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-6  # where a mask is 0 everywhere its part is 0


class PartMasks(nn.Module):
    """Where each of ``parts`` parts lies in a map: a 1 x 1 convolution and a sigmoid.

    ``[B, C, h, w] -> [B, n, h w]``, in [0, 1]. Source: MPANet (Wu et al., CVPR 2021), its public code.
    """

    def __init__(self, channels: int, parts: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, parts, kernel_size=1)
        if self.convolution.bias is not None:
            nn.init.zeros_(self.convolution.bias)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.sigmoid(self.convolution(maps).to(maps.dtype)).flatten(2)


def shares(masks: Tensor) -> Tensor:
    """What each position has in each part: the masks ``[B, n, h w]``, in [0, 1], divided by their sums.

    MPANet's public code divides by the number of positions instead of the mask's sum. There a BN neck follows, to which
    the scale is nothing; here a mask that is small everywhere would silence its part.
    """
    return masks / (masks.sum(2, keepdim=True) + EPS)


def masked_parts(maps: Tensor, share: Tensor) -> Tensor:
    """The parts that masks cut out of maps: the mean of a map over its positions, weighted by a mask.

    In the maps' own precision, as all pooling, also where products are else taken in half.

    Args:
        maps: ``[B, C, h, w]``.
        share: ``[B, n, h w]``, of the positions, as ``shares`` gives them.

    Returns:
        ``[B, n, C]``.
    """
    positions = maps.permute(0, 2, 3, 1).flatten(1, 2)  # [B, h w, C], as channels-last maps lie in memory
    with torch.autocast(maps.device.type, enabled=False):
        return share @ positions
