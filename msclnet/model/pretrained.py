"""A backbone's weights from somebody's file: taken by name and shape, whatever stands around them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from msclnet.core.archive import require_plausible
from msclnet.core.errors import ConfigError, printable
from msclnet.core.torch_file import not_finite

WRAPPERS = ("state_dict", "model", "net", "network", "model_state_dict", "weights")  # keys that hold a state dict
PREFIXES = ("module.", "model.", "backbone.", "base.", "encoder.")  # of a state dict's names, from what wrapped it
CLASSIFIER = "fc."  # ImageNet's: not ours, of any size or none
COUNTERS = "num_batches_tracked"  # absent in old files, and read by nothing here
SHOWN = 4  # names in a message


def load_backbone(network: nn.Module, name: str, path: Path) -> None:
    """Puts the weights of a file into a backbone; nothing in the file is executed.

    The file holds a state dict, alone or under a key of ``WRAPPERS``. A prefix that all its names share is passed over,
    so is a classifier. What else it holds is said on stderr, and not used.

    Args:
        network: a torchvision ResNet.
        name: what it is called in messages.
        path: the file.

    Raises:
        ConfigError: the file is absent or holds no state dict, lacks a layer, has one of another shape, or a value that
            is not finite.
    """
    found = _without_prefix(_state_dict(_read(path), path))
    ours = {key: value for key, value in network.state_dict().items() if not key.startswith(CLASSIFIER)}
    missing = [key for key in ours if key not in found and not key.endswith(COUNTERS)]
    misshapen = [
        f"{key} {list(found[key].shape)} instead of {list(value.shape)}"
        for key, value in ours.items()
        if key in found and found[key].shape != value.shape
    ]
    taken = {key: found[key] for key in ours if key in found}
    problems = [_listed("lacks", missing), _listed("has another shape of", misshapen)]
    if bad := not_finite(taken):
        problems.append(f"has values that are not finite in {bad}")
    if any(problems):
        raise ConfigError(
            f"model.weights: {path}: {'; '.join(filter(None, problems))}; expected the weights of a torchvision {name}"
        )
    if foreign := [key for key in found if key not in ours and not key.startswith(CLASSIFIER)]:
        print(printable(f"{path}: {_listed('not used of it:', foreign)}"), file=sys.stderr, flush=True)
    network.load_state_dict(taken, strict=False)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"model.weights: {path}: no such file; expected none, imagenet, or a file of weights")
    try:
        require_plausible(path, path.stat().st_size)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names a damaged file by a dozen exception types
        with path.open("rb") as file:
            page = file.read(64).lstrip()[:1] == b"<"
        reason = "a web page" if page else (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"model.weights: {path}: not readable as tensors ({reason}). Nothing in it was executed; copy it again "
            "from where it came from, or save its state dict with torch.save"
        ) from error


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in a file's content."""
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    tensors = isinstance(content, dict) and content and all(isinstance(value, Tensor) for value in content.values())
    if not tensors:
        holds = ", ".join(map(str, list(content)[:SHOWN])) if isinstance(content, dict) else type(content).__name__
        raise ConfigError(
            f"model.weights: {path}: holds {holds or 'nothing'}; expected a state dict, alone or under one of the keys "
            f"{', '.join(WRAPPERS)}"
        )
    return dict(content)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict without the prefixes that all its names share."""
    while shared := [prefix for prefix in PREFIXES if all(str(key).startswith(prefix) for key in state)]:
        state = {str(key).removeprefix(shared[0]): value for key, value in state.items()}
    return state


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what} {', '.join(map(str, names[:SHOWN]))}{more}" if names else ""
