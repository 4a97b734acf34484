"""The losses of the baselines: identity cross-entropy, batch-hard triplet (``base``), WRT (``agw``), CAJ's.

Shape legend: N features of a batch, D their width. Pure functions of tensors; each returns a scalar >= 0.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from msclnet.losses.centers import pairwise_squared_distance, same_group

MIN_SQUARED_DISTANCE = 1e-12  # below it the root's gradient would overflow; as in the public AGW code
WIDEST = 88.0  # of a squared gap in the public CAJ code
MIN_WEIGHTS = 1e-6  # what the public AGW code adds to a sum of weights


def identity(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the identity logits.

    Args:
        logits: ``[N, identities]``.
        labels: int64 ``[N]``.

    Returns:
        The mean over the batch, a scalar in nats, >= 0.
    """
    return F.cross_entropy(logits, labels)


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over anchors of ``max(0, hardest positive - hardest negative + margin)``, Euclidean.

    Source: Hermans et al., In Defense of the Triplet Loss, 2017. Anchors without a negative contribute 0.

    Args:
        features: ``[N, D]``.
        labels: int64 ``[N]``.
        margin: a distance, >= 0.

    Returns:
        A scalar >= 0.
    """
    distance, positive, negative = _distances(features, labels)
    furthest = distance.masked_fill(~positive, 0).amax(1)
    closest = distance.masked_fill(~negative, torch.inf).amin(1)
    return (furthest - closest + margin).clamp(min=0).mean()


def weighted_regularised_triplet(features: Tensor, labels: Tensor, weights: Literal["public", "softmax"]) -> Tensor:
    """WRT: mean over anchors of ``log(1 + exp(sum_p w_p d_p - sum_n w_n d_n))``, Euclidean.

    The weights rise with d over an anchor's positives, and fall with d over its negatives. The anchor itself is among
    its positives, as in the public code. Source: Ye et al., AGW, TPAMI 2021.

    ``softmax`` is the formula in print: weights that add up to 1. ``public`` is the public code, where those over
    negatives are ``exp(-d) / (sum exp(-d) + 1e-6)``. Beyond a distance of 15 or so they vanish, and the closest
    negative with them: the loss then draws all features together, until they are near enough to be told apart.

    Args:
        features: ``[N, D]``.
        labels: int64 ``[N]``.
        weights: ``public`` or ``softmax``.

    Returns:
        A scalar >= 0. An anchor without a negative contributes 0 to ``softmax``, its positives alone to ``public``.

    Raises:
        ValueError: other weights.
    """
    gap, counted = _gap(features, labels, weights)
    return _mean(F.softplus(gap), counted)


def enhanced_squared_difference(features: Tensor, labels: Tensor, weights: Literal["public", "softmax"]) -> Tensor:
    """WRT of the squared gap: mean over anchors of ``log(1 + exp(g |g|))``, ``g = sum_p w_p d_p - sum_n w_n d_n``.

    Where WRT's slope is 1 at most, a gap that is twice as wide pulls twice as hard. Source: Ye et al., CAJ, ICCV 2021.
    ``public`` holds ``g |g|`` within 88, as the public code does against an overflow that softplus does not have.
    Beyond it the anchor has no gradient. ``softmax`` has no such end.

    Args:
        features: ``[N, D]``.
        labels: int64 ``[N]``.
        weights: as in ``weighted_regularised_triplet``.

    Returns:
        A scalar >= 0. An anchor without a negative contributes 0 to ``softmax``, its positives alone to ``public``.

    Raises:
        ValueError: other weights.
    """
    gap, counted = _gap(features, labels, weights)
    squared = gap * gap.abs()
    if weights == "public":
        squared = squared.clamp(-WIDEST, WIDEST)
    return _mean(F.softplus(squared), counted)


def _mean(losses: Tensor, counted: Tensor | None) -> Tensor:
    """Over all anchors, of which those that do not count contribute 0; without ``counted`` all count."""
    return (losses if counted is None else losses * counted).mean()


def _gap(features: Tensor, labels: Tensor, weights: str) -> tuple[Tensor, Tensor | None]:
    """How much further an anchor's weighted positives are than its negatives ``[N]``, and whether it counts."""
    distance, positive, negative = _distances(features, labels)
    match weights:
        case "public":
            weigh, counted = _public_weights, None
        case "softmax":
            weigh, counted = _masked_softmax, negative.any(1)
        case _:
            raise ValueError(f"objective.wrt_weights: expected 'public' or 'softmax', found {weights!r}")
    furthest = (distance * weigh(distance, positive)).sum(1)
    closest = (distance * weigh(-distance, negative)).sum(1)
    return furthest - closest, counted


def _distances(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Euclidean distances ``[N, N]`` and the masks of positives (self included) and negatives."""
    distance = pairwise_squared_distance(features, MIN_SQUARED_DISTANCE).sqrt()
    positive = same_group(labels)
    return distance, positive, ~positive


def _public_weights(values: Tensor, mask: Tensor) -> Tensor:
    """The public code's weights: what is not in ``mask`` counts as 0 where the maximum is taken."""
    masked = values * mask
    weights = (masked - masked.detach().amax(1, keepdim=True)).exp() * mask
    return weights / (weights.sum(1, keepdim=True) + MIN_WEIGHTS)


def _masked_softmax(values: Tensor, mask: Tensor) -> Tensor:
    """Softmax of each row over the entries of ``mask``; a row without any is all 0."""
    # A large finite number rather than -inf: a row without entries then gives no NaN, here or in the gradient.
    return values.masked_fill(~mask, torch.finfo(values.dtype).min).softmax(1) * mask
