"""A network on disk, ``model.pt``: its weights and all that is needed to build it again, whoever trained it.

A file holds what its network was built from, not the losses it was trained by: a term that is renamed, taken out, or
of somebody's own file is nothing to it. The first format held sections of the configuration (``_first_format``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from msclnet.core import torch_file
from msclnet.core.errors import DataError
from msclnet.core.file_kind import kind_of
from msclnet.core.section import problem
from msclnet.core.types import Outputs
from msclnet.model.architecture import Architecture
from msclnet.model.msclnet import MSCLNet

FORMAT = 2  # raised when a file written from then on would be misread by this version
KEYS = ("format", "identities", "architecture", "outputs", "origin", "network")
FIRST_SECTIONS = ("model", "method", "objective")
LARGEST = 2**20  # of identities, and of an image's height and width
FIRST_KEYS = ("identities", *FIRST_SECTIONS, "origin", "network")

EXPORTS = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}  # format -> how its files are named


class _Origin(BaseModel):
    """What is read of where a network comes from; a training's holds all its configuration."""

    model_config = ConfigDict(strict=True)
    set: str = ""
    data: str = ""
    method_name: str = ""
    epochs: int = 0
    split: int = 0
    seed: int = 0
    height: int = Field(1, ge=1, le=LARGEST)
    width: int = Field(1, ge=1, le=LARGEST)
    imported: str = ""
    file: str = ""
    sha256: str = ""

    @model_validator(mode="after")
    def _together(self) -> _Origin:
        """All that a training's says, or an import's, or nothing."""
        groups = ({"data", "set", "epochs", "split", "seed", "height", "width"}, {"imported", "file", "sha256"})
        if not any(group <= self.model_fields_set for group in groups) and self.model_fields_set & {"data", "imported"}:
            raise ValueError("origin: lacks what others say of theirs")
        return self


class _Validation(BaseModel):
    """The epoch that was kept and its scores, as far as it was scored."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    epoch: int = 0
    identities: int = 0
    rank1: float = 0
    mAP: float = 0
    mINP: float = 0


class _About(BaseModel):
    """What a file says of its network."""

    model_config = ConfigDict(strict=True)
    identities: int = Field(ge=0, le=LARGEST)  # 0: it has no classifier, and nobody says
    outputs: list[str] = []
    origin: _Origin
    validation: _Validation | None = None


_ARCHITECTURE = TypeAdapter(Architecture)


@dataclass(frozen=True)
class Saved:
    """All that a ``model.pt`` holds; ``origin`` is a training's resolved configuration, or what an import knows."""

    network: MSCLNet  # in evaluation mode, on the CPU
    origin: dict[str, Any]
    validation: dict[str, Any]  # the epoch whose weights these are, and its scores on held-out identities; or empty


def save_model(path: Path, network: MSCLNet, origin: dict[str, Any], validation: dict[str, Any] | None = None) -> None:
    """Writes the network with what it was built from; ``origin`` says where its weights come from.

    ``origin`` holds plain values: the resolved configuration of a training, or what an import knows of its file.
    ``validation`` is what a training that was scored on held-out identities knows of the epoch that it kept.
    """
    torch_file.save(path, {**description(network, origin, validation), "network": network.state_dict()})


def description(network: MSCLNet, origin: dict[str, Any], validation: dict[str, Any] | None = None) -> dict[str, Any]:
    """``KEYS`` without the weights, and ``validation`` where there is one, as plain values."""
    return ({"validation": validation} if validation else {}) | {
        "format": FORMAT,
        "identities": network.identities,
        "architecture": dataclasses.asdict(network.architecture),
        "outputs": sorted(network.outputs),
        "origin": json.loads(json.dumps(origin)),  # equal values, equal bytes: no two of its objects are one
    }


def load_model(path: str | Path) -> MSCLNet:
    """The network in a ``model.pt``, in evaluation mode, on the CPU; nothing in the file is executed.

    ``msclnet.embed`` embeds image files with it.

    Args:
        path: a file that a training or an import wrote.

    Returns:
        The network. Its ``embed(images, modality)`` takes normalised float images ``[B, 3, H, W]``. It gives the ``bn``
            and the ``pooled`` features, ``[B, C]`` each, with rows of unit length.

    Raises:
        DataError: the file is absent, damaged, no model, or of a newer version of this project. The message names it.
    """
    return open_model(path).network


