"""Augmentation of whole batches on the device: zero-padded random crop, flip, random erasing, normalisation.

The random numbers are drawn for the global batch on the CPU (a few per image), so that they depend neither on the
device nor on the number of processes. Shape legend: B images of H x W pixels.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MEAN, STD = torch.tensor(IMAGENET_MEAN) * 255, torch.tensor(IMAGENET_STD) * 255  # in the units of uint8 images
ERASING_ASPECT = (0.3, 1 / 0.3)  # height : width of the erased box; Zhong et al., Random Erasing, AAAI 2020


@dataclass(frozen=True)
class Draws:
    """The random part of ``augment`` for B images; every field is ``[B]`` int64, in pixels, ``flip`` 0 or 1.

    The erased box covers rows top..bottom - 1 and columns left..right - 1, and is empty where nothing is erased.
    """

    dy: np.ndarray
    dx: np.ndarray
    flip: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def take(self, rows: slice) -> Draws:
        return Draws(**{name: values[rows] for name, values in vars(self).items()})

    def tensor(self) -> Tensor:
        """All fields, ``[7, B]`` in the order above: one copy takes them to a device."""
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
) -> Draws:
    """Random numbers for ``count`` images; ``flip`` and ``erasing`` are probabilities, the area a range of fractions.

    A box that would not fit at its drawn aspect is narrowed to the image, which keeps its area where it can.
    """
    area = rng.uniform(*erasing_area, count) * height * width
    flattest, tallest = map(math.log, ERASING_ASPECT)
    aspect = np.exp(rng.uniform(flattest, tallest, count))
    box_height = np.clip(np.sqrt(area * aspect), area / width, height)
    box_width = np.clip(area / box_height, 1, width)
    rows, columns = np.rint(box_height).astype(np.int64), np.rint(box_width).astype(np.int64)
    erased = rng.random(count) < erasing
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    return Draws(
        dy=rng.integers(0, 2 * padding + 1, count),
        dx=rng.integers(0, 2 * padding + 1, count),
        flip=(rng.random(count) < flip).astype(np.int64),
        top=top,
        bottom=np.where(erased, top + rows, top),
        left=left,
        right=left + columns,
    )


def augment(images: Tensor, draws: Tensor, padding: int) -> Tensor:
    """uint8 ``[B, H, W, 3]`` -> augmented and normalised float32 ``[B, 3, H, W]`` (channels last in memory).

    ``draws`` is ``Draws.tensor()``, on the images' device. Erased pixels become 0 after normalisation, the mean colour.
    """
    batch, height, width, _ = images.shape
    device = images.device
    dy, dx, flip, top, bottom, left, right = draws[:, :, None]  # [B, 1] each
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    y = rows + dy  # [B, H], in the padded image
    x = torch.where(flip.bool(), width - 1 - columns, columns) + dx  # [B, W]
    padded = torch.nn.functional.pad(images, (0, 0, padding, padding, padding, padding))
    cropped = padded[torch.arange(batch, device=device)[:, None, None], y[:, :, None], x[:, None, :]]
    in_rows = (rows >= top) & (rows < bottom)  # [B, H]
    in_columns = (columns >= left) & (columns < right)  # [B, W]
    erased = in_rows[:, :, None] & in_columns[:, None, :]  # [B, H, W]
    return normalise(cropped).mul_(~erased[:, None])


def normalise(images: Tensor) -> Tensor:
    """uint8 ``[B, H, W, 3]`` -> float32 ``[B, 3, H, W]`` by ImageNet's mean and standard deviation."""
    mean, std = (MEAN, STD) if images.device.type == "cpu" else _on(images.device)
    return images.float().sub_(mean).div_(std).permute(0, 3, 1, 2)


@functools.cache
def _on(device: torch.device) -> tuple[Tensor, Tensor]:
    """The statistics on a GPU, kept: a copy of Python's numbers would wait for it."""
    return MEAN.to(device), STD.to(device)
