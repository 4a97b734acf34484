"""The network assembled: theta (backbone, pooling, BN neck), and for training the modules MS and MC read.

Shape legend: B pairs, C channels, n parts; v visible, r infrared, s synergistic.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msclnet.config import Losses, Method, Model, Objective
from msclnet.core.types import Batch, Modality, Outputs
from msclnet.model.backbone import Backbone
from msclnet.model.gem import gem, gem_and_parts
from msclnet.model.instance_norm import ModalityInstanceNorm
from msclnet.model.synergy import SynergyEncoder


class Embedding(NamedTuple):
    """The features of B images ``[B, C]``, each row of unit length, to be compared by cosine."""

    bn: Tensor  # after the BN neck: the headline
    pooled: Tensor  # before it


class MSCLNet(nn.Module):
    """One network for every method: what no loss of ``method`` reads is not built.

    So each parameter takes part in every training step, and DDP runs without ``find_unused_parameters``. At test
    only theta is used (``embed``); the modules of MS and MC take no part.
    """

    def __init__(self, identities: int, model: Model, method: Method, objective: Objective) -> None:
        super().__init__()
        self.image_size: tuple[int, int] | None = None  # height and width it was trained at, where a file says so
        self.gem_p = model.gem_p if method.pooling == "gem" else 1.0
        self.parts = model.parts
        self.backbone = Backbone(model.backbone, model.weights, method.nonlocal_)
        channels = self.backbone.channels
        self.bottleneck = _neck(channels)
        self.classifier = _head(channels, identities)

        losses = method.losses
        heads, encoder = bool(losses.t), uses_synergy(losses, objective)
        self.instance_norm = ModalityInstanceNorm(channels) if heads or losses.div or encoder else None  # Eq. 1
        self.visible_head: nn.Module | None = None
        self.infrared_head: nn.Module | None = None
        if heads:  # Eq. 4
            visible = self.classifier if model.heads == "baseline" else _head(channels, identities)
            infrared = _head(channels, identities) if model.heads == "separate" else visible
            self.visible_head = nn.Sequential(_neck(channels), visible)
            self.infrared_head = nn.Sequential(_neck(channels), infrared)
        self.synergy = (  # Eq. 2
            SynergyEncoder(channels, model.hidden, model.rounds, model.rank) if encoder else None
        )
        centres = objective.centre_space == "neck" and reads_synergy_feature(losses, objective)
        self.synergy_neck = _neck(channels) if centres else None

    def forward(self, batch: Batch) -> Outputs:
        """Everything the losses read of B pairs."""
        stems = (
            self.backbone.stem(batch.visible, Modality.VISIBLE),
            self.backbone.stem(batch.infrared, Modality.INFRARED),
        )
        maps = self.backbone.shared(torch.cat(stems))  # [2B, C, h, w]
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))  # half precision holds no power mean
        pooled, blocks = gem_and_parts(maps, self.gem_p, self.parts if self.synergy else 1)  # [2B, C], [2B, n, C]
        necks = self.bottleneck(pooled)  # [2B, C]
        logits = self.classifier(necks)  # [2B, identities]
        maps_v, maps_r = maps.chunk(2)
        visible, infrared = pooled.chunk(2)
        visible_neck, infrared_neck = necks.chunk(2)
        visible_logits, infrared_logits = logits.chunk(2)
        return Outputs(
            labels=batch.labels,
            visible_cameras=batch.visible_cameras,
            infrared_cameras=batch.infrared_cameras,
            visible=visible,
            infrared=infrared,
            visible_neck=visible_neck,
            infrared_neck=infrared_neck,
            visible_logits=visible_logits,
            infrared_logits=infrared_logits,
            **self._synergy(maps_v, maps_r, blocks[: len(visible)]),
        )

    def _synergy(self, maps_v: Tensor, maps_r: Tensor, blocks_v: Tensor) -> dict[str, Tensor]:
        """The fields of ``Outputs`` that only the losses of MS, MC and CA read; ``blocks_v`` is b^v ``[B, n, C]``."""
        if self.instance_norm is None:
            return {}
        normal_v, normal_r = self.instance_norm(maps_v, maps_r)
        parts = self.parts if self.synergy else 1
        hat_v, hat_blocks_v = gem_and_parts(normal_v, self.gem_p, parts)
        hat_r, hat_blocks_r = gem_and_parts(normal_r, self.gem_p, parts)
        fields = {"visible_normalised": hat_v, "infrared_normalised": hat_r}
        if self.visible_head is not None and self.infrared_head is not None:
            fields["visible_normalised_logits"] = self.visible_head(hat_v)
            fields["infrared_normalised_logits"] = self.infrared_head(hat_r)
        if self.synergy is not None:
            fields["visible_blocks"] = blocks_v
            fields["synergy_blocks"] = self.synergy(hat_blocks_v, hat_blocks_r)
        if self.synergy_neck is not None:
            fields["synergy_neck"] = self.synergy_neck(fields["synergy_blocks"].mean(1))
        return fields

    def embed(self, images: Tensor, modality: Modality | str) -> Embedding:
        """Normalised float images ``[B, 3, H, W]`` of one modality -> the ``bn`` and ``pooled`` features ``[B, C]``.

        Both have rows of unit length; ``bn`` is the headline. The stream is chosen by ``modality`` (or its name,
        ``"visible"`` or ``"infrared"``), never by position. Raises ValueError for another one.
        """
        maps = self.backbone.shared(self.backbone.stem(images, Modality.of(modality)))
        return embedding(maps, self.gem_p, self.bottleneck)

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Trainable parameters of the backbone, and of the layers that start from nothing."""
        backbone = [p for p in self.backbone.parameters() if p.requires_grad]
        known = set(map(id, backbone))
        return backbone, [p for p in self.parameters() if p.requires_grad and id(p) not in known]


def embedding(maps: Tensor, gem_p: float, neck: nn.Module) -> Embedding:
    """The features of maps ``[B, C, h, w]``, of whichever modality."""
    pooled = gem(maps, gem_p)
    return Embedding(bn=F.normalize(neck(pooled)), pooled=F.normalize(pooled))


def uses_synergy(losses: Losses, objective: Objective) -> bool:
    """Whether a loss reads f^s or its blocks: those of MC, and those of CA when it acts on f^s."""
    return bool(losses.local) or reads_synergy_feature(losses, objective)


def reads_synergy_feature(losses: Losses, objective: Objective) -> bool:
    """Whether a loss reads f^s as one vector: Eq. 7, and those of CA when it acts on f^s."""
    cascade = bool(losses.sub or losses.intra or losses.inter)
    return bool(losses.global_) or (cascade and "synergy" in objective.cascade_on)


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
