"""Class centres over the batch, as the mean of each sample's group: no shapes that depend on the data, no GPU sync."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def same_group(*labels: Tensor) -> Tensor:
    """``[N, N]`` bool: whether two samples agree in every one of the label vectors ``[N]``."""
    return functools.reduce(torch.logical_and, (label[:, None] == label[None, :] for label in labels))


def averages(same: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix that takes features to their groups' centres: ``[N, N]`` same -> ``[N, N]``, rows that sum to 1.

    Its diagonal is one over the size of each sample's group, so that a sum over samples, each so weighted, is a sum
    over groups.
    """
    membership = same.to(dtype)
    return membership / membership.sum(1, keepdim=True)


def centre_of_each(features: Tensor, same: Tensor) -> Tensor:
    """The centre of each sample's own group: ``[N, D]`` features, ``[N, N]`` same -> ``[N, D]``."""
    return averages(same, features.dtype) @ features


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Row by row, ``[N, D], [N, D] -> [N]``."""
    return (a - b).square().sum(1)


def pairwise_squared_distance(features: Tensor, least: float = 0.0) -> Tensor:
    """``[N, D] -> [N, N]``, never below ``least``."""
    squares = features.square().sum(1)
    return torch.addmm(squares[:, None] + squares[None, :], features, features.T, alpha=-2).clamp(min=least)
