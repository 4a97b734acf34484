"""Augmentation of whole batches on the device: zero-padded random crop, flip, channel, random erasing, normalisation.

The random numbers are drawn for the global batch on the CPU (a few per image), so that they depend neither on the
device nor on the number of processes. Shape legend: B images of H x W pixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MEAN, STD = torch.tensor(IMAGENET_MEAN) * 255, torch.tensor(IMAGENET_STD) * 255  # in the units of uint8 images
ERASING_ASPECT = (0.3, 1 / 0.3)  # height : width of the erased box; Zhong et al., Random Erasing, AAAI 2020
TRIES = 100  # boxes drawn for an image before it is left alone
GREY = (0.2989, 0.5870, 0.1140)  # of red, green and blue: ITU-R BT.601's luma, as in CAJ's public code
MIXES = torch.tensor(((1.0, 0, 0), (0, 1, 0), (0, 0, 1), GREY))  # what the channels 0 to 3 of ``Draws`` are made of
ITSELF = len(MIXES)

Channels = Literal["none", "random", "one"]
# How probable red, green, blue, grey and the image itself are. Ye et al., CAJ, ICCV 2021, as its public code draws
# them: the augmentation alone, and that of the second stream of joint learning.
CHANNELS: dict[Channels, tuple[float, ...]] = {
    "none": (0, 0, 0, 0, 1),
    "random": (1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8),
    "one": (1 / 3, 1 / 3, 1 / 3, 0, 0),
}


@dataclass(frozen=True)
class Draws:
    """The random part of ``augment`` for B images; every field is ``[B]`` int64, in pixels, ``flip`` 0 or 1.

    ``channel`` is 0, 1 or 2, the one channel that stands for all three, 3 for grey, or ``ITSELF``. The erased box
    covers rows top..bottom - 1 and columns left..right - 1, and is empty where nothing is erased.
    """

    dy: np.ndarray
    dx: np.ndarray
    flip: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray
    channel: np.ndarray

    def take(self, rows: slice) -> Draws:
        return Draws(**{name: values[rows] for name, values in vars(self).items()})

    def tensor(self) -> Tensor:
        """All fields, ``[8, B]`` in the order above: one copy takes them to a device."""
        return torch.from_numpy(np.stack(list(vars(self).values())))


def draw(
    rng: np.random.Generator,
    count: int,
    height: int,
    width: int,
    *,
    padding: int,
    flip: float,
    erasing: float,
    erasing_area: tuple[float, float],
    channels: Channels = "none",
) -> Draws:
    """Random numbers for ``count`` images of ``height`` x ``width`` pixels.

    The erased box is drawn as in the public code of random erasing (Zhong et al., AAAI 2020), which MCLNet uses. Area
    and aspect are uniform. A box that is not smaller than the image both ways is drawn anew, area and aspect, up to
    ``TRIES`` times; then the image is left alone. Redrawing favours small boxes, so that the mean area is less than the
    middle of the range.

    Args:
        rng: the source of all of them; the number of calls does not depend on what is drawn.
        count: B, of the global batch.
        height: pixels.
        width: pixels.
        padding: pixels around the image before the crop, >= 0.
        flip: probability, 0 to 1.
        erasing: probability, 0 to 1.
        erasing_area: smallest and largest fraction of the image, above 0 to 1.
        channels: the key of ``CHANNELS`` that says how probable each channel is. ``none`` draws no number.

    Returns:
        The numbers of each image, ``[B]`` each.
    """
    dy, dx = rng.integers(0, 2 * padding + 1, (2, count))
    flipped, chosen = rng.random((2, count)) < ((flip,), (erasing,))
    area = rng.uniform(*erasing_area, (TRIES, count)) * (height * width)
    aspect = rng.uniform(*ERASING_ASPECT, (TRIES, count))
    sizes = np.rint(np.sqrt([area * aspect, area / aspect])).astype(np.int64)  # [2, TRIES, B]: rows, columns
    fits = (sizes[0] < height) & (sizes[1] < width)
    first = fits.argmax(0), np.arange(count)  # 0 where none fits
    rows, columns = np.where(chosen & fits[first], sizes[:, *first], 0)
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    itself = np.full(count, ITSELF)
    channel = itself if channels == "none" else rng.choice(ITSELF + 1, count, p=CHANNELS[channels])
    return Draws(dy, dx, flipped.astype(np.int64), top, top + rows, left, left + columns, channel)


def augment(images: Tensor, draws: Tensor, padding: int, channels: Channels = "none") -> Tensor:
    """uint8 ``[B, H, W, 3]`` -> augmented and normalised float32 ``[B, 3, H, W]`` (channels last in memory).

    ``draws`` is ``Draws.tensor()``, on the images' device. Erased pixels become 0 after normalisation, each
    channel's mean: CAJ's erasing by channel. ``channels`` are those that the draws were made with.
    """
    batch, height, width, _ = images.shape
    device = images.device
    dy, dx, flip, top, bottom, left, right, channel = draws[:, :, None]  # [B, 1] each
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    y = rows + dy  # [B, H], in the padded image
    x = torch.where(flip.bool(), width - 1 - columns, columns) + dx  # [B, W]
    padded = torch.nn.functional.pad(images, (0, 0, padding, padding, padding, padding))
    cropped = padded[torch.arange(batch, device=device)[:, None, None], y[:, :, None], x[:, None, :]]
    if channels != "none":
        cropped = exchanged(cropped, channel[:, 0])
    in_rows = (rows >= top) & (rows < bottom)  # [B, H]
    in_columns = (columns >= left) & (columns < right)  # [B, W]
    erased = in_rows[:, :, None] & in_columns[:, None, :]  # [B, H, W]
    return normalise(cropped).mul_(~erased[:, None])


def exchanged(images: Tensor, channel: Tensor) -> Tensor:
    """``[B, H, W, 3]`` with one channel, or grey, in the place of all three; float32 in the units of ``images``.

    ``channel`` is int64 ``[B]``, as in ``Draws``.
    """
    whole = images.float()
    mixes = MIXES if images.device.type == "cpu" else _on(images.device)[2]
    mix = mixes[channel.clamp(max=ITSELF - 1)][:, None, None]  # [B, 1, 1, 3]
    single = (whole * mix).sum(3, keepdim=True)
    return torch.where((channel == ITSELF)[:, None, None, None], whole, single)


def normalise(images: Tensor) -> Tensor:
    """``[B, H, W, 3]``, 0..255 -> float32 ``[B, 3, H, W]`` by ImageNet's mean and standard deviation."""
    mean, std = (MEAN, STD) if images.device.type == "cpu" else _on(images.device)[:2]
    return images.float().sub_(mean).div_(std).permute(0, 3, 1, 2)


@functools.cache
def _on(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The statistics and mixes on a GPU, kept: a copy of Python's numbers would wait for it."""
    return MEAN.to(device), STD.to(device), MIXES.to(device)
