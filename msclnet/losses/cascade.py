"""Cascaded Aggregation, Eq. 10-12: from features to sub-classes (identity, camera) to identities.

Shape legend: N features of a batch (f^v, f^r and f^s together, Eq. 16), D their width; ``identities`` and ``cameras``
are ``[N]``. Meant for features of unit length, where each is bounded. Centres are the batch's means, or, with a
``CentreMemory``, mixed with those of the batches before. Each feature has its own row of its group's centre.
"""

from __future__ import annotations

from torch import Tensor

from msclnet.losses.centers import pairwise_squared_distance, squared_distance
from msclnet.losses.memory import CentreMemory


def sub_class_centres(
    features: Tensor, averages: Tensor, identities: Tensor, cameras: Tensor, memory: CentreMemory | None
) -> Tensor:
    """The centre of each feature's sub-class, C_{s_i}.

    Args:
        features: ``[N, D]``.
        averages: ``[N, N]``, of the sub-classes.
        identities: int64 ``[N]``.
        cameras: int64 ``[N]``.
        memory: of the batches before, or None.

    Returns:
        ``[N, D]``.
    """
    centres = averages @ features
    return centres if memory is None else memory.of_sub_classes(centres, identities, cameras)


def identity_centres(features: Tensor, averages: Tensor, identities: Tensor, memory: CentreMemory | None) -> Tensor:
    """The centre of each feature's identity, C_{y_i}.

    Args:
        features: ``[N, D]``.
        averages: ``[N, N]``, of the identities.
        identities: int64 ``[N]``.
        memory: of the batches before, or None.

    Returns:
        ``[N, D]``.
    """
    centres = averages @ features
    return centres if memory is None else memory.of_identities(centres, identities)


def sub(features: Tensor, of_sub_class: Tensor) -> Tensor:
    """Eq. 10, L_sub: mean over i of ``||f_i - C_{s_i}||^2``, from features to the centres of their sub-classes.

    Args:
        features: ``[N, D]``.
        of_sub_class: ``[N, D]``, the centre of each one's sub-class.

    Returns:
        A scalar, in [0, 1] for unit features, with a memory in [0, 4]; 0 where each is alone and nothing remembered.
    """
    return squared_distance(features, of_sub_class).mean()


def intra(of_sub_class: Tensor, of_identity: Tensor, sub_classes: Tensor, identities: Tensor) -> Tensor:
    """Eq. 11, L_intra: mean over identities i of the sum over i's sub-classes j of ``||C_{s_j} - C_{y_i}||^2``.

    Args:
        of_sub_class: ``[N, D]``, the centre of each feature's sub-class.
        of_identity: ``[N, D]``, the centre of each feature's identity.
        sub_classes: ``[N, N]``, the averages that give sub-classes' centres.
        identities: ``[N, N]``, the averages that give identities' centres.

    Returns:
        A scalar >= 0; 0 where each identity was seen by one camera and nothing is remembered.
    """
    distances = squared_distance(of_sub_class, of_identity)
    return distances @ sub_classes.diagonal() / identities.diagonal().sum()


def inter(of_identity: Tensor, identities: Tensor) -> Tensor:
    """Eq. 12, L_inter: minus twice the mean squared distance between the centres of two identities.

    ``-(1 / binom(M, 2)) sum_i sum_{j != i} ||C_{y_i} - C_{y_j}||^2``, M identities in the batch. The printed sum visits
    each pair twice. Eq. 13 prints the binomial upside down.

    Args:
        of_identity: ``[N, D]``, the centre of each feature's identity.
        identities: ``[N, N]``, the averages that give identities' centres.

    Returns:
        A scalar, in [-8, 0] for unit features. A batch of one identity has no pair: 0.
    """
    share = identities.diagonal()  # [N], sums to 1 over each identity
    distances = pairwise_squared_distance(of_identity).masked_fill(identities > 0, 0)
    count = share.sum()
    pairs = (count * (count - 1) / 2).clamp(min=1)
    return -(share @ distances @ share) / pairs
