"""What a training logs beside its losses: where in their range they are. Pure functions, without gradients.

Shape legend: N features of a batch, D their width; B pairs, n parts, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from msclnet.losses.centers import pairwise_squared_distance, same_group
from msclnet.losses.complement import SHORTEST, separation


def positive_distance(features: Tensor, labels: Tensor) -> Tensor:
    """Mean Euclidean distance between two images of one identity.

    Args:
        features: ``[N, D]``.
        labels: int64 ``[N]``.

    Returns:
        A scalar >= 0; 0 where each identity has one image.
    """
    return _mean(pairwise_squared_distance(features).sqrt(), same_group(labels).fill_diagonal_(False))


def negative_distance(features: Tensor, labels: Tensor) -> Tensor:
    """Mean Euclidean distance between images of two identities.

    Beyond 15 or so the negatives of the public code's WRT have no weight.

    Args:
        features: ``[N, D]``.
        labels: int64 ``[N]``.

    Returns:
        A scalar >= 0; 0 where there is one identity.
    """
    return _mean(pairwise_squared_distance(features).sqrt(), ~same_group(labels))


def own_cosine(teacher: Tensor, synergy: Tensor) -> Tensor:
    """Mean cosine of a part of f^s and the same part of its own visible image, as Eq. 6 compares them.

    Args:
        teacher: ``[B, n, C]``, b^v.
        synergy: ``[B, n, C]``, b^s.

    Returns:
        A scalar in [-1, 1].
    """
    return F.cosine_similarity(teacher, synergy, dim=2, eps=SHORTEST).mean()


def other_cosine(teacher: Tensor, synergy: Tensor, labels: Tensor) -> Tensor:
    """Mean cosine of a part of f^s and the same part of other identities' visible images.

    Args:
        teacher: ``[B, n, C]``, b^v.
        synergy: ``[B, n, C]``, b^s.
        labels: int64 ``[B]``.

    Returns:
        A scalar in [-1, 1]; 0 where there is one identity.
    """
    student, teacher = (F.normalize(parts, dim=2, eps=SHORTEST) for parts in (synergy, teacher))
    cosines = torch.einsum("inc,jnc->ij", student, teacher) / teacher.shape[1]
    return _mean(cosines, ~same_group(labels))


def mask_size(masks: Tensor) -> Tensor:
    """The mean value of the parts' masks.

    Args:
        masks: ``[2B, n, P]``, in [0, 1].

    Returns:
        A scalar in [0, 1].
    """
    return masks.mean()


def mask_overlap(masks: Tensor) -> Tensor:
    """Mean cosine of two parts' masks of an image: 1 where they lie in the same place, 0 where they do not meet.

    Args:
        masks: ``[2B, n, P]``, in [0, 1].

    Returns:
        A scalar in [0, 1]; 0 where there is one part.
    """
    return separation(masks, "cosine")


def alone(identities: Tensor, cameras: Tensor) -> Tensor:
    """The share of the features that are alone in their sub-class, where Eq. 10 cannot pull without a memory.

    Args:
        identities: int64 ``[N]``.
        cameras: int64 ``[N]``.

    Returns:
        A scalar in [0, 1].
    """
    return (same_group(identities, cameras).sum(1) == 1).float().mean()


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the chosen values, or 0 of none; waits for no GPU."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
