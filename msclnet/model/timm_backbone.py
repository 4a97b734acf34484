"""A feature extractor of timm's (PyTorch Image Models, R. Wightman): a stem for each modality, the rest shared.

timm is an optional extra. What it builds is not known one architecture at a time: the stem is found from the layer that
timm names as the first, and the division is tried on an image before it is used.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from msclnet.config.rules import TIMM
from msclnet.core.errors import ConfigError, nearest
from msclnet.core.optional import extra
from msclnet.core.types import Modality
from msclnet.model.pretrained import load_backbone

EXTRA = "timm"
OPTIONS: tuple[dict[str, Any], ...] = (  # the first that an architecture takes
    {"output_stride": 16},  # convolutional: maps of 18 x 9 for images of 288 x 144, as AGW's ResNet-50
    {"dynamic_img_size": True, "dynamic_img_pad": True},  # a transformer: positions interpolated to the image's grid
    {},
)
EMBEDDING = "patch_embed"  # a transformer's first layer: what stands behind it in the model is not what follows it
HEADS = ("global_pool", "head", "head_drop", "fc", "fc_norm", "classifier")  # what stands behind the last map
PROBE = (2, 3, 224, 112)  # images on which a division is tried
TOLERANCE = 1e-4  # between the map and its division's, relative and absolute


class TimmBackbone(nn.Module):
    """``[B, 3, H, W]`` of one modality -> ``[B, C, h, w]``, whatever the architecture.

    The stem (a transformer's patch embedding) stands once a modality. A transformer's class token takes part in its
    blocks, and is left out of the map. Parameters that no entry of the map depends on do not train.
    """

    def __init__(self, name: str, weights: str) -> None:
        """Builds it.

        Args:
            name: ``timm:`` and the name of a model of timm's.
            weights: ``none``, ``imagenet`` (the model's default weights, from the hub), or a file of timm's weights.

        Raises:
            ConfigError: timm has no such model, the weights cannot be had or were trained on images of another mean, or
                its stem cannot be told from the rest.
            UserError: timm is not installed.
        """
        super().__init__()
        trunk = _model(name.removeprefix(TIMM), weights)
        whole = copy.deepcopy(trunk)
        stem = _take_stem(trunk)
        self.visible_stem = stem
        self.infrared_stem = copy.deepcopy(stem)
        self.trunk = trunk
        self.channels = cast(int, trunk.num_features)
        self.prefix_tokens = cast(int, getattr(trunk, "num_prefix_tokens", 0))
        self._try(name, whole)

    def stem(self, images: Tensor, modality: Modality) -> Tensor:
        """The stream of ``modality`` alone, up to where the rest is shared."""
        match modality:
            case Modality.VISIBLE:
                return self.visible_stem(images)
            case Modality.INFRARED:
                return self.infrared_stem(images)

    def shared(self, x: Tensor) -> Tensor:
        """The layers both modalities pass through."""
        return self._as_map(_features(self.trunk, x), x)

    def _as_map(self, out: Tensor, stem: Tensor) -> Tensor:
        """``[B, C, h, w]`` from a map, one with the channels last, or tokens of the stem's grid ``[B, h, w, C]``."""
        if out.ndim == 3:
            out = out[:, self.prefix_tokens :].unflatten(1, stem.shape[1:3])
        return out if out.shape[1] == self.channels else out.permute(0, 3, 1, 2)

    def _try(self, name: str, whole: nn.Module) -> None:
        """Holds the division against the model as timm built it, and freezes what takes no part in the map."""
        was_training = self.training
        self.eval()
        images = torch.linspace(-1, 1, torch.Size(PROBE).numel()).view(PROBE)
        try:
            with torch.enable_grad():
                stem = self.stem(images, Modality.VISIBLE)
                maps = self.shared(stem)
                shape, values = maps.shape, maps.square().sum()
                shared = list(self.trunk.parameters())
                gradients = torch.autograd.grad(values, shared, allow_unused=True) if shared else ()
            with torch.no_grad():
                expected = self._as_map(_features(whole.eval(), images), stem)
            if len(shape) != 4 or shape[1] != self.channels:
                raise ValueError(f"a map of shape {list(shape)}")
            if all(gradient is None for gradient in gradients):
                raise ValueError("no layer would be left to share")
            torch.testing.assert_close(maps.detach(), expected, rtol=TOLERANCE, atol=TOLERANCE)
        except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"model.backbone: {name}: its first layers cannot stand once a modality ({reason}); expected a "
                "convolutional network or a vision transformer whose features are a map, such as timm:resnet50d, "
                "timm:convnext_tiny or timm:vit_small_patch16_224"
            ) from error
        for parameter, gradient in zip(shared, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)
        self.train(was_training)


def _model(name: str, weights: str) -> nn.Module:
    """timm's model without what stands behind its last map."""
    with extra(EXTRA):
        import timm
    base = name.partition(".")[0]
    if not timm.is_model(base):
        raise ConfigError(
            f"model.backbone: timm {timm.__version__} has no model {base!r}; {nearest(base, timm.list_models())}"
        )
    if weights != "none":
        _require_our_colours(name)
    for options in OPTIONS:
        try:
            model = timm.create_model(name, pretrained=weights == "imagenet", num_classes=0, **options)
            break
        except (AssertionError, NotImplementedError, TypeError) as error:
            problem: Exception = error  # it does not know the option
        except (OSError, RuntimeError) as error:
            raise ConfigError(
                f"model.weights: {weights}: {TIMM}{name} could not be had with them "
                f"({' '.join(str(error).split())[:200]}). Where there is no network, name a file of timm's weights in "
                "model.weights"
            ) from error
    else:
        raise ConfigError(f"model.backbone: {TIMM}{name}: timm does not build it ({problem})") from problem
    if weights not in ("none", "imagenet"):
        load_backbone(model, f"{TIMM}{name}", Path(weights), tuple(f"{head}." for head in HEADS))
    for head in HEADS:
        if hasattr(model, head):
            setattr(model, head, nn.Identity())
    return model


def _require_our_colours(name: str) -> None:
    """Refuses weights that were trained on images normalised in another way than ours: they would see other numbers."""
    import timm
    from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    theirs, ours = timm.get_pretrained_cfg(name), (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    if theirs is not None and (tuple(theirs.mean), tuple(theirs.std)) != ours:
        raise ConfigError(
            f"model.weights: those of {TIMM}{name} were trained on images of mean {theirs.mean} and deviation "
            f"{theirs.std}, and images here are of ImageNet's, {ours[0]} and {ours[1]}; set them to none, or take a "
            "model of these, such as timm:vit_small_patch14_dinov2 or timm:deit3_small_patch16_224"
        )


def _features(model: nn.Module, x: Tensor) -> Tensor:
    """What timm calls so: all up to the last map, of any of its models."""
    return cast(Any, model).forward_features(x)


def _take_stem(model: nn.Module) -> nn.Sequential:
    """The layer that timm names as the first, with the norms, activations and pooling right behind it, taken out.

    Identities stand in their places. A transformer's patch embedding stands alone: positions follow it.
    """
    configuration: Mapping[str, Any] = getattr(model, "pretrained_cfg", {})
    first = configuration.get("first_conv") or "conv1"
    if not isinstance(first, str):
        first = first[0]
    first = first.partition(".")[0]
    names = [name for name, _ in model.named_children()]
    if first not in names:
        return nn.Sequential()
    taken = [first]
    for name in names[names.index(first) + 1 :] if first != EMBEDDING else ():
        if any(parameter.ndim > 1 for parameter in getattr(model, name).parameters()):
            break
        taken.append(name)
    stem = nn.Sequential()
    for name in taken:
        layer = getattr(model, name)
        stem.add_module(name, layer)
        place = nn.Identity()
        for fact in ("grid_size", "patch_size", "num_patches"):  # read where positions are interpolated
            if hasattr(layer, fact):
                setattr(place, fact, getattr(layer, fact))
        setattr(model, name, place)
    return stem
