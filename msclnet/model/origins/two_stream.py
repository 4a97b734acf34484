"""The names of the two-stream ResNet-50 of Ye et al., which much of the field's code is built on.

Its state dict is of three whole ResNet-50s, of which one gives the visible stem (``visible_module.visible``), one the
infrared stem (``thermal_module.thermal``) and one the shared stages (``base_resnet.base``), of the non-local blocks
``NL_2`` and ``NL_3`` in lists of their own, and of ``bottleneck`` and ``classifier``. The exponent of GeM is 3, and no
weight tells GeM from the average.
Source: ``model.py`` of github.com/mangye16/Cross-Modal-Re-ID-baseline, commit 32d881c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from msclnet.model.architecture import Architecture
from msclnet.model.origins.origin import Reading

Pooling = Literal["average", "gem"]
Width = Literal["none", "one", "half"]  # of the non-local blocks

MARKS = ("visible_module.visible.", "thermal_module.thermal.", "base_resnet.base.")
IMAGE_SIZE = (288, 144)  # the default --img_h and --img_w of all such code that was looked at
CLASSIFIER = "classifier.weight"
STEMS = {"visible": "visible_module.visible", "infrared": "thermal_module.thermal"}
STAGES = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}  # blocks of a ResNet-50
NONLOCAL = {"NL_2": ("layer2", 2), "NL_3": ("layer3", 3)}  # after the last so many blocks of the stage
UNUSED = (  # the parts of the three ResNet-50s that no image passes through
    r"(visible_module\.visible|thermal_module\.thermal)\.(layer[1-4]|fc)\."
    r"|base_resnet\.base\.(conv1|bn1|fc)\."
)


def read(
    state: Mapping[str, Tensor], plain: Pooling, note: str = "", unused: str = "", trained_classifier: bool = True
) -> Reading:
    """A state dict of these names.

    Args:
        state: the file's.
        plain: the pooling of this code's networks without non-local blocks.
        note: what to say of a file without them, a sentence.
        unused: a pattern of further names that no image passes through, empty for none.
        trained_classifier: whether this code trains ``classifier``.

    Returns:
        What it is here. The width of the non-local blocks is the file's: 1 channel, or C/2 in later versions.
    """
    width = _width(state)
    classifier = CLASSIFIER if trained_classifier and CLASSIFIER in state else ""
    notes = [note] if note and width == "none" else []
    if not classifier:
        why = "the one in it was never trained" if CLASSIFIER in state else "none in it"
        notes.append(f"no classifier of identities ({why}); features do not need it")
    architecture = Architecture(
        backbone="resnet50",
        non_local=width,
        pooling=plain if width == "none" else "gem",
        gem_p=3.0,
        parts=6,  # from here on of modules that such a network lacks
        hidden=512,
        rounds=5,
        rank=64,
        heads="baseline",
    )
    left_out = "|".join(filter(None, (UNUSED, unused, "" if classifier else r"classifier\.")))
    return Reading(architecture, lambda name: _theirs(name, width), re.compile(left_out), classifier, tuple(notes))


def _width(state: Mapping[str, Tensor]) -> Width:
    blocks = [value for name, value in state.items() if re.match(r"NL_\d\.", name)]
    inner = state.get("NL_2.0.g.0.weight", state.get("NL_3.0.g.0.weight"))
    if not blocks:
        return "none"
    return "one" if inner is None or inner.shape[:1] == (1,) else "half"


def _theirs(name: str, width: Width) -> str:
    """``backbone.layer2.3.g.weight`` -> ``NL_2.0.g.0.weight`` and so on."""
    if match := re.fullmatch(r"backbone\.(visible|infrared)_stem\.(.+)", name):
        return f"{STEMS[match[1]]}.{match[2]}"
    if match := re.fullmatch(r"backbone\.(layer\d)\.(\d+)\.(.+)", name):
        stage, position, rest = match[1], int(match[2]), match[3]
        block, kind, number = _place(stage, position, width)
        if kind:
            return f"{kind}.{number}." + re.sub(r"^g\.", "g.0.", rest)
        return f"base_resnet.base.{stage}.{block}.{rest}"
    return name  # bottleneck, classifier


def _place(stage: str, position: int, width: Width) -> tuple[int, str, int]:
    """What stands at ``position`` of our stage, where blocks and non-local blocks follow each other.

    The number of the residual block, and for a non-local block also the list it lies in and its number there.
    """
    order: list[tuple[int, str, int]] = []
    for block in range(STAGES[stage]):
        order.append((block, "", 0))
        for name, (where, count) in NONLOCAL.items():
            first = STAGES[stage] - count
            if where == stage and block >= first and width != "none":
                order.append((block, name, block - first))
    return order[position]
