"""Eq. 1: instance normalisation of the last feature maps, with affine parameters of each modality's own."""

from __future__ import annotations

from torch import Tensor, nn


class ModalityInstanceNorm(nn.Module):
    """Eq. 1: f^v, f^r ``[B, C, H, W]`` -> f^v, f^r hat of the same shape.

    Each channel of each image is brought to mean beta and standard deviation gamma over its positions. Its spatial
    mean is therefore the constant beta, the same for every image: average pooling would erase the instance. What
    follows pools the clamped map by GeM, whole or by parts.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A group a channel is instance normalisation; nn.InstanceNorm2d copies maps that lie channels last.
        self.visible = nn.GroupNorm(channels, channels)
        self.infrared = nn.GroupNorm(channels, channels)

    def forward(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
        return self.visible(visible), self.infrared(infrared)
