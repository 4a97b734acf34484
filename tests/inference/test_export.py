"""An exported file gives the model's features in another runtime, and says how nearly."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import msclnet
from msclnet.cli import main
from msclnet.core.errors import DataError, UserError
from msclnet.core.types import Modality
from msclnet.datasets.table import SETS
from msclnet.evaluation.embedding import embed_pixels
from msclnet.inference import export as room
from msclnet.inference.export import export, load_export, verify
from msclnet.model.backbone import Backbone
from msclnet.model.files import EXPORTS
from msclnet.model.msclnet import MSCLNet
from tests.results.test_tables import HOW, row, sysu_rows, write


@pytest.fixture(scope="module", params=EXPORTS)
def exported(request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / f"person{EXPORTS[request.param]}"
    assert main(["export", str(model), "--format", request.param, "--out", str(out)]) == 0
    return out


def test_a_loaded_export_gives_the_models_features_in_batches_of_any_size(exported: Path, model: Path) -> None:
    network, loaded = msclnet.load_model(model), load_export(exported)
    for count in (1, 2, 5):
        images = np.random.default_rng(count).integers(0, 256, (count, 48, 24, 3), np.uint8)
        modality = np.arange(count) % 2
        expected = one_by_one(network, images, modality)
        for found, swapped, ours in zip(loaded(images, modality), loaded(images, 1 - modality), expected, strict=True):
            assert found.shape == (count, 128)
            assert np.abs(found - ours).max() < 1e-4
            assert np.abs(swapped - ours).max() > 1e-2, "the modality counts"


def one_by_one(network: MSCLNet, images: np.ndarray, modality: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network's own features."""
    pairs = [embed_pixels(network, images[i : i + 1], Modality(m)) for i, m in enumerate(modality)]
    return np.concatenate([bn for bn, _ in pairs]), np.concatenate([pooled for _, pooled in pairs])


def test_beside_it_lie_its_report_and_its_card(exported: Path, model: Path) -> None:
    assert sorted(path.name for path in exported.parent.iterdir()) == [
        exported.name, f"{exported.name}.json", f"{exported.name}.md"
    ]  # fmt: skip
    report = json.loads(Path(f"{exported}.json").read_text())
    assert (report["model"], report["bytes"]) == ("model.pt", exported.stat().st_size)
    assert (report["random_images"], report["stand_in_images"], report["queries"]) == (16, 48, 48)
    assert 0 <= report["random_difference"] < 1e-4
    assert 0 <= report["stand_in_difference"] < 1e-4
    assert report["same_nearest"] > 0.9
    card = Path(f"{exported}.md").read_text()
    assert f"`{exported.name}` finds" in card
    assert f"{report['stand_in_difference']:.1e} on 48 stand-in images" in card
    assert "Not measured: no scores.json lay beside the model at export." in card


