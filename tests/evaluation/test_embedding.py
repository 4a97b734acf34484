"""Files and pixels to features, from Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import msclnet
from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.data.augmentation import normalise
from msclnet.data.images import decode
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.regdb import RegDB
from msclnet.evaluation.embedding import extract
from msclnet.inference.gallery import Gallery
from msclnet.model.msclnet import MSCLNet
from msclnet.report.explain.activation import activation_maps
from tests.inference.conftest import folder as folder
from tests.inference.conftest import job as job
from tests.inference.conftest import model as model


def test_files_are_read_at_the_networks_size_and_embedded_by_their_stream(folder: Path, model: Path) -> None:
    network = msclnet.load_model(model)
    files = sorted((folder / "Thermal").rglob("*.bmp"))[:5]
    pixels = np.stack([decode(file, 48, 24) for file in files])
    with torch.inference_mode():
        bn, pooled = (value.numpy() for value in network.embed(normalise(torch.from_numpy(pixels)), "infrared"))
    found = msclnet.embed(network, files, "infrared", batch=2)
    assert (found.dtype, found.shape) == (np.float32, (5, 128))
    assert np.allclose(found, bn, atol=1e-6)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.allclose(msclnet.embed(network, [str(f) for f in files], Modality.INFRARED, "pooled"), pooled, atol=1e-6)
    assert np.allclose(msclnet.embed(network, pixels, "infrared"), bn, atol=1e-6)
    assert np.allclose(msclnet.embed(network, files[0], "infrared"), bn[:1], atol=1e-6)
    assert np.abs(msclnet.embed(network, files, "visible") - bn).max() > 0.01
    assert msclnet.embed(network, [], "visible").shape == (0, 128)


def test_a_network_in_training_is_put_into_evaluation(folder: Path, model: Path) -> None:
    network = msclnet.load_model(model)
    images = np.zeros((2, 48, 24, 3), np.uint8)
    expected = msclnet.embed(network, images, "visible")
    assert np.array_equal(msclnet.embed(network.train(), images, "visible"), expected)


def test_no_feature_is_computed_with_tf32(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tf32: Callable[[], tuple[bool, bool]]
) -> None:
    """From Python, of a pack and in a search; what the caller's own process has set comes back."""
    asked, plain = [], MSCLNet.embed

    def watched(network: MSCLNet, *arguments: object) -> object:
        asked.append(tf32())
        return plain(network, *arguments)

    monkeypatch.setattr(MSCLNet, "embed", watched)
    write_pack(RegDB().survey(folder, (1,), real=False).require(), folder, tmp_path / "pack", 48, 24, 1)
    network = msclnet.load_model(model)
    msclnet.embed(network, sorted((folder / "Thermal").rglob("*.bmp"))[:2], "infrared")
    extract(network, Pack.open(tmp_path / "pack"), 1, 64, torch.device("cpu"))
    Gallery(folder, model, cache=tmp_path / "cache")
    assert len(asked) >= 5
    assert set(asked) == {(False, False)}
    assert tf32() == (True, True)


def test_mistakes_are_named(model: Path, tmp_path: Path) -> None:
    network = msclnet.load_model(model)
    with pytest.raises(DataError, match=r"none\.png: no such image"):
        msclnet.embed(network, tmp_path / "none.png", "visible")
    with pytest.raises(ValueError, match=r"modality: expected 'visible' \(0\) or 'infrared' \(1\), found 'thermal'"):
        msclnet.embed(network, np.zeros((1, 48, 24, 3), np.uint8), "thermal")
    with pytest.raises(ValueError, match="feature: expected 'bn' or 'pooled', found 'neck'"):
        msclnet.embed(network, [], "visible", "neck")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"images: expected files, or uint8 \[N, H, W, 3\], found float32 \[1, 3, 48"):
        msclnet.embed(network, np.zeros((1, 3, 48, 24), np.float32), "visible")
    network.image_size = None
    with pytest.raises(DataError, match=r"at which size it was trained.*set network\.image_size"):
        msclnet.embed(network, tmp_path / "none.png", "visible")


@pytest.mark.parametrize("size", [(48, 24), (72, 36), (24, 48)])
def test_a_pack_of_another_size_is_refused(folder: Path, model: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    write_pack(RegDB().survey(folder, (1,), real=False).require(), folder, tmp_path / "pack", *size, 1)
    network, pack, device = msclnet.load_model(model), Pack.open(tmp_path / "pack"), torch.device("cpu")
    if size == (48, 24):
        assert extract(network, pack, 1, 8, device).bn.shape == (12, 128)
        assert activation_maps("mine", network, pack, 1, 1, 0)
        return
    said = rf"{tmp_path}/pack: images of {size[0]} x {size[1]} pixels, and the model.* is of 48 x 24; pack the set at"
    with pytest.raises(DataError, match=said):
        extract(network, pack, 1, 8, device)
    with pytest.raises(DataError, match=said):
        activation_maps("mine", network, pack, 1, 1, 0)
    network.image_size = None  # a file that does not say it
    assert extract(network, pack, 1, 8, device).bn.shape == (12, 128)
