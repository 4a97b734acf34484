"""The non-local block of AGW (Wang et al., CVPR 2018, dot-product form)."""

from __future__ import annotations

import torch
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
        theta = self.theta(x).flatten(2)  # [B, w, HW]
        phi = self.phi(x).flatten(2)
        g = self.g(x).flatten(2)
        # (theta^T phi) g = theta^T (phi g): without a softmax between them the HW x HW matrix is never needed.
        context = torch.bmm(g, phi.transpose(1, 2)) / (height * width)  # [B, w, w]
        y = torch.bmm(context, theta)  # [B, w, HW]
        return x + self.W(y.view(batch, -1, height, width))