@pytest.mark.parametrize("exported", ["onnx"], indirect=True)
def test_onnx_needs_nothing_of_ours(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    inputs = {value.name: (value.type, value.shape[1:]) for value in session.get_inputs()}
    assert inputs == {"images": ("tensor(uint8)", [48, 24, 3]), "modality": ("tensor(int64)", [])}
    assert [value.name for value in session.get_outputs()] == ["bn", "pooled"]


def test_onnx_keeps_what_a_silent_channel_is_given(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added to its mean before the root, 1e-12, was nothing to the exporter's optimiser, which left it out."""
    network, shared = msclnet.load_model(model), Backbone.shared
    half = (torch.arange(128) % 2).view(1, -1, 1, 1)
    monkeypatch.setattr(Backbone, "shared", lambda backbone, stems: shared(backbone, stems) * half)
    room._onnx(network, tmp_path / "x.onnx")
    images, modality = np.random.default_rng(0).integers(0, 256, (4, 48, 24, 3), np.uint8), np.arange(4) % 2
    found = load_export(tmp_path / "x.onnx")(images, modality)
    for theirs, ours in zip(found, one_by_one(network, images, modality), strict=True):
        assert np.abs(theirs - ours).max() < 5e-6


def test_the_verification_sees_another_network(model: Path) -> None:
    network = msclnet.load_model(model)
    good = verify(network, lambda images, modality: one_by_one(network, images, modality))
    bad = verify(network, lambda images, modality: one_by_one(network, images, 1 - modality))
    assert max(good.random_difference, good.stand_in_difference) < 1e-5
    assert good.same_nearest == 1
    assert min(bad.random_difference, bad.stand_in_difference) > 1e-2
    assert bad.same_ranking < 0.5


def test_an_export_that_is_not_the_model_is_not_handed_out(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faithful = room.load_export

    def rounded(path: Path) -> room.Embed:
        def embed(images: np.ndarray, modality: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            bn, pooled = faithful(path)(images, modality)
            return bn.round(2), pooled

        return embed

    monkeypatch.setattr(room, "load_export", rounded)
    with pytest.raises(UserError, match=r"person\.safetensors: not written, it is not the model .*at most 0\.0001 is"):
        export(model, "safetensors", tmp_path / "person.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_card_knows_the_protocol_of_every_set() -> None:
    assert all(entry.protocol.endswith(".") for entry in SETS)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [[row(60.0, **HOW, feature="bn", direction="visible-to-infrared", split=s)] for s in (1, 2)],
            "mean and standard deviation over 2 splits, a training each.",
        ),
        (
            [sysu_rows([50.0, 60.0])],
            "mean and standard deviation over 2 gallery draws of one training.",
        ),
    ],
    ids=["regdb", "sysu"],
)
def test_the_card_gives_the_scores_with_their_spread(
    model: Path, tmp_path: Path, rows: list[list[dict]], expected: str
) -> None:
    for split, of_split in enumerate(rows, start=1):
        if split == 2:
            of_split[0] = of_split[0] | {"rank1": 70.0}
        write(tmp_path, "msclnet", split, of_split)
    copy = shutil.copyfile(model, tmp_path / "msclnet/split1/model.pt")
    assert main(["export", str(copy), "--format", "safetensors"]) == 0
    card = (copy.parent / "model.safetensors.md").read_text()
    assert f"On stand-in (drawn people), in percent, {expected}" in card
    mean, deviation = (65.0, 7.07) if len(rows) == 2 else (55.0, 7.07)
    assert f"{mean:.2f} ± {deviation:.2f} |" in card
    for words in ("**Stand-in: every image was drawn by a program", "## Responsible use", "## Limits", "seed: 0"):
        assert words in card


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_what_is_at_work(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else: its line goes when the work is done."""
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["export", str(model), "--format", "safetensors", "--out", str(tmp_path / "x.safetensors")]) == 0
        said = stream.getvalue()
        for stage in ("reading model.pt (1 of 3)", "writing x.safetensors (2 of 3)", "comparing features of 64 images"):
            assert (stage in said) is shown
        assert said == "" or said.endswith(" \r")


def test_what_cannot_be_exported_or_loaded_is_said(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", str(model), "--format", "onnx", "--out", str(tmp_path / "model.pt2")]) == 1
    assert "model.pt2: expected a name that ends in .onnx" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "no.pt"), "--format", "onnx"]) == 1
    assert re.search(r"no\.pt: no such checkpoint", capsys.readouterr().err)
    with pytest.raises(DataError, match=r"x\.onnx: no such file; write it with `msclnet export`"):
        load_export(tmp_path / "x.onnx")
    with pytest.raises(DataError, match=r"model\.pt: expected a file that ends in \.onnx, \.pt2, \.safetensors"):
        load_export(model)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2", ".safetensors"])
def test_a_damaged_export_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"person{suffix}"
    path.write_text("<!doctype html>")
    with pytest.raises(
        DataError, match=rf"person\{suffix}: a web page .*, not readable as an export \(.*copy it again"
    ):
        load_export(path)


def test_a_missing_library_is_named_with_the_extra(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(model), "--format", "onnx", "--out", str(tmp_path / "x.onnx")]) == 1
    assert "onnxscript is not installed; this needs the extra 'use': pip install -e '.[use]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
