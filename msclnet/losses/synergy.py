"""Modality Synergy, Eq. 3 and 4. Shape legend: B pairs, C channels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def divergence(visible: Tensor, infrared: Tensor, ceiling: float | None) -> Tensor:
    """Eq. 3, L_div = -KL(f^v hat || f^r hat): minimising it makes the two modalities' features diverse.

    ``visible`` and ``infrared`` ``[B, C]`` are the pooled f hat; softmax over the channels makes them the distributions
    the divergence needs. In nats, mean over pairs, in [-ceiling, 0]. Departure from print: -KL is unbounded below, so
    each pair's KL counts up to ``ceiling``, where its gradient ends; None is the printed form.
    """
    log_v, log_r = F.log_softmax(visible, 1), F.log_softmax(infrared, 1)
    divergences = (log_v.exp() * (log_v - log_r)).sum(1)  # [B]
    if ceiling is not None:
        divergences = divergences.clamp(max=ceiling)
    return -divergences.mean()


def modality_identity(visible_logits: Tensor, infrared_logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 4, L_t: cross-entropy of the identity logits ``[B, identities]`` of f^v hat and of f^r hat, >= 0.

    An addition to the baseline's identity loss, not in place of it (Table 1), and like it the mean over all 2B images,
    so that lambda_t weighs one against the other.
    """
    return (F.cross_entropy(visible_logits, labels) + F.cross_entropy(infrared_logits, labels)) / 2
