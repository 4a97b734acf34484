"""Class centres over the batch, as the mean of each sample's group: no shapes that depend on the data, no GPU sync."""

from __future__ import annotations

import torch
from torch import Tensor


def same_group(*labels: Tensor) -> Tensor:
    """``[N, N]`` bool: whether two samples agree in every one of the label vectors ``[N]``."""
    same = torch.stack([label[:, None] == label[None, :] for label in labels])
    return same.all(0)


def centre_of_each(features: Tensor, same: Tensor) -> Tensor:
    """The centre of each sample's own group: ``[N, D]`` features, ``[N, N]`` same -> ``[N, D]``."""
    membership = same.to(features.dtype)
    return membership @ features / membership.sum(1, keepdim=True)


def share_of_group(same: Tensor, dtype: torch.dtype) -> Tensor:
    """``[N]``: one over the size of each sample's group, so that a sum over samples is a sum over groups."""
    return 1 / same.to(dtype).sum(1)


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Row by row, ``[N, D], [N, D] -> [N]``."""
    return (a - b).square().sum(1)


def pairwise_squared_distance(features: Tensor) -> Tensor:
    """``[N, D] -> [N, N]``, never negative."""
    squares = features.square().sum(1)
    return (squares[:, None] + squares[None, :] - 2 * features @ features.T).clamp(min=0)