def open_model(path: str | Path) -> Saved:
    """As ``load_model``, with what lies beside the network in the file."""
    return rebuild(read_state(Path(path)), path)


def read_state(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; DataError for another file, also for an export of ours."""
    if path.is_file() and kind_of(path).format == "export":
        raise DataError(
            f"{path}: an export, which other programs run; expected the model.pt it was made from. What it is stands "
            f"in its card, {path}.md"
        )
    return torch_file.load(path)


def rebuild(state: Mapping[str, Any], path: str | Path) -> Saved:
    """The network of a ``model.pt``'s content, ``KEYS`` or, of the first format, ``FIRST_KEYS``; ``path`` names it."""
    number = state.get("format", 1)
    if isinstance(number, int) and number > FORMAT:
        raise DataError(
            f"{path}: a model of format {number}; this version of msclnet reads formats 1 to {FORMAT}. Update msclnet, "
            "or train it again with this version"
        )
    if "optimiser" in state:
        raise DataError(
            f"{path}: a checkpoint of an unfinished training, of step {state.get('step')}; expected the model.pt that "
            "it leaves when it has ended"
        )
    if not set(FIRST_KEYS if number == 1 else KEYS) <= state.keys():
        raise DataError(
            f"{path}: holds {', '.join(map(str, state))}; expected a model.pt with {', '.join(KEYS)}, as training or "
            "`msclnet import` writes it"
        )
    for key in ("architecture", "network", "origin", *FIRST_SECTIONS):
        if key in state and not isinstance(state[key], dict):
            raise DataError(f"{path}: its {key} is {type(state[key]).__name__}; expected a dict; copy the file again")
    try:
        _About.model_validate(state)
    except ValidationError as error:
        raise DataError(f"{path}: what it says of itself cannot be meant ({problem(error)}); copy it again") from None
    known = {field.name for field in dataclasses.fields(Architecture)}
    architecture, outputs = (state["architecture"], state["outputs"]) if number != 1 else _first_format(state)
    given = {field.name for field in dataclasses.fields(Outputs)}
    if unknown := [*sorted(architecture.keys() - known), *sorted(set(outputs) - given)]:
        raise DataError(
            f"{path}: its network has {', '.join(unknown)}, which this version of msclnet does not know; update msclnet"
        )
    try:
        network = MSCLNet(state["identities"], _ARCHITECTURE.validate_python(architecture), outputs)
        network.load_state_dict(state["network"])
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{path}: its weights are not of the network it describes ({type(error).__name__}: {reason}); copy it "
            "again from where it came from, or train it again"
        ) from error
    if bad := torch_file.not_finite(network.state_dict()):
        raise DataError(
            f"{path}: {bad} has values that are not finite; expected finite weights: train or import it again"
        )
    origin = state["origin"]
    if {"height", "width"} <= origin.keys():
        network.image_size = origin["height"], origin["width"]
    return Saved(network.eval(), origin, state.get("validation", {}))


def _first_format(state: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The architecture and the outputs of a file from before the formats had numbers.

    It holds the sections ``model``, ``method`` and ``objective`` of the configuration of its time, with all ten
    weights; what follows is how the network was built from them then, and stays as it is.
    """
    model, method, objective = state["model"], state["method"], state["objective"]
    names = ("backbone", "gem_p", "parts", "hidden", "rounds", "rank", "heads")
    architecture = {name: model[name] for name in names}
    architecture |= {"non_local": method["nonlocal"], "pooling": method["pooling"]}

    losses = method["losses"]
    outputs = {"visible_logits", "infrared_logits"}
    if losses["t"]:
        outputs |= {"visible_normalised_logits", "infrared_normalised_logits"}
    if losses["div"]:
        outputs |= {"visible_normalised", "infrared_normalised"}
    if losses["local"]:
        outputs |= {"visible_blocks", "synergy_blocks"}
    cascade = losses["sub"] or losses["intra"] or losses["inter"]
    if losses["global"] or (cascade and "synergy" in objective["cascade_on"]):
        outputs |= {"synergy_neck"} if objective["centre_space"] == "neck" else {"synergy_blocks"}
    return architecture, outputs
