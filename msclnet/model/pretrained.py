"""A backbone's weights from somebody's file: taken by name and shape, whatever stands around them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from msclnet.core.errors import ConfigError, printable, reason
from msclnet.core.file_kind import kind_of
from msclnet.core.torch_file import not_finite
from msclnet.model.foreign import differences, listed, read_tensors

WRAPPERS = ("state_dict", "model", "net", "network", "model_state_dict", "weights")  # keys that hold a state dict
PREFIXES = ("module.", "model.", "backbone.", "base.", "encoder.")  # of a state dict's names, from what wrapped it
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
    found = _without_prefix(_state_dict(_read(path), path))
    ours = {key: value for key, value in network.state_dict().items() if not key.startswith(classifier)}
    differing = zip(("lacks", "has another shape of"), differences(ours, found), strict=True)
    problems = [f"{what} {listed(names, SHOWN)}" for what, names in differing if names]
    taken = {key: found[key] for key in ours if key in found}
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
