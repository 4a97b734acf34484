"""A model.pt loads whatever its losses were: files as they were released, of today, of tomorrow."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import msclnet
from msclnet.core import torch_file
from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.evaluation.embedding import embed_pixels
from msclnet.inference.export import load_export
from msclnet.model.architecture import Architecture
from msclnet.model.files import FORMAT, description, open_model, save_model
from msclnet.model.msclnet import MSCLNet

# Written by the release that stored sections of the configuration (format 1), of the method msclnet with separate
# heads, so that every module is in it. A kernel's positions share their weight, which keeps the files small.
FIXTURES = Path(__file__).parent / "fixtures"
ARCHITECTURE = Architecture(
    backbone="small", non_local="one", pooling="gem", gem_p=3.0, parts=3, hidden=4, rounds=2, rank=2, heads="separate"
)
OUTPUTS = {"visible_logits", "infrared_logits", "synergy_neck", "visible_blocks", "visible_normalised_logits"}


def images() -> torch.Tensor:
    """The two images whose features lie beside the released model."""
    numbers = torch.arange(2 * 3 * 48 * 24, dtype=torch.float64)
    return torch.sin(0.37 * numbers**1.5 % 1000).float().view(2, 3, 48, 24)


def check_features(network: MSCLNet) -> None:
    with np.load(FIXTURES / "released.npz") as stored, torch.no_grad():
        for modality in ("visible", "infrared"):
            for feature, found in network.embed(images(), modality)._asdict().items():
                np.testing.assert_allclose(found.numpy(), stored[f"{modality}_{feature}"], rtol=0, atol=1e-5)


def test_the_released_layout_loads_for_ever() -> None:
    saved = open_model(FIXTURES / "released.pt")
    assert saved.network.architecture == ARCHITECTURE
    assert {name for name, _ in saved.network.named_children()} == {
        "backbone", "bottleneck", "classifier", "instance_norm", "visible_head", "infrared_head", "synergy",
        "synergy_neck",
    }  # fmt: skip
    assert (saved.network.identities, saved.network.image_size) == (3, (48, 24))
    assert saved.origin["method_name"] == "msclnet"
    check_features(saved.network)


def test_the_released_layout_written_anew_is_the_same_network(tmp_path: Path) -> None:
    saved = open_model(FIXTURES / "released.pt")
    save_model(tmp_path / "model.pt", saved.network, saved.origin)
    again = open_model(tmp_path / "model.pt")
    assert again.origin == saved.origin
    assert again.network.outputs == saved.network.outputs
    state = again.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in saved.network.state_dict().items())


def test_a_released_export_loads_for_ever(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "released.safetensors"
    path.write_bytes(gzip.decompress((FIXTURES / "released.safetensors.gz").read_bytes()))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 48, 24, 3), np.uint8)
    bn, pooled = load_export(path)(pixels, np.array([0, 1, 0, 1]))
    network = msclnet.load_model(FIXTURES / "released.pt")
    expected = embed_pixels(network, pixels[1::2], Modality.INFRARED)
    np.testing.assert_allclose(bn[1::2], expected[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(pooled[1::2], expected[1], rtol=0, atol=1e-5)


def written(path: Path, change: dict[str, Any]) -> Path:
    """The released file with keys more, or others, ``a.b`` in section ``a``."""
    state = torch_file.load(FIXTURES / "released.pt")
    for key, value in change.items():
        *sections, last = key.split(".")
        place = state
        for section in sections:
            place = place[section]
        place[last] = value
    torch_file.save(path, state)
    return path


@pytest.mark.parametrize("key", ["model.dropout", "method.losses.hetero", "method.like", "objective.temperature"])
def test_sections_that_got_more_keys_since_do_not_matter(key: str, tmp_path: Path) -> None:
    check_features(msclnet.load_model(written(tmp_path / "model.pt", {key: 0.5})))


@pytest.mark.parametrize(
    ("losses", "objective", "modules"),
    [
        ({}, {}, set()),
        ({"t": 1}, {}, {"instance_norm", "visible_head", "infrared_head"}),
        ({"div": 1}, {}, {"instance_norm"}),
        ({"local": 1}, {}, {"instance_norm", "synergy"}),
        ({"global": 1}, {}, {"instance_norm", "synergy", "synergy_neck"}),
        ({"global": 1}, {"centre_space": "raw"}, {"instance_norm", "synergy"}),
        ({"sub": 1}, {"cascade_on": ["visible", "infrared"]}, set()),
        ({"intra": 1}, {"centre_space": "normalised"}, {"instance_norm", "synergy"}),
        ({"inter": 1}, {"cascade_on": ["synergy"]}, {"instance_norm", "synergy", "synergy_neck"}),
    ],
)
def test_a_released_files_modules_are_those_of_its_time(
    losses: dict, objective: dict, modules: set[str], tmp_path: Path
) -> None:
    """Whatever ten weights and readings it was trained with: its network holds just these."""
    state = torch_file.load(FIXTURES / "released.pt")
    state["method"]["losses"] = {**dict.fromkeys(state["method"]["losses"], 0.0), **losses}
    state["objective"] |= objective
    here = {"backbone", "bottleneck", "classifier", *modules}
    state["network"] = {name: value for name, value in state["network"].items() if name.split(".")[0] in here}
    torch_file.save(tmp_path / "model.pt", state)
    network = msclnet.load_model(tmp_path / "model.pt")
    assert {name for name, _ in network.named_children()} == here


def test_a_file_says_what_its_network_was_built_from(tmp_path: Path) -> None:
    architecture = dataclasses.replace(ARCHITECTURE, heads="shared", non_local="half")
    network = MSCLNet(4, architecture, OUTPUTS).eval()
    save_model(tmp_path / "model.pt", network, {"set": "mine", "method": {"losses": {"of_my_own": 3.0}}})
    saved = open_model(tmp_path / "model.pt")
    assert (saved.network.architecture, saved.network.outputs, saved.network.identities) == (architecture, OUTPUTS, 4)
    assert saved.origin["method"] == {"losses": {"of_my_own": 3.0}}
    with torch.no_grad():
        assert torch.equal(saved.network.embed(images(), "visible").bn, network.embed(images(), "visible").bn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1}, rf"model\.pt: a model of format {FORMAT + 1}; this version .* formats 1 to {FORMAT}"),
        ({"architecture.dropout": 0.1}, r"model\.pt: its network has dropout, which this version .* update msclnet"),
        ({"outputs": ["visible_heat"]}, r"model\.pt: its network has visible_heat, which this version"),
    ],
)
def test_a_file_of_a_newer_version_is_named(change: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save_model(path, MSCLNet(2, ARCHITECTURE, ()), {})
    state = torch_file.load(path)
    for key, value in change.items():
        section, _, last = key.rpartition(".")
        (state[section] if section else state)[last] = value
    torch_file.save(path, state)
    with pytest.raises(DataError, match=message):
        msclnet.load_model(path)


def test_equal_networks_of_equal_origin_have_equal_bytes(tmp_path: Path) -> None:
    """Whether two of the origin's words are one object or two is no part of what is said."""
    network, word = open_model(FIXTURES / "released.pt").network, "a word"
    save_model(tmp_path / "one.pt", network, {"key": word, "list": [word, word], "number": 0.1})
    save_model(
        tmp_path / "two.pt", network, {"key": "a " + "word"[:], "list": ["a {}".format("word")] * 2, "number": 0.1}
    )
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    """They would embed every image as NaN, and rank it."""
    saved = open_model(FIXTURES / "released.pt")
    with torch.no_grad():
        saved.network.bottleneck.running_var[3] = value
    save_model(tmp_path / "model.pt", saved.network, saved.origin)
    with pytest.raises(DataError, match=r"model.pt: bottleneck.running_var has values that are not finite"):
        open_model(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"identities": "three"}, {"identities": -1}, {"architecture": {"backbone": "resnet9"}}, {"network": {}},
        {"network": [1, 2]}, {"outputs": ["synergy_neck"]}, {"architecture": 7}, {"origin": 5},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_that_describes_another_network_is_named(change: dict[str, Any], tmp_path: Path) -> None:
    saved = open_model(FIXTURES / "released.pt")
    state = description(saved.network, saved.origin) | {"network": saved.network.state_dict()}
    if isinstance(change.get("architecture"), dict):
        change = {"architecture": state["architecture"] | change["architecture"]}
    torch_file.save(tmp_path / "model.pt", state | change)
    with pytest.raises(DataError, match=r"model.pt: "):
        open_model(tmp_path / "model.pt")
