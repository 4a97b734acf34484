"""Eq. 17: the terms a method uses, by name, and their weighted sum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from msclnet.config import Losses, Objective, plain
from msclnet.core.types import Outputs
from msclnet.losses import baseline, cascade, complement, synergy

SYNERGY_CAMERA = 0  # f^s takes a camera of its own in Eq. 10 and 11; the sets count theirs from 1


def terms(outputs: Outputs, losses: Losses, readings: Objective) -> dict[str, Tensor]:
    """Every term whose weight is not 0, unweighted, as float32 scalars (float64 if the outputs are).

    ``outputs`` is the whole batch's: triplets, centres and Eq. 12 are no sums over processes.
    """
    o = outputs.at_least_float32()
    labels = torch.cat((o.labels, o.labels))  # [2B]
    pooled = torch.cat((o.visible, o.infrared))  # [2B, C]
    result: dict[str, Tensor] = {}
    if losses.identity:
        result["identity"] = baseline.identity(torch.cat((o.visible_logits, o.infrared_logits)), labels)
    if losses.triplet:
        result["triplet"] = baseline.batch_hard_triplet(pooled, labels, readings.margin)
    if losses.wrt:
        result["wrt"] = baseline.weighted_regularised_triplet(pooled, labels)
    if losses.div:
        result["div"] = synergy.divergence(
            _present(o.visible_normalised), _present(o.infrared_normalised), readings.divergence_ceiling
        )
    if losses.t:
        result["t"] = synergy.modality_identity(
            _present(o.visible_normalised_logits), _present(o.infrared_normalised_logits), o.labels
        )
    if losses.local:
        result["local"] = complement.local(_present(o.visible_blocks), _present(o.synergy_blocks), readings.local_form)
    if losses.global_:
        result["global"] = complement.global_(_synergy(o, readings), _infrared(o, readings), o.labels)
    if losses.sub or losses.intra or losses.inter:
        features, identities, cameras = _cascade_features(o, readings)
        if losses.sub:
            result["sub"] = cascade.sub(features, identities, cameras)
        if losses.intra:
            result["intra"] = cascade.intra(features, identities, cameras)
        if losses.inter:
            result["inter"] = cascade.inter(features, identities)
    return result


def total(values: dict[str, Tensor], losses: Losses) -> Tensor:
    """Eq. 17: the weighted sum of ``terms``."""
    weights = plain(losses)
    return torch.stack([weights[name] * value for name, value in values.items()]).sum()


def _cascade_features(o: Outputs, readings: Objective) -> tuple[Tensor, Tensor, Tensor]:
    """Eq. 16: the features CA acts on ``[N, C]`` with their identities and cameras ``[N]``."""
    parts: list[tuple[Tensor, Tensor]] = []
    if "visible" in readings.cascade_on:
        parts.append((_visible(o, readings), o.visible_cameras))
    if "infrared" in readings.cascade_on:
        parts.append((_infrared(o, readings), o.infrared_cameras))
    if "synergy" in readings.cascade_on:
        camera = torch.full_like(o.visible_cameras, SYNERGY_CAMERA)
        parts.append((_synergy(o, readings), camera))
    features = torch.cat([feature for feature, _ in parts])
    return features, o.labels.repeat(len(parts)), torch.cat([cameras for _, cameras in parts])


def _visible(o: Outputs, readings: Objective) -> Tensor:
    """f^v where its centres are taken, ``[B, C]``; so for f^r and f^s below."""
    return _space(o.visible, o.visible_neck, readings)


def _infrared(o: Outputs, readings: Objective) -> Tensor:
    return _space(o.infrared, o.infrared_neck, readings)


def _synergy(o: Outputs, readings: Objective) -> Tensor:
    return _space(_present(o.synergy_blocks).mean(1), o.synergy_neck, readings)


def _space(pooled: Tensor, neck: Tensor | None, readings: Objective) -> Tensor:
    """Where centres are taken: on the unit sphere, of features before or after the BN neck, or in the raw features.

    On the sphere Eq. 12 is bounded. Before the neck features are pooled activations, never negative, and fill a narrow
    cone of it: all distances, and with them the gradients, are small.
    """
    match readings.centre_space:
        case "neck":
            return F.normalize(_present(neck))
        case "normalised":
            return F.normalize(pooled)
        case "raw":
            return pooled
        case _:
            raise ValueError(
                f"objective.centre_space: expected 'neck', 'normalised' or 'raw', found {readings.centre_space!r}"
            )


def _present(value: Tensor | None) -> Tensor:
    if value is None:
        raise ValueError("a loss reads an output that the network was not built with: their configurations differ")
    return value
