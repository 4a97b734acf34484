"""A backbone's weights from somebody's file: taken by name and shape, whatever stands around them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from msclnet.core.errors import ConfigError, printable, reason
from msclnet.core.file_kind import kind_of
from msclnet.core.torch_file import not_finite
from msclnet.model.foreign import (
    WRAPPERS,
    as_ours,
    differences,
    held,
    listed,
    read_tensors,
    state_dict,
    without_prefix,
)

CLASSIFIER = ("fc.",)  # ImageNet's: not ours, of any size or none
SHOWN = 4  # names in a message


def load_backbone(network: nn.Module, name: str, path: Path, classifier: tuple[str, ...] = CLASSIFIER) -> None:
    """Puts the weights of a file into a backbone; nothing in the file is executed.

    The file holds a state dict, alone or under a key of ``WRAPPERS``. A prefix that all its names share is passed over,
    so is a classifier. What else it holds is said on stderr, and not used.

    Args:
        network: a network of torchvision's or timm's.
        name: what it is called in messages.
        path: the file.
        classifier: how the names of what is no part of the backbone begin.

    Raises:
        ConfigError: the file is absent or holds no state dict, lacks a layer, has one of another shape, or a value that
            is not finite.
    """
    found = without_prefix(_state_dict(_read(path), path))
    ours = {key: value for key, value in network.state_dict().items() if not key.startswith(classifier)}
    differing = zip(("lacks", "has another shape of"), differences(ours, found), strict=True)
    problems = [f"{what} {listed(names, SHOWN)}" for what, names in differing if names]
    taken = as_ours(found, ours) if not problems else {}
    if bad := not_finite(taken):
        problems.append(f"has values that are not finite in {bad}")
    if problems:
        raise ConfigError(f"model.weights: {path}: {'; '.join(problems)}; expected the weights of {name}")
    if foreign := [key for key in found if key not in ours and not key.startswith(classifier)]:
        print(printable(f"{path}: not used of it: {listed(foreign, SHOWN)}"), file=sys.stderr, flush=True)
    network.load_state_dict(taken, strict=False)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"model.weights: {path}: no such file; expected none, imagenet, or a file of weights")
    try:
        return read_tensors(path)
    except Exception as error:
        raise ConfigError(
            f"model.weights: {path}: {kind_of(path)}, not readable as tensors ({reason(error)}). Nothing in it was "
            "executed; copy it again from where it came from, or save its state dict with torch.save"
        ) from error


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in a file's content."""
    if (found := state_dict(content)) is None:
        raise ConfigError(
            f"model.weights: {path}: holds {held(content, SHOWN)}; expected a state dict, alone or under one of the "
            f"keys {', '.join(WRAPPERS)}"
        )
    return found[1]
