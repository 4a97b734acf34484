"""The network assembled: theta (backbone, pooling, BN neck), and for training the modules MS and MC read.

Shape legend: B pairs, C channels, n parts; v visible, r infrared, s synergistic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msclnet.core.types import Batch, Modality, Outputs
from msclnet.model.architecture import Architecture
from msclnet.model.backbone import build_backbone
from msclnet.model.gem import gem, gem_and_parts
from msclnet.model.instance_norm import ModalityInstanceNorm
from msclnet.model.parts import PartMasks, masked_parts, shares
from msclnet.model.synergy import ENCODERS

MASKS = frozenset({"visible_masks", "infrared_masks"})  # outputs that only a network with masks gives


class Embedding(NamedTuple):
    """The features of B images ``[B, C]``, each row of unit length, to be compared by cosine."""

    bn: Tensor  # after the BN neck: the headline
    pooled: Tensor  # before it


class MSCLNet(nn.Module):
    """One network for every method: what none of the outputs asked of it needs is not built.

    So each parameter takes part in every training step, and DDP need look for none that does not. At test only theta is
    used (``embed``); the modules of MS and MC take no part.
    """

    def __init__(
        self, identities: int, architecture: Architecture, outputs: Collection[str], weights: str = "none"
    ) -> None:
        """Builds the modules that the outputs asked for need.

        Args:
            identities: those of the training, the classes of the identity logits.
            architecture: what the network is built of.
            outputs: fields of ``Outputs``, those that the training's losses read.
            weights: the backbone's: ``none``, ``imagenet``, or a file of torchvision's
                (timm's for a backbone of timm's).

        Raises:
            ValueError: one of ``outputs`` is no field of ``Outputs``, or a mask where the parts are stripes.
        """
        super().__init__()
        if unknown := sorted(set(outputs) - {field.name for field in dataclasses.fields(Outputs)}):
            raise ValueError(f"outputs: the network does not give {', '.join(unknown)}; expected fields of Outputs")
        if architecture.parts_by == "stripes" and (masks := sorted(MASKS.intersection(outputs))):
            raise ValueError(f"outputs: {', '.join(masks)} asked of a network whose parts are stripes; use masks")
        self.image_size: tuple[int, int] | None = None  # height and width it was trained at, where a file says so
        self.identities = identities
        self.architecture = architecture
        self.outputs = frozenset(outputs)
        self.gem_p = architecture.gem_p if architecture.pooling == "gem" else 1.0
        self.parts = architecture.parts
        self.backbone = build_backbone(architecture.backbone, weights, architecture.non_local)
        channels = self.backbone.channels
        self.bottleneck = _neck(channels)

        own_logits = self._asked("visible_logits", "infrared_logits")
        heads = self._asked("visible_normalised_logits", "infrared_normalised_logits")
        encoder = self._asked("synergy_blocks", "synergy_neck")
        normalised = heads or encoder or self._asked("visible_normalised", "infrared_normalised")
        reused = heads and architecture.heads == "baseline"
        self.classifier = _head(channels, identities) if own_logits or reused else None
        self.instance_norm = ModalityInstanceNorm(channels) if normalised else None  # Eq. 1
        self.visible_head: nn.Sequential | None = None
        self.infrared_head: nn.Sequential | None = None
        if heads:  # Eq. 4
            visible = self.classifier if self.classifier is not None and reused else _head(channels, identities)
            infrared = _head(channels, identities) if architecture.heads == "separate" else visible
            if self._asked("visible_normalised_logits"):
                self.visible_head = nn.Sequential(_neck(channels), visible)
            if self._asked("infrared_normalised_logits"):
                self.infrared_head = nn.Sequential(_neck(channels), infrared)
        self.synergy: nn.Module | None = None
        if encoder:  # Eq. 2
            kind = ENCODERS[architecture.encoder]
            self.synergy = kind(channels, architecture.hidden, architecture.rounds, architecture.rank)
        self.synergy_neck = _neck(channels) if self._asked("synergy_neck") else None
        masked = architecture.parts_by == "masks" and (encoder or self._asked("visible_blocks", *MASKS))
        self.part_masks = PartMasks(channels, architecture.parts) if masked else None

        # What is built for `embed`, or for the other modality, and no asked output depends on, does not train.
        if not (own_logits or self._asked("visible_neck", "infrared_neck")):
            self.bottleneck.requires_grad_(False)
        for modality in ("visible", "infrared") if self.instance_norm is not None else ():
            if not (encoder or self._asked(f"{modality}_normalised", f"{modality}_normalised_logits")):
                getattr(self.instance_norm, modality).requires_grad_(False)

    def _asked(self, *outputs: str) -> bool:
        """Whether any of these fields of ``Outputs`` is to be given."""
        return not self.outputs.isdisjoint(outputs)

    def forward(self, batch: Batch) -> Outputs:
        """Everything that was asked for of B pairs.

        Args:
            batch: normalised float images ``[B, 3, H, W]`` of each modality, with labels and cameras ``[B]``. Visible
                images augmented a second time go through the same stem, and are normalised with the first.

        Returns:
            What was asked for, and always the pooled features and those after the neck, ``[B, C]``.
        """
        pairs = len(batch.labels)
        seen = batch.visible if batch.second is None else torch.cat((batch.visible, batch.second))
        stem_v = self.backbone.stem(seen, Modality.VISIBLE)
        stem_r = self.backbone.stem(batch.infrared, Modality.INFRARED)
        stems = (stem_v, stem_r) if batch.second is None else (stem_v[:pairs], stem_r, stem_v[pairs:])
        maps = self.backbone.shared(torch.cat(stems))  # [2B, C, h, w], [3B, C, h, w] with a second stream
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))  # half precision holds no power mean
        maps, maps_second = maps[: 2 * pairs], maps[2 * pairs :]
        masks = self.part_masks(maps) if self.part_masks is not None else None  # [2B, n, h w]
        share = shares(masks) if masks is not None else None
        pooled, blocks = self._pool(maps, share, self._asked("visible_blocks"))  # [2B, C], [2B, n, C]
        second = gem(maps_second, self.gem_p) if batch.second is not None else None  # [B, C]
        necks = self.bottleneck(pooled if second is None else torch.cat((pooled, second)))  # [2B, C] or [3B, C]
        fields: dict[str, Tensor] = {}
        if masks is not None:
            fields["visible_masks"], fields["infrared_masks"] = masks.chunk(2)
        if blocks is not None:
            fields["visible_blocks"] = blocks.chunk(2)[0]
        if self.classifier is not None and self._asked("visible_logits", "infrared_logits"):
            logits = self.classifier(necks).split(pairs)  # [B, identities] each
            fields |= dict(zip(("visible_logits", "infrared_logits", "second_logits"), logits, strict=False))
        fields |= self._synergy(maps, share)
        visible, infrared = pooled.chunk(2)
        visible_neck, infrared_neck = necks[: 2 * pairs].chunk(2)
        return Outputs(
            labels=batch.labels,
            visible_cameras=batch.visible_cameras,
            infrared_cameras=batch.infrared_cameras,
            visible=visible,
            infrared=infrared,
            visible_neck=visible_neck,
            infrared_neck=infrared_neck,
            second=second,
            **{name: value for name, value in fields.items() if name in self.outputs or name == "second_logits"},
        )

    def _pool(self, maps: Tensor, share: Tensor | None, in_parts: bool) -> tuple[Tensor, Tensor | None]:
        """The maps' features ``[B, C]``, and where they are wanted their parts ``[B, n, C]``.

        Parts are stripes where no masks say which ``share`` of a part each position has.
        """
        if in_parts and share is None:
            return gem_and_parts(maps, self.gem_p, self.parts)
        return gem(maps, self.gem_p), masked_parts(maps, share) if in_parts and share is not None else None

    def _synergy(self, maps: Tensor, share: Tensor | None) -> dict[str, Tensor]:
        """The fields of ``Outputs`` that come from f^v hat and f^r hat: what the losses of MS, MC and CA read.

        f hat has its own instance's masks, those of f.
        """
        if self.instance_norm is None:
            return {}
        share_v, share_r = (None, None) if share is None else share.chunk(2)
        normal_v, normal_r = self.instance_norm(*maps.chunk(2))
        hat_v, blocks_v = self._pool(normal_v, share_v, self.synergy is not None)
        hat_r, blocks_r = self._pool(normal_r, share_r, self.synergy is not None)
        fields = {"visible_normalised": hat_v, "infrared_normalised": hat_r}
        if self.visible_head is not None:
            fields["visible_normalised_logits"] = self.visible_head(hat_v)
        if self.infrared_head is not None:
            fields["infrared_normalised_logits"] = self.infrared_head(hat_r)
        if self.synergy is not None:
            # In full precision: a recurrence adds up what is rounded, and casts would cost what its small products do.
            with torch.autocast(hat_v.device.type, enabled=False):
                fields["synergy_blocks"] = self.synergy(blocks_v, blocks_r)
        if self.synergy_neck is not None:
            fields["synergy_neck"] = self.synergy_neck(fields["synergy_blocks"].mean(1))
        return fields

    def embed(self, images: Tensor, modality: Modality | str) -> Embedding:
        """The features of images of one modality.

        The stream is chosen by ``modality``, never by position.

        Args:
            images: normalised floats ``[B, 3, H, W]``.
            modality: a ``Modality``, or its name, ``"visible"`` or ``"infrared"``.

        Returns:
            The features ``bn``, the headline, and ``pooled``. Both are ``[B, C]`` with rows of unit length.

        Raises:
            ValueError: another modality.
        """
        maps = self.backbone.shared(self.backbone.stem(images, Modality.of(modality)))
        return embedding(maps, self.gem_p, self.bottleneck)

    def parameter_groups(self) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
        """The trainable parameters by name, in two groups.

        As in the public code of AGW, and in MCLNet and DSCNet, which build on it: the neck and the classifiers learn at
        the rate itself, everything else at the backbone's fraction. The modules of MS and MC are so among the rest.

        Returns:
            Those that learn at the backbone's fraction of the rate.
            Those that learn at the rate: of the neck and the classifiers.
        """
        heads = (head[1] for head in (self.visible_head, self.infrared_head) if head is not None)
        quick = [module for module in (self.bottleneck, self.classifier, *heads) if module is not None]
        at_the_rate = {id(parameter) for module in quick for parameter in module.parameters()}
        trained = {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
        rest = {name: parameter for name, parameter in trained.items() if id(parameter) not in at_the_rate}
        return rest, {name: parameter for name, parameter in trained.items() if name not in rest}


def embedding(maps: Tensor, gem_p: float, neck: nn.Module) -> Embedding:
    """The features of maps ``[B, C, h, w]``, of whichever modality."""
    pooled = gem(maps, gem_p)
    return Embedding(bn=F.normalize(neck(pooled)), pooled=F.normalize(pooled))


def _neck(channels: int) -> nn.BatchNorm1d:
    """BNNeck: batch normalisation whose shift stays 0; started as in AGW."""
    neck = nn.BatchNorm1d(channels)
    neck.bias.requires_grad_(False)
    nn.init.normal_(neck.weight, 1.0, 0.01)
    return neck


def _head(channels: int, identities: int) -> nn.Linear:
    """A bias-free classifier, started as in AGW."""
    head = nn.Linear(channels, identities, bias=False)
    nn.init.normal_(head.weight, 0.0, 0.001)
    return head
