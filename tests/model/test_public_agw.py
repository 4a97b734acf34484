"""Checkpoints of the public AGW code: the same features, safely read, and refused when they are not whole.

``public_features`` is that code's forward pass written out over the names of its state dict.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import resnet50

import msclnet
from msclnet.cli import main
from msclnet.core import torch_file
from msclnet.core.errors import ConfigError, DataError
from msclnet.model.files import open_model
from msclnet.model.public_agw import import_agw

IDENTITIES = 7
BLOCKS = (3, 4, 6, 3)
MODALITY = {"visible": "visible_module.visible", "infrared": "thermal_module.thermal"}


def state_dict(inner: int | None, seed: int = 0) -> dict[str, Tensor]:
    """What ``embed_net(...).state_dict()`` of the public code holds; no value is left at its start."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(like: Tensor, name: str) -> Tensor:
        if not like.is_floating_point():
            return like.clone()
        noise = torch.randn(like.shape, generator=generator)
        if name.endswith("running_var"):
            return 1 + 0.1 * noise.abs()
        return 0.1 * noise + (1 if like.ndim == 1 and name.endswith("weight") else 0) if like.ndim < 2 else like

    net: dict[str, Tensor] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # with some weights the non-local blocks, which have no softmax, overflow
        for place in ("thermal_module.thermal", "visible_module.visible", "base_resnet.base"):
            network = resnet50()
            net |= {f"{place}.{n}": drawn(v, n) for n, v in network.state_dict().items() if not n.startswith("fc.")}
    if inner is not None:
        for name, count, channels in (("NL_2", 2, 512), ("NL_3", 3, 1024)):
            for i in range(count):
                width = inner or channels // 2
                for part in ("g.0", "theta", "phi"):
                    net[f"{name}.{i}.{part}.weight"] = torch.randn(width, channels, 1, 1, generator=generator) / 50
                    net[f"{name}.{i}.{part}.bias"] = torch.randn(width, generator=generator) / 10
                net[f"{name}.{i}.W.0.weight"] = torch.randn(channels, width, 1, 1, generator=generator) / 20
                net[f"{name}.{i}.W.0.bias"] = torch.randn(channels, generator=generator) / 10
                for part in ("weight", "bias", "running_mean"):
                    net[f"{name}.{i}.W.1.{part}"] = torch.randn(channels, generator=generator) / 10
                net[f"{name}.{i}.W.1.running_var"] = 1 + torch.rand(channels, generator=generator)
                net[f"{name}.{i}.W.1.num_batches_tracked"] = torch.tensor(5)
    net["bottleneck.weight"] = torch.rand(2048, generator=generator) + 0.5
    net["bottleneck.bias"] = torch.zeros(2048)
    net["bottleneck.running_mean"] = torch.rand(2048, generator=generator)
    net["bottleneck.running_var"] = torch.rand(2048, generator=generator) + 0.5
    net["bottleneck.num_batches_tracked"] = torch.tensor(5)
    net["classifier.weight"] = torch.randn(IDENTITIES, 2048, generator=generator)
    return net


def checkpoint_of(net: dict[str, Tensor]) -> dict[str, Any]:
    """As the public code's train.py saves it, scores and all."""
    return {"net": net, "cmc": np.linspace(0.1, 0.9, 20), "mAP": np.float64(0.5), "mINP": np.float64(0.3), "epoch": 40}


