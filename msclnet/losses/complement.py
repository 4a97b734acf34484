"""Modality Complement, Eq. 6 and 7: the single modalities teach the synergistic feature f^s what it lacks.

And MPANet's separation of the parts' masks, for Eq. 6 compares parts.

No gradient passes through the teachers; f^s depends on theta_v and theta_r through f hat, and that path stays open.
Shape legend: B pairs, n parts, C channels, P positions of a map.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from msclnet.losses.centers import centre_of_each, same_group

EPS = 1e-4  # of Eq. 6: bounds the gradient of the root at cos = 1 by 1 / sqrt(EPS) = 100
# Of a part's size: what is shorter, a centred part near the mean of all, counts as so long. It has no direction to
# speak of, and the cosine's gradient, one over its length, would be without bound.
SHORTEST = 1e-2


def local(teacher: Tensor, synergy: Tensor, form: Literal["decreasing", "printed"]) -> Tensor:
    """Eq. 6, L_local: a penalty of ``cos(b^v_j, b^s_j)``, summed over the parts j.

    ``decreasing`` is ``(1 - cos) + sqrt(2 - 2 cos + EPS)``, which falls over the cosine's whole range. ``printed`` is
    ``cos + sqrt(2 - 2 cos)``. That is 1 at ``cos = 1`` and at ``cos = -1``, with a maximum of 1.5 at ``cos = 0.5``. Its
    gradient at ``cos = 1`` is infinite; EPS keeps it finite here. Minimising it drives parts apart as happily as
    together.

    Args:
        teacher: ``[B, n, C]``, b^v, of a length of about 1 or less; no gradient passes through it.
        synergy: ``[B, n, C]``, b^s, likewise. Below ``SHORTEST`` the cosine falls with the length.
        form: ``decreasing`` or ``printed``.

    Returns:
        The mean over pairs, a scalar; of ``decreasing`` in [0.01 n, 4.01 n].

    Raises:
        ValueError: another form.
    """
    teacher = teacher.detach()
    lengths = teacher.norm(dim=2).clamp(min=SHORTEST) * synergy.norm(dim=2).clamp(min=SHORTEST)
    cosine = (teacher * synergy).sum(2) / lengths  # [B, n]
    root = (2 + EPS - 2 * cosine).clamp(min=EPS).sqrt()
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
    apart = centre_of_each(synergy - teacher.detach(), same_group(labels))  # a mean's difference is the differences'
    return apart.square().sum(1).mean()


def separation(masks: Tensor, form: Literal["cosine", "overlap"]) -> Tensor:
    """Keeps the masks of the parts apart, two of an image's at a time.

    ``overlap`` is MPANet's (Wu et al., CVPR 2021), ``sum_p m_ip m_jp`` over all positions p. Masks that are small
    everywhere meet it as well. By SGD at the paper's rate it closes all masks of a ResNet-50 in the first step
    (docs/benchmarks/rehearsal.md). ``cosine`` is the same, divided by the lengths of both masks: it tells their places
    apart, whatever their size.

    Args:
        masks: ``[2B, n, P]``, in [0, 1].
        form: ``cosine`` or ``overlap``.

    Returns:
        The mean over images and pairs of parts, a scalar in [0, 1], or in [0, P]; 0 where there is one part.

    Raises:
        ValueError: another form.
    """
    match form:
        case "cosine":
            compared = F.normalize(masks, dim=2, eps=SHORTEST)
        case "overlap":
            compared = masks
        case _:
            raise ValueError(f"objective.separation_form: expected 'cosine' or 'overlap', found {form!r}")
    met = (compared @ compared.transpose(1, 2)).triu(diagonal=1).sum((1, 2)).mean()
    parts = masks.shape[1]
    return met / max(1, parts * (parts - 1) / 2)
