"""Modality Synergy, Eq. 3 and 4. Shape legend: B pairs, C channels, K channels or identities."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def divergence(visible: Tensor, infrared: Tensor, ceiling: float | None) -> Tensor:
    """Eq. 3, L_div = -KL(f^v hat || f^r hat): minimising it makes the two modalities' features diverse.

    A divergence needs distributions, which features are not: a softmax makes them. Over the identity logits it gives
    the posteriors of the identities, over the channels of the pooled features next to a uniform distribution, whose
    divergence is of a hundredth of a nat. Departure from print: -KL is unbounded below. So each pair's KL counts up to
    ``ceiling``, where its gradient ends.

    Args:
        visible: ``[B, K]``, of f^v hat: its identity logits, or its channels.
        infrared: ``[B, K]``, of f^r hat.
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

    An addition to the baseline's identity loss, not in place of it (Table 1). Each modality's is a mean over its B
    images, and L_t their sum, as printed.

    Args:
        visible_logits: ``[B, identities]``, of f^v hat.
        infrared_logits: ``[B, identities]``, of f^r hat.
        labels: int64 ``[B]``, of the pairs.

    Returns:
        The sum of the two means, a scalar in nats, >= 0.
    """
    return F.cross_entropy(visible_logits, labels) + F.cross_entropy(infrared_logits, labels)
