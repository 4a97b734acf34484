"""Modality Synergy, Eq. 3 and 4. Shape legend: B pairs, C channels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def divergence(visible: Tensor, infrared: Tensor, ceiling: float | None) -> Tensor:
    """Eq. 3, L_div = -KL(f^v hat || f^r hat): minimising it makes the two modalities' features diverse.

    Softmax over the channels makes of the features the distributions that the divergence needs. Departure from print:
    -KL is unbounded below. So each pair's KL counts up to ``ceiling``, where its gradient ends.

    Args:
        visible: ``[B, C]``, the pooled f^v hat.
        infrared: ``[B, C]``, the pooled f^r hat.
        ceiling: in nats, > 0; None is the printed form.

    Returns:
        The mean over pairs, a scalar in nats, in [-ceiling, 0].
    """
    log_v, log_r = F.log_softmax(visible, 1), F.log_softmax(infrared, 1)
    divergences = (log_v.exp() * (log_v - log_r)).sum(1)  # [B]
    if ceiling is not None:
        divergences = divergences.clamp(max=ceiling)
    return -divergences.mean()


def modality_identity(visible_logits: Tensor, infrared_logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 4, L_t: cross-entropy of the identity logits of f^v hat and of f^r hat.

    An addition to the baseline's identity loss, not in place of it (Table 1). Like that loss it is the mean over all 2B
    images, so that lambda_t weighs one against the other.

    Args:
        visible_logits: ``[B, identities]``, of f^v hat.
        infrared_logits: ``[B, identities]``, of f^r hat.
        labels: int64 ``[B]``, of the pairs.

    Returns:
        The mean over images, a scalar in nats, >= 0.
    """
    return (F.cross_entropy(visible_logits, labels) + F.cross_entropy(infrared_logits, labels)) / 2
