"""The words every package shares.

Shape legend, used by every module: ``B`` pairs in a batch, ``C`` channels of the last feature map, ``n``
parts, ``N`` images, ``H x W`` the image (rows x columns).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # reading a data set's index must not cost the import of torch
    import numpy as np
    from torch import Tensor


class Modality(IntEnum):
    """What a camera records. The numbers are those stored in packs and feature files."""

    VISIBLE = 0
    INFRARED = 1

    @classmethod
    def of(cls, value: Modality | int | str) -> Modality:
        """The modality of a name or a number.

        Args:
            value: ``visible`` or 0, ``infrared`` or 1.

        Returns:
            The modality.

        Raises:
            ValueError: it is none of these.
        """
        for modality in cls:
            if value in (modality, modality.name.lower()):
                return modality
        raise ValueError(f"modality: expected 'visible' (0) or 'infrared' (1), found {value!r}")


class ImageRecord(NamedTuple):
    """One image of a data set: ``path`` is relative to the set's root, with forward slashes."""

    path: str
    identity: int
    camera: int
    modality: Modality


@dataclass(frozen=True)
class Batch:
    """``B`` pairs; pair i holds one visible and one infrared image of the identity ``labels[i]``.

    Images are normalised floats ``[B, 3, H, W]``; labels are 0..P-1 by sorted identity, cameras the set's own
    numbers, both int64 ``[B]``. ``second`` are the visible images augmented a second time, in joint learning (CAJ).
    """

    visible: Tensor
    infrared: Tensor
    labels: Tensor
    visible_cameras: Tensor
    infrared_cameras: Tensor
    second: Tensor | None = None


@dataclass(frozen=True)
class Outputs:
    """What the network says of a batch of pairs, in the paper's notation (v visible, r infrared, s synergistic).

    The optional ones exist where they were asked of the network: where a loss reads them.
    """

    labels: Tensor  # [B] int64, y
    visible_cameras: Tensor  # [B] int64
    infrared_cameras: Tensor  # [B] int64
    visible: Tensor  # [B, C] f^v, pooled
    infrared: Tensor  # [B, C] f^r, pooled
    visible_neck: Tensor  # [B, C] f^v after the BN neck
    infrared_neck: Tensor  # [B, C]
    visible_logits: Tensor | None = None  # [B, identities], of the BN feature
    infrared_logits: Tensor | None = None  # [B, identities]
    second: Tensor | None = None  # [B, C] pooled, of the visible images augmented a second time, where a batch has them
    second_logits: Tensor | None = None  # [B, identities]
    visible_normalised: Tensor | None = None  # [B, C] f^v after Eq. 1, pooled
    infrared_normalised: Tensor | None = None  # [B, C]
    visible_normalised_logits: Tensor | None = None  # [B, identities], Eq. 4
    infrared_normalised_logits: Tensor | None = None  # [B, identities]
    visible_masks: Tensor | None = None  # [B, n, h w], in [0, 1]: where the parts are in the last map
    infrared_masks: Tensor | None = None  # [B, n, h w]
    visible_blocks: Tensor | None = None  # [B, n, C] b^v
    synergy_blocks: Tensor | None = None  # [B, n, C] b^s, Eq. 2
    synergy_neck: Tensor | None = None  # [B, C] f^s, the mean of its blocks, after a BN neck of its own

    def at_least_float32(self) -> Outputs:
        """Mixed precision ends here: half-precision fields become float32, wider ones stay."""
        fields = {name: value for name, value in vars(self).items() if value is not None}
        half = {n: v.float() for n, v in fields.items() if v.is_floating_point() and v.dtype.itemsize < 4}
        return dataclasses.replace(self, **half)

    def detached(self) -> Outputs:
        """The same values without gradients, and without what computed them."""
        return Outputs(**{name: value.detach() for name, value in vars(self).items() if value is not None})


@dataclass(frozen=True)
class Images:
    """What is known of ``N`` images; every array is ``[N]``."""

    identities: np.ndarray  # int64
    cameras: np.ndarray  # int64
    modality: np.ndarray  # int64, see Modality
    paths: np.ndarray  # str, relative to the set's root


@dataclass(frozen=True)
class Features(Images):
    """Every needed image of a split, embedded once: after the BN neck, and pooled.

    Both are float32 ``[N, D]``, each row of unit length. ``flip``: the mean of an image's and its mirror image's.
    """

    bn: np.ndarray
    pooled: np.ndarray
    flip: bool
