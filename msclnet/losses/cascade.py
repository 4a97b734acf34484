"""Cascaded Aggregation, Eq. 10-12: from features to sub-classes (identity, camera) to identities.

Shape legend: N features of a batch (f^v, f^r and f^s together, Eq. 16), D their width. Meant for features of unit
length, where each is bounded. Each feature has its own row of its group's centre, as ``inputs`` makes them.
"""

from __future__ import annotations

from torch import Tensor

from msclnet.losses.centers import pairwise_squared_distance, squared_distance


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
