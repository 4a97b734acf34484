"""A backbone's weights as people have them: wrapped, prefixed, of another classifier; and what is no weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from msclnet.core.errors import ConfigError
from msclnet.model.backbone import Backbone


@functools.cache
def weights() -> dict[str, Tensor]:
    from torchvision.models import resnet18

    return resnet18().state_dict()


def without(prefix: str) -> dict[str, Tensor]:
    return {name: value for name, value in weights().items() if not name.startswith(prefix)}


def backbone_of(content: Any, folder: Path) -> Backbone:
    torch.save(content, folder / "w.pth")
    return Backbone("resnet18", str(folder / "w.pth"), "none")


AS_PEOPLE_HAVE_THEM: dict[str, Callable[[], Any]] = {
    "as torchvision's": weights,
    "of other classes": lambda: weights() | {"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)},
    "without a classifier": lambda: without("fc."),
    "of DataParallel": lambda: {f"module.{name}": value for name, value in weights().items()},
    "in a dict": lambda: {"state_dict": weights(), "epoch": 90, "best": 76.1},
    "in a dict, of DataParallel, of a model": lambda: {
        "model": {f"module.backbone.{name}": value for name, value in without("fc.").items()}
    },
    "without counters": lambda: {n: v for n, v in weights().items() if not n.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("kind", AS_PEOPLE_HAVE_THEM)
def test_weights_are_taken_by_name_and_shape(kind: str, tmp_path: Path) -> None:
    backbone = backbone_of(AS_PEOPLE_HAVE_THEM[kind](), tmp_path)
    assert torch.equal(backbone.visible_stem.conv1.weight, weights()["conv1.weight"])
    assert torch.equal(backbone.layer4[1].conv2.weight, weights()["layer4.1.conv2.weight"])
    assert torch.equal(backbone.layer4[1].bn2.running_var, weights()["layer4.1.bn2.running_var"])


def test_what_is_foreign_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone_of(weights() | {"attention.weight\x1b[2J": torch.zeros(1)}, tmp_path)
    assert r"w.pth: not used of it: attention.weight\x1b[2J" in capsys.readouterr().err


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a layer missing": (
        lambda: without("layer3.0."),
        r"lacks layer3.0.conv1.weight, .* and \d+ more; expected the weights of a torchvision resnet18",
    ),
    "another network": (
        lambda: weights() | {"conv1.weight": torch.zeros(64, 1, 7, 7)},
        r"has another shape of conv1.weight \[64, 1, 7, 7\] instead of \[64, 3, 7, 7\]",
    ),
    "not finite": (
        lambda: weights() | {"layer1.0.conv1.weight": torch.full((64, 64, 3, 3), float("nan"))},
        "has values that are not finite in layer1.0.conv1.weight",
    ),
    "infinite in 32 bits": (
        lambda: weights() | {"bn1.weight": torch.full((64,), 1e300, dtype=torch.float64)},
        "has values that are not finite in bn1.weight",
    ),
    "complex numbers": (
        lambda: weights() | {"bn1.weight": torch.ones(64) * 1j},
        r"has another shape of bn1.weight complex64 \[64\] instead of \[64\]",
    ),
    "sparse numbers": (
        lambda: weights() | {"bn1.weight": torch.ones(64).to_sparse()},
        r"has another shape of bn1.weight sparse_coo \[64\] instead of \[64\]",
    ),
    "no tensors": (lambda: {"epoch": 3, "loss": 0.5}, "holds epoch, loss; expected a state dict, alone or under one"),
    "nothing": (dict, "holds nothing; expected a state dict"),
    "a list": (lambda: [1, 2], "holds list; expected a state dict"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named(kind: str, tmp_path: Path) -> None:
    content, message = WRONG[kind]
    with pytest.raises(ConfigError, match=rf"^model.weights: .*w.pth: {message}"):
        backbone_of(content(), tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html><html>Not found</html>", r"a web page \(HTML\).*"),
        (b"", "an empty file"),
        (b"PK\x03\x04 cut off", "a ZIP archive, .* cut off or damaged"),
    ],
)
def test_what_is_no_file_of_tensors_is_named(content: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"w.pth: {kind}, not readable as tensors \(.*\). Nothing in it was"):
        Backbone("resnet18", str(tmp_path / "w.pth"), "none")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"w.pth: a ZIP archive.* not readable as tensors"):
        Backbone("resnet18", str(tmp_path / "w.pth"), "none")
