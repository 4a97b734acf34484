"""Checkpoints of the public AGW code (github.com/mangye16/Cross-Modal-Re-ID-baseline), read into this network.

Such a ``.t`` file is a dict whose ``net`` is the state dict of three whole ResNet-50s, of which one gives the visible
stem (``visible_module.visible``), one the infrared stem (``thermal_module.thermal``) and one the shared stages
(``base_resnet.base``), of the non-local blocks ``NL_2`` and ``NL_3`` in lists of their own, and of ``bottleneck`` and
``classifier``. Beside it lie the scores at the time, as NumPy values.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from msclnet.core.errors import ConfigError, DataError, reason
from msclnet.core.file_kind import kind_of
from msclnet.core.files import sha256
from msclnet.core.torch_file import not_finite
from msclnet.model.architecture import Architecture
from msclnet.model.files import save_model
from msclnet.model.foreign import differences, listed, read_tensors
from msclnet.model.msclnet import MSCLNet

AGWMethod = Literal["agw", "base"]  # the public code's --method

Width = Literal["none", "one", "half"]  # of the non-local blocks
STAGES = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}  # blocks of a ResNet-50
NONLOCAL = {"NL_2": ("layer2", 2), "NL_3": ("layer3", 3)}  # after the last so many blocks of the stage
UNUSED = re.compile(  # the parts of the three ResNet-50s that no image passes through
    r"(visible_module\.visible|thermal_module\.thermal)\.(layer[1-4]|fc)\."
    r"|base_resnet\.base\.(conv1|bn1|fc)\."
)
IMAGE_SIZE = (288, 144)  # the public code's default --img_h and --img_w; its files do not say
SHOWN = 8  # keys printed before "and N more"

OUTPUTS = ("visible", "infrared", "visible_logits", "infrared_logits")  # what its two losses read


def import_agw(file: Path, out: Path, method: AGWMethod = "agw") -> MSCLNet:
    """Writes the network in a file of the public AGW code as a ``model.pt``.

    Its features are the public code's, in float32. Nothing in the file is executed.

    Args:
        file: the public code's checkpoint, ``.t``.
        out: the ``model.pt`` to write.
        method: the public code's. ``agw`` has non-local blocks and GeM pooling, ``base`` neither. The blocks' width is
            read from the file: 1 channel, or C/2 in later versions.

    Returns:
        The network, in evaluation mode.

    Raises:
        DataError: the file is absent, unreadable, not whole, or holds anything but tensors and NumPy numbers. The
            message says what is missing, or of another shape.
        ConfigError: ``out`` is ``file``.
    """
    if out.exists() and out.samefile(file):
        raise ConfigError(f"--out: {out}: the file that is imported, which would be lost; name another")
    content = _read(file)
    found = {name.removeprefix("module."): value for name, value in content["net"].items()}  # of DataParallel
    width: Width = "none"
    if method == "agw":
        inner = found.get("NL_2.0.g.0.weight", found.get("NL_3.0.g.0.weight"))
        width = "one" if inner is None or len(inner) == 1 else "half"
    network, keys = _network(found, width)
    _require(file, method, network, found, keys)
    if bad := not_finite({theirs: found[theirs] for theirs in keys.values() if theirs in found}):
        raise DataError(f"{file}: {bad} has values that are not finite; expected finite weights: another epoch's file")
    network.load_state_dict({ours: found[theirs] for ours, theirs in keys.items() if theirs in found}, strict=False)
    origin = {
        "imported": "checkpoint of the public AGW code",
        "file": file.name,
        "sha256": sha256(file),
        "epoch": _epoch(content.get("epoch")),
        "height": IMAGE_SIZE[0],
        "width": IMAGE_SIZE[1],
    }
    save_model(out, network, origin)
    return network.eval()


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataError(f"{file}: no such file; expected a checkpoint of the public AGW code (.t)")
    try:
        with torch.serialization.safe_globals(_numpy_values()):
            content = read_tensors(file)
    except Exception as error:
        raise DataError(
            f"{file}: {kind_of(file)}, not readable as a checkpoint of tensors and numbers ({reason(error)}); expected "
            "a .t file of the public AGW code. Nothing in the file was executed; save its state dict anew if it holds "
            "objects of other classes"
        ) from error
    net = content.get("net") if isinstance(content, dict) else None
    if not isinstance(net, dict) or not net or not all(isinstance(value, Tensor) for value in net.values()):
        holds = ", ".join(map(str, list(content)[:SHOWN])) if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{file}: holds {holds}; expected a dict whose 'net' is a state dict, as the public AGW code writes it"
        )
    return content


def _epoch(value: Any) -> int | str | None:
    """The epoch that a file says it is of: a number, or what somebody wrote there instead."""
    if isinstance(value, int | np.integer):
        return int(value)
    return None if value is None else str(value)


def _numpy_values() -> list[Any]:
    """What the scores beside the weights are made of, under NumPy's old module name and its new one."""
    reconstruct, scalar = np.ndarray.__reduce__(np.zeros(1))[0], np.float64(0).__reduce__()[0]
    names = [
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for function, name in ((reconstruct, "_reconstruct"), (scalar, "scalar"))
    ]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32)]
    return [*names, np.ndarray, np.dtype, *kinds]


