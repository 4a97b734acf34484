"""Cascaded Aggregation, Eq. 10-12: from features to sub-classes (identity, camera) to identities.

Shape legend: N features of a batch (f^v, f^r and f^s together, Eq. 16), D their width; ``identities`` and ``cameras``
are ``[N]``. Meant for features of unit length, where each is bounded. Centres are the batch's means, or, with a
``CentreMemory``, mixed with those of the batches before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from msclnet.losses.centers import (
    centre_of_each,
    pairwise_squared_distance,
    same_group,
    share_of_group,
    squared_distance,
)
from msclnet.losses.memory import CentreMemory


def sub(features: Tensor, identities: Tensor, cameras: Tensor, memory: CentreMemory | None = None) -> Tensor:
    """Eq. 10, L_sub: mean over i of ``||f_i - C_{s_i}||^2``, from features to the centres of their sub-classes.

    Args:
        features: ``[N, D]``.
        identities: int64 ``[N]``.
        cameras: int64 ``[N]``.
        memory: of the batches before, or None.

    Returns:
        A scalar, in [0, 1] for unit features, with a memory in [0, 4]; 0 where each is alone and nothing remembered.
    """
    return squared_distance(features, _sub_class_centres(features, identities, cameras, memory)).mean()


def intra(features: Tensor, identities: Tensor, cameras: Tensor, memory: CentreMemory | None = None) -> Tensor:
    """Eq. 11, L_intra: mean over identities i of the sum over i's sub-classes j of ``||C_{s_j} - C_{y_i}||^2``.

    Args:
        features: ``[N, D]``.
        identities: int64 ``[N]``.
        cameras: int64 ``[N]``.
        memory: of the batches before, or None.

    Returns:
        A scalar >= 0; 0 where each identity was seen by one camera and nothing is remembered.
    """
    of_sub_class = _sub_class_centres(features, identities, cameras, memory)
    distances = squared_distance(of_sub_class, _identity_centres(features, identities, memory))
    per_sub_class = share_of_group(same_group(identities, cameras), features.dtype)
    count = share_of_group(same_group(identities), features.dtype).sum()
    return (distances * per_sub_class).sum() / count


def inter(features: Tensor, identities: Tensor, memory: CentreMemory | None = None) -> Tensor:
    """Eq. 12, L_inter: minus twice the mean squared distance between the centres of two identities.

    ``-(1 / binom(M, 2)) sum_i sum_{j != i} ||C_{y_i} - C_{y_j}||^2``, M identities in the batch. The printed sum visits
    each pair twice. Eq. 13 prints the binomial upside down.

    Args:
        features: ``[N, D]``.
        identities: int64 ``[N]``.
        memory: of the batches before, or None.

    Returns:
        A scalar, in [-8, 0] for unit features. A batch of one identity has no pair: 0.
    """
    identity = same_group(identities)
    share = share_of_group(identity, features.dtype)  # [N], sums to 1 over each identity
    distances = pairwise_squared_distance(_identity_centres(features, identities, memory)).masked_fill(identity, 0)
    count = share.sum()
    pairs = (count * (count - 1) / 2).clamp(min=1)
    return -torch.einsum("i,ij,j->", share, distances, share) / pairs


def _sub_class_centres(features: Tensor, identities: Tensor, cameras: Tensor, memory: CentreMemory | None) -> Tensor:
    centres = centre_of_each(features, same_group(identities, cameras))
    return centres if memory is None else memory.of_sub_classes(centres, identities, cameras)


def _identity_centres(features: Tensor, identities: Tensor, memory: CentreMemory | None) -> Tensor:
    centres = centre_of_each(features, same_group(identities))
    return centres if memory is None else memory.of_identities(centres, identities)
