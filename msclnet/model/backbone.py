"""The two-stream feature extractor: a stem for each modality, stages shared by both (AGW, Ye et al., TPAMI 2021)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from msclnet.config.rules import TIMM
from msclnet.core.errors import ConfigError
from msclnet.core.types import Modality
from msclnet.model.non_local import NonLocal
from msclnet.model.pretrained import load_backbone
from msclnet.model.timm_backbone import TimmBackbone

if TYPE_CHECKING:  # torchvision is imported where a network of its is asked for
    from torchvision.models.resnet import ResNet

SMALL_WIDTHS = (16, 32, 64, 128)


def build_backbone(name: str, weights: str, nonlocal_: str) -> Backbone | TimmBackbone:
    """The extractor that ``model.backbone`` names; raises ConfigError for non-local blocks in one of timm's."""
    if not name.startswith(TIMM):
        return Backbone(name, weights, nonlocal_)
    if nonlocal_ != "none":
        raise ConfigError(
            f"model.backbone: {name} has no place for non-local blocks; set the method's nonlocal to none"
        )
    return TimmBackbone(name, weights)


class Backbone(nn.Module):
    """``[B, 3, H, W]`` of one modality -> ``[B, C, H', W']``.

    Every stage is built once; the last one keeps its stride at 1, so a ResNet maps 288 x 144 to 18 x 9 and
    the small network 96 x 48 to 12 x 6. Non-local blocks follow the last 2 blocks of ``layer2`` and the last 3 of
    ``layer3`` (or as many as the stage has).
    """

    def __init__(self, name: str, weights: str, nonlocal_: str) -> None:
        super().__init__()
        source = SmallResNet() if name == "small" else _resnet(name, weights)
        self.visible_stem = _stem(source)
        self.infrared_stem = _stem(source)
        self.layer1 = source.layer1
        self.layer2 = _with_nonlocal(source.layer2, 2, nonlocal_)
        self.layer3 = _with_nonlocal(source.layer3, 3, nonlocal_)
        self.layer4 = source.layer4
        self.channels = _channels(list(source.layer4)[-1])

    def stem(self, images: Tensor, modality: Modality) -> Tensor:
        """The stream of ``modality`` alone, up to where the stages are shared."""
        match modality:
            case Modality.VISIBLE:
                return self.visible_stem(images)
            case Modality.INFRARED:
                return self.infrared_stem(images)

    def shared(self, x: Tensor) -> Tensor:
        """The stages both modalities pass through."""
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class SmallResNet(nn.Module):
    """A ResNet of one basic block a stage, for CPUs and small images: stride 8 and 0.3 million parameters."""

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self) -> None:
        super().__init__()
        first, *_ = SMALL_WIDTHS
        self.conv1 = nn.Conv2d(3, first, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity()
        inputs = (first, *SMALL_WIDTHS)
        strides = (1, 2, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(BasicBlock(a, b, stride)) for a, b, stride in zip(inputs, SMALL_WIDTHS, strides, strict=False)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class BasicBlock(nn.Module):
    """The residual block of ResNet-18 (He et al., CVPR 2016), ``[B, inputs, H, W] -> [B, width, H/stride, W/stride]``.

    torchvision's own would do, at three seconds of import in each of a small run's hundred processes.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != width:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + self.shortcut(x))


def _resnet(name: str, weights: str) -> ResNet:
    from torchvision.models import resnet

    make: Callable[[], ResNet] = {"resnet18": resnet.resnet18, "resnet50": resnet.resnet50}[name]
    network = make()
    if weights == "imagenet":
        network.load_state_dict(_imagenet(name))
    elif weights != "none":
        load_backbone(network, f"a torchvision {name}", Path(weights))
    first = next(iter(network.layer4))
    for convolution in (first.conv2 if name == "resnet50" else first.conv1, first.downsample[0]):
        convolution.stride = (1, 1)
    return network


def _imagenet(name: str) -> dict[str, Tensor]:
    from torchvision.models import resnet

    enum = {"resnet18": resnet.ResNet18_Weights, "resnet50": resnet.ResNet50_Weights}[name].IMAGENET1K_V1
    file = Path(torch.hub.get_dir()) / "checkpoints" / enum.url.rsplit("/", 1)[1]
    try:
        return dict(enum.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        raise ConfigError(
            f"model.weights: imagenet: {file} is not there and could not be downloaded ({error}). "
            f"Fetch {enum.url} elsewhere and put it there, or name its path in model.weights"
        ) from error


def _stem(source: SmallResNet | ResNet) -> nn.Sequential:
    """A copy of conv1, bn1, relu, maxpool with parameters of its own."""
    stem = nn.Sequential()
    for name in ("conv1", "bn1", "relu", "maxpool"):
        stem.add_module(name, getattr(source, name))
    return copy.deepcopy(stem)


def _with_nonlocal(stage: nn.Sequential, count: int, kind: str) -> nn.Sequential:
    """``stage`` with a non-local block after each of its last ``count`` blocks."""
    blocks = list(stage)
    if kind == "none":
        return nn.Sequential(*blocks)
    result: list[nn.Module] = []
    for position, block in enumerate(blocks):
        result.append(block)
        if position >= len(blocks) - count:
            channels = _channels(block)
            result.append(NonLocal(channels, 1 if kind == "one" else channels // 2))
    return nn.Sequential(*result)


def _channels(block: nn.Module) -> int:
    """The width of a residual block's output."""
    last = block.bn3 if hasattr(block, "bn3") else block.bn2
    return cast(nn.BatchNorm2d, last).num_features