def _architecture(width: Width) -> Architecture:
    """The public code fixes p = 3. It has none of MSCLNet's modules, so that nothing reads what follows ``gem_p``."""
    return Architecture(
        backbone="resnet50",
        non_local=width,
        pooling="average" if width == "none" else "gem",
        gem_p=3.0,
        parts=6,
        hidden=512,
        rounds=5,
        rank=64,
        heads="baseline",
    )


def _network(found: dict[str, Tensor], width: Width) -> tuple[MSCLNet, dict[str, str]]:
    """A network of the file's sizes, and for each of its entries the name that the public code gives it."""
    classifier = found.get("classifier.weight")
    identities = len(classifier) if classifier is not None and classifier.ndim == 2 else 1
    network = MSCLNet(identities, _architecture(width), OUTPUTS)
    return network, {name: _public_name(name, width) for name in network.state_dict()}


def _public_name(name: str, width: str) -> str:
    """``backbone.layer2.3.g.weight`` -> ``NL_2.0.g.0.weight`` and so on."""
    if match := re.fullmatch(r"backbone\.(visible|infrared)_stem\.(.+)", name):
        stem = {"visible": "visible_module.visible", "infrared": "thermal_module.thermal"}[match[1]]
        return f"{stem}.{match[2]}"
    if match := re.fullmatch(r"backbone\.(layer\d)\.(\d+)\.(.+)", name):
        stage, position, rest = match[1], int(match[2]), match[3]
        block, kind, number = _place(stage, position, width)
        if kind:
            rest = re.sub(r"^g\.", "g.0.", rest)
            return f"{kind}.{number}.{rest}"
        return f"base_resnet.base.{stage}.{block}.{rest}"
    return name  # bottleneck, classifier


def _place(stage: str, position: int, width: str) -> tuple[int, str, int]:
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


def _require(file: Path, method: str, network: MSCLNet, found: dict[str, Tensor], keys: dict[str, str]) -> None:
    """Raises DataError unless ``found`` holds each entry of the network, in its shape, and nothing unknown."""
    ours = network.state_dict()
    missing, misshapen = differences({theirs: ours[name] for name, theirs in keys.items()}, found)
    unknown = [name for name in found if name not in keys.values() and not UNUSED.match(name)]
    problems = [
        f"{what}: {listed(names, SHOWN)}"
        for what, names in (("missing", missing), ("of another shape", misshapen), ("unknown", unknown))
        if names
    ]
    if problems:
        hint = (
            "its method seems to be the public code's 'base': give --method base"
            if method == "agw" and not any(name.startswith("NL_") for name in found)
            else "give the whole .t file of a ResNet-50 trained by the public AGW code"
        )
        raise DataError(
            f"{file}: not a checkpoint of the public AGW code's method {method!r}: {'; '.join(problems)}. {hint}"
        )
