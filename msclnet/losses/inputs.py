"""What terms read beside the network's own outputs: both modalities together, and features where centres are taken.

Shape legend: B pairs, n parts, C channels; N features that CA acts on, B of each kind.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor

from msclnet.losses.centers import averages, same_group
from msclnet.losses.memory import CentreMemory

SYNERGY_CAMERA = -(1 << 63)  # f^s takes a camera of its own in Eq. 10 and 11, which no set's can be
SHORT = 1e-6  # a part that is silent has no length to measure by
PAIR = 1 << 16  # more than any camera's number: makes one number of two


def both(visible: Tensor, infrared: Tensor, second: Tensor | None = None) -> Tensor:
    """The visible images' rows, then the infrared ones', then those of the visible images augmented a second time.

    Args:
        visible: ``[B, ...]``.
        infrared: ``[B, ...]``.
        second: ``[B, ...]``; None: there are none.

    Returns:
        ``[2B, ...]``, or ``[3B, ...]``.
    """
    return torch.cat((visible, infrared) if second is None else (visible, infrared, second))


def labels_of_both(labels: Tensor, second: Tensor | None = None) -> Tensor:
    """The labels of the rows of ``both``.

    Args:
        labels: int64 ``[B]``, of the pairs.
        second: as in ``both``.

    Returns:
        Int64 ``[2B]``, or ``[3B]``.
    """
    return labels.repeat(2 if second is None else 3)


def centred(feature: Tensor, space: str) -> Tensor:
    """Features where centres are taken.

    ``neck`` and ``normalised`` are on the unit sphere, of features after or before the BN neck. ``raw`` is as they are.
    On the sphere Eq. 12 is bounded. Before the neck features are pooled activations, never negative, and fill a narrow
    cone of it. There all distances, and with them the gradients, are small.

    Args:
        feature: ``[B, C]``, or the blocks of f^s ``[B, n, C]``, whose mean over the parts is f^s.
        space: ``neck``, ``normalised`` or ``raw``.

    Returns:
        ``[B, C]``, rows of unit length unless ``raw``.

    Raises:
        ValueError: another space.
    """
    pooled = feature.mean(1) if feature.ndim == 3 else feature  # f^s is the mean of its blocks
    match space:
        case "neck" | "normalised":
            return F.normalize(pooled)
        case "raw":
            return pooled
        case _:
            raise ValueError(f"objective.centre_space: expected 'neck', 'normalised' or 'raw', found {space!r}")


def local_parts(blocks: Tensor, parts: str) -> Tensor:
    """The parts that Eq. 6 compares.

    Pooled parts are never negative and fill a narrow cone: an image's is at a cosine of 0.95 to anybody's. Less their
    mean over the batch they are compared by what tells them apart. Each is measured by its own length as pooled.

    Args:
        blocks: ``[B, n, C]``.
        parts: ``centred``, or ``raw``.

    Returns:
        ``[B, n, C]``: of length 1 as pooled, of less once centred.

    Raises:
        ValueError: other parts.
    """
    length = blocks.detach().norm(dim=2, keepdim=True).clamp(min=SHORT)
    match parts:
        case "centred":
            return (blocks - blocks.mean(0, keepdim=True)) / length
        case "raw":
            return blocks / length
        case _:
            raise ValueError(f"objective.local_parts: expected 'centred' or 'raw', found {parts!r}")


def cascade_features(space: str, *features: Tensor) -> Tensor:
    """Eq. 16: the features CA acts on.

    Args:
        space: as in ``centred``.
        *features: each as in ``centred``.

    Returns:
        ``[N, C]``.
    """
    pooled = [feature.mean(1) if feature.ndim == 3 else feature for feature in features]
    return centred(torch.cat(pooled), space)


def cascade_identities(labels: Tensor, cascade_on: Collection[str]) -> Tensor:
    """The identities of the features CA acts on.

    Args:
        labels: int64 ``[B]``, of the pairs.
        cascade_on: the features' names, of ``visible``, ``infrared`` and ``synergy``.

    Returns:
        Int64 ``[N]``.
    """
    return labels.repeat(len(set(cascade_on)))


def cascade_cameras(visible: Tensor, infrared: Tensor, cascade_on: Collection[str]) -> Tensor:
    """The cameras of the features CA acts on.

    f^s has ``SYNERGY_CAMERA``. Where CA acts on f^s alone each of its identities would then be one sub-class, and
    Eq. 11 be 0: there its camera is the pair of its two images' cameras.

    Args:
        visible: int64 ``[B]``, the visible images' cameras.
        infrared: int64 ``[B]``, the infrared images' cameras.
        cascade_on: the features' names, of ``visible``, ``infrared`` and ``synergy``.

    Returns:
        Int64 ``[N]``.
    """
    if set(cascade_on) == {"synergy"}:
        return visible * PAIR + infrared
    cameras = {"visible": visible, "infrared": infrared, "synergy": torch.full_like(visible, SYNERGY_CAMERA)}
    return torch.cat([cameras[name] for name in cameras if name in cascade_on])


def cascade_averages(features: Tensor, *labels: Tensor) -> Tensor:
    """What takes the features CA acts on to the centres of their groups, as ``centers.averages`` gives it.

    Args:
        features: ``[N, C]``; their type is its type.
        *labels: int64 ``[N]``; a group agrees in all of them.

    Returns:
        ``[N, N]``.
    """
    return averages(same_group(*labels), features.dtype)


def sub_class_centres(
    features: Tensor, average: Tensor, identities: Tensor, cameras: Tensor, memory: CentreMemory | None
) -> Tensor:
    """The centre of each feature's sub-class, C_{s_i}: the batch's, or mixed with those of the batches before.

    Args:
        features: ``[N, C]``.
        average: ``[N, N]``, of the sub-classes.
        identities: int64 ``[N]``.
        cameras: int64 ``[N]``.
        memory: of the batches before, or None.

    Returns:
        ``[N, C]``.
    """
    centres = average @ features
    return centres if memory is None else memory.of_sub_classes(centres, identities, cameras)


def identity_centres(features: Tensor, average: Tensor, identities: Tensor, memory: CentreMemory | None) -> Tensor:
    """The centre of each feature's identity, C_{y_i}: the batch's, or mixed with those of the batches before.

    Args:
        features: ``[N, C]``.
        average: ``[N, N]``, of the identities.
        identities: int64 ``[N]``.
        memory: of the batches before, or None.

    Returns:
        ``[N, C]``.
    """
    centres = average @ features
    return centres if memory is None else memory.of_identities(centres, identities)


def every_camera(visible: Tensor, infrared: Tensor, cascade_on: Collection[str]) -> Tensor:
    """All that ``cascade_cameras`` can give of a training's cameras.

    Args:
        visible: int64, the visible images' cameras, each once.
        infrared: int64, the infrared images' cameras, each once.
        cascade_on: as in ``cascade_cameras``.

    Returns:
        Int64, ascending, each once.
    """
    pairs = torch.cartesian_prod(visible, infrared).view(-1, 2)
    return cascade_cameras(pairs[:, 0], pairs[:, 1], cascade_on).unique()
