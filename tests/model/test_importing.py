"""Checkpoints of other people's code: the same features, safely read, and refused when they are not whole.

``public_features`` is the forward pass of AGW's public code written out over the names of its state dict. CAJ's imports
that network, and those of ADCA and DART are it.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import resnet18, resnet50

import msclnet
from msclnet.cli import main
from msclnet.core import torch_file
from msclnet.core.errors import ConfigError, DataError
from msclnet.inference.info import info
from msclnet.model.files import open_model
from msclnet.model.importing import import_checkpoint
from msclnet.model.origins.origin import Reading
from msclnet.model.origins.table import ORIGINS
from msclnet.model.origins.two_stream import UNUSED
from tests.conftest import ROOT

IDENTITIES = 7
BLOCKS = (3, 4, 6, 3)
MODALITY = {"visible": "visible_module.visible", "infrared": "thermal_module.thermal"}


@functools.cache
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


def lean(net: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what no image passes through: a third of the size."""
    return {name: value for name, value in net.items() if not re.match(UNUSED, name)}


def of_dart(net: dict[str, Tensor]) -> dict[str, Any]:
    """As DART's run.py saves each of its two networks; the optimiser's state is cut to one entry."""
    second = {f"bottleneck_2.{part}": torch.rand(2048) for part in ("weight", "bias", "running_mean", "running_var")}
    optimiser = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return checkpoint_of(net | second) | {"optimizer": optimiser}


def of_adca(net: dict[str, Tensor]) -> dict[str, Any]:
    """As ADCA's training saves it: of DataParallel, with a classifier of 1000 rows that nothing trains."""
    net = net | {"classifier.weight": torch.randn(1000, 2048)}
    return {"state_dict": {f"module.{name}": v for name, v in net.items()}, "epoch": 31, "best_mAP": np.float64(0.4)}


def of_adcas_kin(net: dict[str, Tensor]) -> dict[str, Any]:
    """ADCA's file of somebody who trains the classifier after all."""
    return {"state_dict": {f"module.{name}": value for name, value in net.items()}, "epoch": 31}


def of_gur(net: dict[str, Tensor]) -> dict[str, Any]:
    """ADCA's, with two more classifiers."""
    return of_adca(net | {f"classifier_{stream}.weight": torch.randn(1000, 2048) for stream in ("ir", "rgb")})


IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))
WRITTEN = {  # how its code writes it; inner width of the non-local blocks, None without; the pooling, and whose it is
    "agw": (checkpoint_of, 1, "gem", "the public code of AGW and CAJ"),
    "caj": (checkpoint_of, 0, "gem", "the public code of AGW and CAJ"),
    "base": (checkpoint_of, None, "average", "the public code of AGW and CAJ"),
    "bare": (dict, 1, "gem", "the public code of AGW and CAJ"),
    "adca": (of_adca, None, "gem", "ADCA's public code"),
    "kin": (of_adcas_kin, 1, "gem", "ADCA's public code"),
    "pgm": (of_adca, 1, "gem", "ADCA's public code"),
    "gur": (of_gur, None, "gem", "ADCA's public code"),
    "dart": (of_dart, 1, "gem", "DART's public code"),
}


