"""The non-local block of AGW (Wang et al., CVPR 2018, dot-product form)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NonLocal(nn.Module):
    """``x + BN(W(y))`` with ``y = theta(x) phi(x)^T g(x) / (H W)``: ``[B, C, H, W]`` to the same shape.

    ``width`` is the inner number of channels. AGW's public code computes it as ``r // r`` = 1 where C/2 was meant;
    both are offered. The BN's scale starts at 0, so that a new block is the identity and spares ImageNet weights.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.g = nn.Conv2d(channels, width, 1)
        self.theta = nn.Conv2d(channels, width, 1)
        self.phi = nn.Conv2d(channels, width, 1)
        scale = nn.BatchNorm2d(channels)
        nn.init.zeros_(scale.weight)
        self.W = nn.Sequential(nn.Conv2d(width, channels, 1), scale)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        weight, bias = map(torch.cat, zip(*(f.parameters() for f in (self.theta, self.phi, self.g)), strict=True))
        # One pass over x for all three, as [B, HW, 3w]: positions before channels, as x lies in memory.
        theta, phi, g = F.conv2d(x, weight, bias).permute(0, 2, 3, 1).flatten(1, 2).chunk(3, 2)
        # theta (phi^T g) = (theta phi^T) g: without a softmax between them the HW x HW matrix is never needed.
        context = torch.bmm((phi / (height * width)).transpose(1, 2), g)  # [B, w, w]
        y = torch.bmm(theta, context)  # [B, HW, w]
        return x + self.W(y.view(batch, height, width, -1).permute(0, 3, 1, 2))
