"""Modality Complement, Eq. 6 and 7: the single modalities teach the synergistic feature f^s what it lacks.

No gradient passes through the teachers; f^s depends on theta_v and theta_r through f hat, and that path stays open.
Shape legend: B pairs, n parts, C channels.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from msclnet.losses.centers import centre_of_each, same_group, squared_distance

EPS = 1e-4  # of Eq. 6: bounds the gradient of the root at cos = 1 by 1 / sqrt(EPS) = 100


def local(teacher: Tensor, synergy: Tensor, form: Literal["decreasing", "printed"]) -> Tensor:
    """Eq. 6, L_local: sum over parts, mean over pairs, of a penalty of ``cos(b^v_j, b^s_j)``; both ``[B, n, C]``.

    ``decreasing``: (1 - cos) + sqrt(2 - 2 cos + EPS), in [0.01 n, 4.01 n], falling over the cosine's whole range.
    ``printed``: cos + sqrt(2 - 2 cos), which is 1 at cos = 1 and at cos = -1, has its maximum 1.5 at cos = 0.5 and
    an infinite gradient at cos = 1 (EPS keeps it finite here): minimising it drives parts apart as happily as together.
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
    """Eq. 7, L_global: mean over i of ``||C^s_{y_i} - C^r_{y_i}||^2``, the classes' centres over the batch, >= 0.

    ``synergy`` f^s and ``teacher`` f^r are ``[B, C]``, labels ``[B]``.
    """
    same = same_group(labels)
    return squared_distance(centre_of_each(synergy, same), centre_of_each(teacher.detach(), same)).mean()
