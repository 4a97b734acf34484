"""Modality Complement, Eq. 6 and 7: the single modalities teach the synergistic feature f^s what it lacks.

And MPANet's separation of the parts' masks, for Eq. 6 compares parts.

No gradient passes through the teachers; f^s depends on theta_v and theta_r through f hat, and that path stays open.
Shape legend: B pairs, n parts, C channels, P positions of a map.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from msclnet.losses.centers import centre_of_each, same_group, squared_distance

EPS = 1e-4  # of Eq. 6: bounds the gradient of the root at cos = 1 by 1 / sqrt(EPS) = 100


def local(teacher: Tensor, synergy: Tensor, form: Literal["decreasing", "printed"]) -> Tensor:
    """Eq. 6, L_local: a penalty of ``cos(b^v_j, b^s_j)``, summed over the parts j.

    ``decreasing`` is ``(1 - cos) + sqrt(2 - 2 cos + EPS)``, which falls over the cosine's whole range. ``printed`` is
    ``cos + sqrt(2 - 2 cos)``. That is 1 at ``cos = 1`` and at ``cos = -1``, with a maximum of 1.5 at ``cos = 0.5``. Its
    gradient at ``cos = 1`` is infinite; EPS keeps it finite here. Minimising it drives parts apart as happily as
    together.

    Args:
        teacher: ``[B, n, C]``, b^v; no gradient passes through it.
        synergy: ``[B, n, C]``, b^s.
        form: ``decreasing`` or ``printed``.

    Returns:
        The mean over pairs, a scalar; of ``decreasing`` in [0.01 n, 4.01 n].

    Raises:
        ValueError: another form.
    """
    cosine = F.cosine_similarity(teacher.detach(), synergy, dim=2)  # [B, n]
    root = (2 - 2 * cosine + EPS).clamp(min=EPS).sqrt()
    match form:
        case "decreasing":
            penalty = 1 - cosine + root
        case "printed":
            penalty = cosine + root
        case _:
            raise ValueError(f"objective.local_form: expected 'decreasing' or 'printed', found {form!r}")
    return penalty.sum(1).mean()


def global_(synergy: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """Eq. 7, L_global: mean over i of ``||C^s_{y_i} - C^r_{y_i}||^2``, the classes' centres over the batch.

    Args:
        synergy: ``[B, C]``, f^s.
        teacher: ``[B, C]``, f^r; no gradient passes through it.
        labels: int64 ``[B]``, of the pairs.

    Returns:
        The mean over pairs, a scalar >= 0.
    """
    same = same_group(labels)
    return squared_distance(centre_of_each(synergy, same), centre_of_each(teacher.detach(), same)).mean()


def separation(masks: Tensor) -> Tensor:
    """Keeps the masks of the parts apart: the overlap ``sum_p m_ip m_jp`` of two of an image's, at all positions p.

    Source: MPANet (Wu et al., CVPR 2021), from which the paper takes its parts; its public code weighs it with 0.5 on
    SYSU-MM01.

    Args:
        masks: ``[2B, n, P]``, in [0, 1].

    Returns:
        The mean over images and pairs of parts, a scalar in [0, P]; 0 where there is one part.
    """
    overlap = (masks @ masks.transpose(1, 2)).triu(diagonal=1).sum((1, 2)).mean()
    parts = masks.shape[1]
    return overlap / max(1, parts * (parts - 1) / 2)