@pytest.mark.parametrize("code", WRITTEN)
def test_an_imported_network_gives_the_codes_features(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, inner, pooling, title = WRITTEN[code]
    net = state_dict(inner)
    torch.save(
        write(net if code == "agw" else lean(net)), tmp_path / "best.t", _use_new_zipfile_serialization=code != "caj"
    )
    assert main(["import", str(tmp_path / "best.t"), "--out", str(tmp_path / "m.pt")]) == 0
    said = capsys.readouterr()
    assert f"m.pt: from a checkpoint of {title}, resnet50, " in said.out
    assert f"{'GeM' if pooling == 'gem' else pooling} pooling, " in said.out
    network = msclnet.load_model(tmp_path / "m.pt")
    assert not network.training
    assert network.image_size == (288, 144)
    for modality in ("visible", "infrared"):
        pooled, bn = public_features(net, IMAGES, modality, pooling)
        with torch.no_grad():
            ours = network.embed(IMAGES, modality)
        torch.testing.assert_close(ours.bn, bn, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.pooled, pooled, rtol=0, atol=1e-5)
        assert torch.equal(ours[0], ours.bn)
    assert (bn - public_features(net, IMAGES, "visible", "gem")[1]).abs().max() > 1e-3, "the streams differ"
    with pytest.raises(ValueError, match="expected 'visible' \\(0\\) or 'infrared' \\(1\\), found 'thermal'"):
        network.embed(IMAGES, "thermal")
    trained = write not in (of_adca, of_gur)
    assert network.identities == (IDENTITIES if trained else 0)
    assert ("training identities" in said.out) == trained
    assert ("no classifier of identities (the one in it was never trained)" in said.err) != trained
    assert ("no non-local blocks in it" in said.err) == (inner is None)
    about = info(tmp_path / "m.pt")
    assert f"a checkpoint of {title}; on what it was trained that file does not say" in about
    assert f"{IDENTITIES if trained else 'an unknown number of'} training identities" in about


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    return lean(state_dict(1))


def refused(content: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message about a file with this content; nothing is written."""
    torch.save(content, tmp_path / "x.t")
    assert main(["import", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt")]) == 1
    assert not (tmp_path / "m.pt").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (("NL_3.2.",), "missing: NL_3.2.g.0.weight"),
        (("NL_2.",), "missing: NL_2.0.g.0.weight"),
        (("thermal_module.thermal.conv1",), "missing: thermal_module.thermal.conv1.weight"),
        (("base_resnet.base.layer4.",), "missing: base_resnet.base.layer4.0.conv1.weight"),
        (("bottleneck.running_mean",), "missing: bottleneck.running_mean"),
    ],
)
def test_an_incomplete_file_is_refused_with_what_is_missing(
    whole: dict[str, Tensor], lost: tuple[str, ...], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = {n: v for n, v in whole.items() if not n.startswith(lost)}
    message = refused({"net": net}, tmp_path, capsys)
    assert "x.t: no whole checkpoint of the public code of AGW and CAJ" in message
    assert named in message


def test_what_features_do_not_need_may_be_missing_and_is_said(
    whole: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counters of batch normalisation, the classifier, and the non-local blocks, whose pooling is asked for."""
    lost = ("NL_", "classifier.")
    net = {n: v for n, v in whole.items() if not n.startswith(lost) and not n.endswith("num_batches_tracked")}
    torch.save({"model": net}, tmp_path / "x.t")
    assert main(["import", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt"), "--pooling", "gem"]) == 0
    said = capsys.readouterr()
    assert "x.t: no non-local blocks in it: taken for a network of --method base, which averages" in said.err
    assert "x.t: no classifier of identities (none in it); features do not need it" in said.err
    assert "no non-local blocks, GeM pooling, no classifier, images of 288 x 144 pixels" in said.out
    with torch.no_grad():
        ours = msclnet.load_model(tmp_path / "m.pt").embed(IMAGES, "visible")
    torch.testing.assert_close(ours.bn, public_features(net, IMAGES, "visible", "gem")[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "size", "told"),
    [
        (["--height", "72", "--width", "36"], (72, 36), "images of 72 x 36 pixels\n"),
        (["--height", "384"], (384, 144), "images of 384 x 144 pixels\n"),
    ],
)
def test_a_network_may_be_of_images_of_another_size(
    whole: dict[str, Tensor],
    options: list[str],
    size: tuple[int, int],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Such a file does not say; a pack of another size than the network's is refused."""
    torch.save({"net": whole}, tmp_path / "x.t")
    assert main(["import", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt"), *options]) == 0
    assert capsys.readouterr().out.endswith(told)
    assert msclnet.load_model(tmp_path / "m.pt").image_size == size


def test_a_size_that_no_image_has_is_named(whole: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"net": whole}, tmp_path / "x.t")
    with pytest.raises(ConfigError, match=r"--width: 2097152; expected pixels of an image, 1 to 1048576"):
        import_checkpoint(tmp_path / "x.t", tmp_path / "m.pt", width=2**21)


def test_layers_that_are_not_here_are_named(
    whole: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Much of the field's code adds some to this network: what is left of it without them is another network."""
    message = refused({"net": whole | {"DEE.FC1.weight": torch.ones(1)}}, tmp_path, capsys)
    assert "unknown: DEE.FC1.weight: a network built upon it has layers that are not here" in message


def test_what_is_of_no_known_code_is_described(
    whole: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = "expected a checkpoint of the public code of AGW and CAJ, ADCA's public code, DART's public code"
    message = refused(resnet18().state_dict(), tmp_path, capsys)
    assert "x.t: 122 tensors (conv1.weight, bn1.weight, " in message
    assert f"looks like a ResNet as torchvision names its layers (give it as model.weights); {known}" in message
    message = refused({"state_dict": {"a": torch.ones(1)}}, tmp_path, capsys)
    assert f"x.t: 1 tensors (a); {known}" in message
    one_stream = {name: value for name, value in whole.items() if not name.startswith("thermal_module")}
    message = refused({"net": one_stream}, tmp_path, capsys)
    assert "looks like a two-stream network without one of its streams (give the whole file)" in message
    torch.save(lean(whole), tmp_path / "agw.t")
    import_checkpoint(tmp_path / "agw.t", tmp_path / "ours.pt")
    with pytest.raises(DataError, match=r"ours.pt: a checkpoint of this project, which needs no import: give it as"):
        import_checkpoint(tmp_path / "ours.pt", tmp_path / "again.pt")
    weights = open_model(tmp_path / "ours.pt").network.state_dict()
    (tmp_path / "bare").mkdir()
    assert "weights of this project without what their model.pt" in refused(weights, tmp_path / "bare", capsys)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NL_2.0.theta.bias", torch.ones(9), "of another shape: NL_2.0.theta.bias [9] instead of [1]"),
        ("bottleneck.bias", torch.ones(2048) * 1j, "of another shape: bottleneck.bias complex64 [2048] instead of"),
        ("bottleneck.bias", torch.ones(2048).to_sparse(), "of another shape: bottleneck.bias sparse_coo [2048] inste"),
        ("bottleneck.bias", torch.ones(2048).bool(), "of another shape: bottleneck.bias bool [2048] instead of"),
        ("bottleneck.running_var", torch.full((2048,), torch.inf), "bottleneck.running_var has values that are not"),
        (
            "bottleneck.running_var",
            torch.full((2048,), 1e300, dtype=torch.float64),
            "bottleneck.running_var has values th",
        ),
        ("classifier.weight", torch.ones(3), "classifier.weight [3]; expected one row an identity"),
        ("classifier.weight", torch.ones(1).expand(2**19, 2048), "classifier.weight [524288, 2048]; expected one row"),
    ],
)
def test_a_value_that_is_no_weight_is_named(
    whole: dict[str, Tensor],
    name: str,
    value: Tensor,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said in refused({"net": whole | {name: value}}, tmp_path, capsys)


def test_what_is_no_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds epoch, loss; expected a state dict, alone or in a dict" in refused(
        {"epoch": 3, "loss": 1.0}, tmp_path, capsys
    )
    (tmp_path / "text.t").write_text("no checkpoint")
    (tmp_path / "m.pt").touch()  # of an import before
    for name, said in (("text", "a text ('no checkpoint'), not readable as a checkpoint"), ("absent", "no such file")):
        assert main(["import", str(tmp_path / f"{name}.t"), "--out", str(tmp_path / "m.pt")]) == 1
        assert f"{name}.t: {said}" in capsys.readouterr().err


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
    assert main(["import", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt")]) == 1
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
    plain, other = (
        import_checkpoint(tmp_path / f"{name}.t", tmp_path / f"{name}.pt").network for name in ("plain", "parallel")
    )
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in plain.state_dict().items())
    assert open_model(tmp_path / "parallel.pt").origin["epoch"] == "best"


def test_a_file_is_not_imported_over_itself(whole: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(checkpoint_of(whole), tmp_path / "a.t")
    (tmp_path / "link.pt").symlink_to("a.t")
    before = (tmp_path / "a.t").read_bytes()
    with pytest.raises(ConfigError, match="the file that is imported, which would be lost; name another"):
        import_checkpoint(tmp_path / "a.t", tmp_path / "link.pt")
    assert (tmp_path / "a.t").read_bytes() == before


def test_the_page_on_another_code_is_enough(
    whole: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file reads what was refused without it, and no file of the package is touched."""
    page = (ROOT / "docs/how-to/checkpoints.md").read_text(encoding="utf-8")
    (plugin,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    content = {"net": whole | {"projector.weight": torch.ones(3)}}
    assert "unknown: projector.weight" in refused(content, tmp_path, capsys)
    (tmp_path / "theirs.py").write_text(plugin)
    monkeypatch.setenv("MSCLNET_PLUGINS", str(tmp_path / "theirs.py"))
    monkeypatch.setattr(ORIGINS, "_entries", dict(ORIGINS._entries))
    assert main(["import", str(tmp_path / "x.t"), "--out", str(tmp_path / "m.pt")]) == 0
    assert "from a checkpoint of their code, resnet50, non-local blocks of 1 channel" in capsys.readouterr().out
    with torch.no_grad():
        ours = msclnet.load_model(tmp_path / "m.pt").embed(IMAGES, "infrared")
    torch.testing.assert_close(ours.bn, public_features(whole, IMAGES, "infrared", "gem")[1], rtol=0, atol=1e-5)


def test_what_a_reader_says_of_a_file_that_is_not_its_codes_is_an_error_with_its_name(
    whole: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(state: Mapping[str, Tensor]) -> Reading:
        raise ValueError("its fc has 7 outputs; expected 395")

    (agw,) = (origin for origin in ORIGINS if origin.name == "agw")
    monkeypatch.setattr(ORIGINS, "_entries", {"agw": dataclasses.replace(agw, read=refuses)})
    said = refused(checkpoint_of(whole), tmp_path, capsys)
    assert f"{tmp_path / 'x.t'}: has the marks of a checkpoint of {agw.title}, but its fc has 7 outputs" in said
