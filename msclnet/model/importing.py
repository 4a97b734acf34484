"""Checkpoints that other people's code wrote, read into this network: what they are is told by their keys.

What a code calls its layers stands in ``msclnet/model/origins/``, a file an origin.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from msclnet.core.errors import ConfigError, DataError, reason
from msclnet.core.file_kind import kind_of
from msclnet.core.files import sha256
from msclnet.core.torch_file import not_finite
from msclnet.model.files import LARGEST, save_model
from msclnet.model.foreign import as_ours, differences, held, listed, read_tensors, state_dict, without_prefix
from msclnet.model.msclnet import MSCLNet
from msclnet.model.origins.origin import Origin, Reading
from msclnet.model.origins.table import ORIGINS

LOGITS = ("visible_logits", "infrared_logits")  # what a trained classifier gives
SHOWN = 8  # keys printed before "and N more"
LINE = 60  # characters of what stands in an epoch's place
LIKE = (  # what else a state dict may be, by how its names begin, and what becomes of it here
    (("conv1.", "layer1.0.", "layer4.0."), "a ResNet as torchvision names its layers", "give it as model.weights"),
    (("patch_embed.", "blocks.0."), "a transformer as timm names its layers", "give it as model.weights"),
    (("backbone.visible_stem.", "bottleneck."), "weights of this project without what their model.pt says", ""),
    (("base_resnet.base.",), "a two-stream network without one of its streams", "give the whole file"),
)


class Imported(NamedTuple):
    """What ``import_checkpoint`` made."""

    network: MSCLNet  # in evaluation mode
    origin: Origin
    notes: tuple[str, ...]  # what the file does not say, and how it was taken, in sentences


def import_checkpoint(
    file: Path,
    out: Path,
    pooling: Literal["average", "gem"] | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Imported:
    """Writes the network in a checkpoint of other people's code as a ``model.pt``.

    Its features are that code's, in float32. Nothing in the file is executed.

    Args:
        file: the checkpoint, of an origin in the table ``ORIGINS``, recognised by the names in its state dict.
        out: the ``model.pt`` to write.
        pooling: ``average`` or ``gem``, which has no weights; None for the one that the origin's code has for a network
            of these names.
        height: of the images that it was trained on, in pixels; None for the default of the origin's code.
        width: the same.

    Returns:
        The network, its origin, and what the file left open.

    Raises:
        DataError: the file is absent, unreadable, of no known origin, not whole, or holds anything but tensors and
            NumPy numbers. The message says what its names look like, or what is missing or of another shape.
        ConfigError: ``out`` is ``file``, or no image is of that size.
    """
    if out.exists() and file.exists() and out.samefile(file):
        raise ConfigError(f"--out: {out}: the file that is imported, which would be lost; name another")
    for option, pixels in (("--height", height), ("--width", width)):
        if pixels is not None and not 1 <= pixels <= LARGEST:
            raise ConfigError(f"{option}: {pixels}; expected pixels of an image, 1 to {LARGEST}")
    content = _read(file)
    origin, found = _recognised(file, content)
    try:
        reading = origin.read(found)
    except ValueError as error:
        raise DataError(f"{file}: has the marks of a checkpoint of {origin.title}, but {error}") from error
    if pooling is not None:
        reading = dataclasses.replace(reading, architecture=dataclasses.replace(reading.architecture, pooling=pooling))
    identities = _identities(file, found, reading)
    network = MSCLNet(identities, reading.architecture, LOGITS if identities else ())
    ours = {reading.theirs(name): value for name, value in network.state_dict().items()}
    _require(file, origin, reading, ours, found)
    taken = as_ours(found, ours)
    if bad := not_finite(taken):
        raise DataError(f"{file}: {bad} has values that are not finite; expected finite weights: another epoch's file")
    names = {reading.theirs(name): name for name in network.state_dict()}
    network.load_state_dict({names[theirs]: value for theirs, value in taken.items()}, strict=False)
    size = height or origin.image_size[0], width or origin.image_size[1]
    about = {
        "imported": f"checkpoint of {origin.title}",
        "file": file.name,
        "sha256": sha256(file),
        "epoch": _epoch(content.get("epoch")),
        "height": size[0],
        "width": size[1],
    }
    save_model(out, network, about)
    network.image_size = size
    return Imported(network.eval(), origin, reading.notes)


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataError(f"{file}: no such file; expected a checkpoint of {_known()}")
    if (kind := kind_of(file)).format == "own":
        raise DataError(f"{file}: {kind}, which needs no import: give it as --model, or see `msclnet info`")
    try:
        with torch.serialization.safe_globals(_numpy_values()):
            content = read_tensors(file)
    except Exception as error:
        raise DataError(
            f"{file}: {kind}, not readable as a checkpoint of tensors and numbers ({reason(error)}); expected one of "
            f"{_known()}. Nothing in the file was executed; save its state dict anew if it holds objects of other "
            "classes"
        ) from error
    if state_dict(content) is None:
        raise DataError(
            f"{file}: holds {held(content, SHOWN)}; expected a state dict, alone or in a dict, as {_known()} write it"
        )
    return content


def _recognised(file: Path, content: dict[str, Any]) -> tuple[Origin, dict[str, Tensor]]:
    """The origin whose marks the file has, and its state dict. Raises DataError where it has nobody's."""
    found = state_dict(content)
    assert found
    wrapper, state = found[0], without_prefix(found[1])
    candidates = [origin for origin in ORIGINS if origin.has(state)]
    if not candidates:
        raise DataError(
            f"{file}: {len(state)} tensors ({listed(list(state), SHOWN)}){_likeness(state)}; expected a checkpoint of "
            f"{_known()}"
        )
    return max(candidates, key=lambda origin: (len(origin.marks), origin.wrapper == wrapper)), state