def public_features(net: dict[str, Tensor], images: Tensor, modality: str, pooling: str) -> tuple[Tensor, Tensor]:
    """The L2-normalised pooled and BN features, in that code's order."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (net[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        shape = (1, -1, 1, 1) if x.ndim == 4 else (1, -1)
        scale = weight / (var + 1e-5).sqrt()
        return (x - mean.view(shape)) * scale.view(shape) + bias.view(shape)

    def conv(x: Tensor, name: str, **options: int) -> Tensor:
        return F.conv2d(x, net[f"{name}.weight"], net.get(f"{name}.bias"), **options)

    stem = MODALITY[modality]
    x = F.relu(norm(conv(images, f"{stem}.conv1", stride=2, padding=3), f"{stem}.bn1"))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, blocks in enumerate(BLOCKS, start=1):
        attended = [i for i in range(9) if f"NL_{stage}.{i}.theta.weight" in net]
        for block in range(blocks):
            place = f"base_resnet.base.layer{stage}.{block}"
            stride = 2 if block == 0 and stage in (2, 3) else 1  # the last stage keeps its size
            y = F.relu(norm(conv(x, f"{place}.conv1"), f"{place}.bn1"))
            y = F.relu(norm(conv(y, f"{place}.conv2", stride=stride, padding=1), f"{place}.bn2"))
            y = norm(conv(y, f"{place}.conv3"), f"{place}.bn3")
            if block == 0:
                x = norm(conv(x, f"{place}.downsample.0", stride=stride), f"{place}.downsample.1")
            x = F.relu(x + y)
            if (number := block - (blocks - len(attended))) >= 0 and attended:
                nl = f"NL_{stage}.{number}"
                theta, phi, g = (conv(x, f"{nl}.{p}").flatten(2) for p in ("theta", "phi", "g.0"))
                weights = theta.transpose(1, 2) @ phi / theta.shape[2]
                y = (weights @ g.transpose(1, 2)).transpose(1, 2).reshape(len(x), -1, *x.shape[2:])
                x = norm(conv(y, f"{nl}.W.0"), f"{nl}.W.1") + x
    flat = x.flatten(2)
    pooled = (flat.pow(3).mean(-1) + 1e-12) ** (1 / 3) if pooling == "gem" else flat.mean(-1)
    return tuple(f / f.norm(dim=1, keepdim=True) for f in (pooled, norm(pooled, "bottleneck")))  # type: ignore[return-value]


IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("method", "inner", "legacy"), [("agw", 1, False), ("agw", 0, True), ("base", None, False)])
def test_an_imported_network_gives_the_public_codes_features(
    method: str, inner: int | None, legacy: bool, tmp_path: Path
) -> None:
    net = state_dict(inner)
    torch.save(checkpoint_of(net), tmp_path / "best.t", _use_new_zipfile_serialization=not legacy)
    assert main(["import-agw", str(tmp_path / "best.t"), "--out", str(tmp_path / "m.pt"), "--method", method]) == 0
    network = msclnet.load_model(tmp_path / "m.pt")
    assert not network.training
    for modality in ("visible", "infrared"):
        pooled, bn = public_features(net, IMAGES, modality, "gem" if method == "agw" else "average")
        with torch.no_grad():
            ours = network.embed(IMAGES, modality)
        torch.testing.assert_close(ours.bn, bn, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.pooled, pooled, rtol=0, atol=1e-5)
        assert torch.equal(ours[0], ours.bn)
    assert (bn - public_features(net, IMAGES, "visible", "gem")[1]).abs().max() > 1e-3, "the streams differ"
    with pytest.raises(ValueError, match="expected 'visible' \\(0\\) or 'infrared' \\(1\\), found 'thermal'"):
        network.embed(IMAGES, "thermal")


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    return state_dict(1)


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (("NL_3.2.",), "missing: NL_3.2.g.0.weight"),
        (("NL_2.", "NL_3."), "give --method base"),
        (("thermal_module.thermal.conv1",), "missing: thermal_module.thermal.conv1.weight"),
        (("base_resnet.base.layer4.",), "missing: base_resnet.base.layer4.0.conv1.weight"),
        (("bottleneck.running_mean",), "missing: bottleneck.running_mean"),
        (("classifier.",), "missing: classifier.weight"),
    ],
)
def test_an_incomplete_file_is_refused_with_what_is_missing(
    whole: dict[str, Tensor], lost: tuple[str, ...], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"net": {n: v for n, v in whole.items() if not n.startswith(lost)}}, tmp_path / "x.t")
    assert main(["import-agw", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt")]) == 1
    message = capsys.readouterr().err
    assert "x.t: not a checkpoint of the public AGW code's method 'agw'" in message
    assert named in message
    assert not (tmp_path / "m.pt").exists()


def test_what_images_do_not_pass_through_may_be_missing(whole: dict[str, Tensor], tmp_path: Path) -> None:
    unused = ("visible_module.visible.layer", "base_resnet.base.conv1")
    net = {n: v for n, v in whole.items() if not n.startswith(unused) and not n.endswith("num_batches_tracked")}
    torch.save({"net": net}, tmp_path / "x.t")
    assert main(["import-agw", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt")]) == 0


def test_a_foreign_file_is_refused(
    whole: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"net": whole | {"attention.weight": torch.ones(1)}}, tmp_path / "more.t")
    torch.save({"net": whole | {"NL_2.0.theta.bias": torch.ones(9)}}, tmp_path / "shape.t")
    torch.save({"state_dict": whole}, tmp_path / "other.t")
    (tmp_path / "text.t").write_text("no checkpoint")
    messages = {}
    for name in ("more", "shape", "other", "text", "absent"):
        assert main(["import-agw", str(tmp_path / f"{name}.t"), "--out", str(tmp_path / "m.pt")]) == 1
        messages[name] = capsys.readouterr().err
    assert "unknown: attention.weight" in messages["more"]
    assert "of another shape: NL_2.0.theta.bias [9] instead of [1]" in messages["shape"]
    assert "holds state_dict; expected a dict whose 'net' is a state dict" in messages["other"]
    assert "not readable as a checkpoint" in messages["text"]
    assert "no such file" in messages["absent"]


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_executed(zipped: bool, tmp_path: Path) -> None:
    content = {"net": {"a": torch.ones(1)}, "cmc": Harmful(tmp_path / "done")}
    if zipped:
        torch.save(content, tmp_path / "x.t")
    else:
        (tmp_path / "x.t").write_bytes(pickle.dumps(content, protocol=2))
    assert main(["import-agw", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt")]) == 1
    assert not (tmp_path / "done").exists()


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    torch_file.save(tmp_path / "x.pt", {"net": 1})
    with pytest.raises(DataError, match=r"x\.pt: holds net; expected a model\.pt with format, identities"):
        msclnet.load_model(tmp_path / "x.pt")


def test_what_a_parallel_training_saved_is_the_same_network(whole: dict[str, Tensor], tmp_path: Path) -> None:
    """DataParallel's names, and a word in the epoch's place."""
    torch.save(checkpoint_of(whole), tmp_path / "plain.t")
    parallel = {f"module.{name}": value for name, value in whole.items()}
    torch.save(checkpoint_of(parallel) | {"epoch": "best"}, tmp_path / "parallel.t")
    plain, other = (import_agw(tmp_path / f"{name}.t", tmp_path / f"{name}.pt") for name in ("plain", "parallel"))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in plain.state_dict().items())
    assert open_model(tmp_path / "parallel.pt").origin["epoch"] == "best"


def test_values_that_are_not_finite_are_not_imported(whole: dict[str, Tensor], tmp_path: Path) -> None:
    bad = whole | {"bottleneck.running_var": torch.full((2048,), float("inf"))}
    torch.save(checkpoint_of(bad), tmp_path / "bad.t")
    with pytest.raises(DataError, match=r"bad.t: bottleneck.running_var has values that are not finite"):
        import_agw(tmp_path / "bad.t", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


def test_a_file_is_not_imported_over_itself(whole: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(checkpoint_of(whole), tmp_path / "a.t")
    (tmp_path / "link.pt").symlink_to("a.t")
    before = (tmp_path / "a.t").read_bytes()
    with pytest.raises(ConfigError, match="the file that is imported, which would be lost; name another"):
        import_agw(tmp_path / "a.t", tmp_path / "link.pt")
    assert (tmp_path / "a.t").read_bytes() == before
