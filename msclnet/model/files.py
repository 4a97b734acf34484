"""A network on disk, ``model.pt``: its weights and all that is needed to build it again, whoever trained it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msclnet.config import Method, Model, Objective, build, plain
from msclnet.core import torch_file
from msclnet.core.errors import DataError
from msclnet.model.msclnet import MSCLNet

KEYS = ("identities", "model", "method", "objective", "origin", "network")

EXPORTS = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}  # format -> how its files are named


@dataclass(frozen=True)
class Saved:
    """All that a ``model.pt`` holds; ``origin`` is a training's resolved configuration, or what an import knows."""

    network: MSCLNet  # in evaluation mode, on the CPU
    model: Model
    method: Method
    objective: Objective
    origin: dict[str, Any]


def save_model(
    path: Path, network: MSCLNet, model: Model, method: Method, objective: Objective, origin: dict[str, Any]
) -> None:
    """Writes the network and the sections it was built from; ``origin`` says where its weights come from.

    ``origin`` holds plain values: the resolved configuration of a training, or what an import knows of its file.
    """
    sections = {"model": plain(model), "method": plain(method), "objective": plain(objective)}
    identities = network.classifier.out_features
    state = {"identities": identities, **sections, "origin": origin, "network": network.state_dict()}
    torch_file.save(path, state)


def load_model(path: str | Path) -> MSCLNet:
    """The network in a ``model.pt``, in evaluation mode, on the CPU; nothing in the file is executed.

    ``embed(images, modality)`` of what is returned takes normalised float images ``[B, 3, H, W]`` and gives the ``bn``
    and the ``pooled`` features, ``[B, C]`` each, with rows of unit length; ``msclnet.embed`` takes image files. Raises
    DataError naming a file that is absent, damaged or no model.
    """
    return open_model(path).network


def open_model(path: str | Path) -> Saved:
    """As ``load_model``, with what lies beside the network in the file."""
    state = read_state(Path(path))
    if not set(KEYS) <= state.keys():
        raise DataError(
            f"{path}: holds {', '.join(map(str, state))}; expected a model.pt with {', '.join(KEYS)}, as training or "
            "`msclnet import-agw` writes it"
        )
    return rebuild(state)


def read_state(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; DataError for another file, also for an export of ours."""
    if path.suffix in EXPORTS.values() and path.is_file():
        raise DataError(
            f"{path}: an export, which other programs run; expected the model.pt it was made from. What it is stands "
            f"in its card, {path}.md"
        )
    return torch_file.load(path)


def rebuild(state: dict[str, Any]) -> Saved:
    """The network of a ``model.pt``'s content, ``KEYS``."""
    model = build(Model, state["model"], "model")
    method, objective = build(Method, state["method"], "method"), build(Objective, state["objective"], "objective")
    unfetched = dataclasses.replace(model, weights="none")  # the file's own take their place
    network = MSCLNet(state["identities"], unfetched, method, objective)
    network.load_state_dict(state["network"])
    origin = state["origin"]
    if {"height", "width"} <= origin.keys():
        network.image_size = origin["height"], origin["width"]
    return Saved(network.eval(), model, method, objective, origin)