def _likeness(state: Mapping[str, Tensor]) -> str:
    """What the names of an unknown state dict look like, as the end of a sentence; empty where nobody knows."""
    for marks, what, instead in LIKE:
        if all(any(name.startswith(mark) for name in state) for mark in marks):
            return f", which looks like {what}" + (f" ({instead})" if instead else "")
    return ""


def _known() -> str:
    return ", ".join(origin.title for origin in ORIGINS)


def _identities(file: Path, found: Mapping[str, Tensor], reading: Reading) -> int:
    """The rows of the classifier; 0 without one."""
    if not reading.classifier:
        return 0
    weight = found[reading.classifier]
    if weight.ndim != 2 or not 1 <= len(weight) <= LARGEST or not weight.is_contiguous():
        raise DataError(
            f"{file}: {reading.classifier} {list(weight.shape)}; expected one row an identity, 1 to {LARGEST} of them"
        )
    return len(weight)


def _epoch(value: Any) -> int | str | None:
    """The epoch that a file says it is of: a number, or what somebody wrote there instead."""
    if isinstance(value, int | np.integer):
        return int(value)
    return None if value is None else str(value)[:LINE]


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


def _require(
    file: Path, origin: Origin, reading: Reading, ours: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    """Raises DataError unless ``found`` holds each entry of the network, in its shape, and nothing unknown."""
    missing, misshapen = differences(ours, found)
    unknown = [name for name in found if name not in ours and not reading.unused.match(name)]
    problems = [
        f"{what}: {listed(names, SHOWN)}"
        for what, names in (("missing", missing), ("of another shape", misshapen), ("unknown", unknown))
        if names
    ]
    if problems:
        hint = (
            "a network built upon it has layers that are not here, without which its features would be others"
            if unknown and not missing and not misshapen
            else "give the whole file of a ResNet-50 that this code trained"
        )
        raise DataError(f"{file}: no whole checkpoint of {origin.title}: {'; '.join(problems)}: {hint}")
