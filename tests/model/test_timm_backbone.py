"""Backbones of timm's: divided after the stem whatever the architecture, and refused where they cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from msclnet.config import Config, replace, train_job
from msclnet.core.errors import ConfigError, UserError
from msclnet.core.types import Batch, Modality
from msclnet.losses import objective
from msclnet.model.backbone import build_backbone
from msclnet.model.files import load_model, save_model
from msclnet.model.timm_backbone import TimmBackbone
from msclnet.training.learner import build_network

timm = pytest.importorskip("timm")
SMALL = {  # of each kind: channels, and the map of an image of 96 x 48
    "resnet18": (512, (6, 3)),
    "convnext_atto": (320, (6, 3)),
    "vit_tiny_patch16_224": (192, (6, 3)),
    "vit_small_patch14_dinov2": (384, (7, 4)),  # 14 does not divide 96: padded
}


@pytest.mark.parametrize("name", SMALL)
def test_a_backbone_is_the_model_with_a_stem_for_each_modality(name: str) -> None:
    channels, size = SMALL[name]
    torch.manual_seed(0)
    backbone = build_backbone(f"timm:{name}", "none", "none").eval()
    images = torch.rand(2, 3, 96, 48)
    with torch.no_grad():
        visible, infrared = (backbone.shared(backbone.stem(images, modality)) for modality in Modality)
    assert backbone.channels == channels
    assert visible.shape == (2, channels, *size)
    assert torch.equal(visible, infrared), "both stems begin as the model's"
    stems = [list(stem.parameters()) for stem in (backbone.visible_stem, backbone.infrared_stem)]
    assert stems[0], "the first layers are in the stem"
    assert all(torch.equal(a, b) and a is not b for a, b in zip(*stems, strict=True))
    with torch.no_grad():
        stems[1][0].mul_(2)
        assert torch.equal(backbone.shared(backbone.stem(images, Modality.VISIBLE)), visible)
        assert not torch.equal(backbone.shared(backbone.stem(images, Modality.INFRARED)), visible)


def test_a_transformers_map_is_its_tokens_in_their_places_without_the_class_token() -> None:
    """As timm computes them, at the size it was built for: nothing is interpolated there."""
    torch.manual_seed(0)
    backbone = TimmBackbone("timm:vit_tiny_patch16_224", "none").eval()
    torch.manual_seed(0)
    whole = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        maps = backbone.shared(backbone.stem(images, Modality.VISIBLE))
        tokens = whole.forward_features(images)
    assert tokens.shape == (1, 1 + 14 * 14, 192)
    torch.testing.assert_close(maps[0, :, 3, 5], tokens[0, 1 + 3 * 14 + 5], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["agw", "msclnet"])
@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224"])
def test_every_parameter_takes_part_in_a_step(default: Config, name: str, method: str, tmp_path: Path) -> None:
    """As DDP wants it; and the model is saved and loaded as every other."""
    job = train_job(default, "regdb", method, 1)
    model = replace(job.model, backbone=f"timm:{name}", parts_by="masks")
    job = replace(job, model=model, method=replace(job.method, nonlocal_="none"))
    network = build_network(job, 4)
    images, labels = torch.randn(2, 8, 3, 96, 48), torch.arange(4).repeat_interleave(2)
    batch = Batch(images[0], images[1], labels, torch.ones(8, dtype=torch.long), torch.full((8,), 2))
    terms = objective.terms(network(batch), job.method.losses, job.objective)
    total = objective.total(terms, job.method.losses)
    total.backward()
    assert total.isfinite()
    assert [key for key, p in network.named_parameters() if p.requires_grad and p.grad is None] == []

    save_model(tmp_path / "model.pt", network, {"height": 96, "width": 48})
    expected = network.eval().embed(images[0], "infrared").bn
    assert torch.equal(load_model(tmp_path / "model.pt").embed(images[0], "infrared").bn, expected)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("swin_tiny_patch4_window7_224", "its first layers cannot stand once a modality"),
        ("densenet121", "no layer would be left to share"),
        ("resnet19", r"has no model 'resnet19'; did you mean .*'resnet1"),
    ],
)
def test_what_cannot_be_divided_is_refused_by_name(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.backbone: timm.*{problem}"):
        TimmBackbone(f"timm:{name}", "none")


def test_non_local_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match="timm:resnet18 has no place for non-local blocks; set the method's nonlocal"):
        build_backbone("timm:resnet18", "none", "one")


@pytest.mark.parametrize("weights", ["imagenet", "vit.pth"])
def test_weights_of_images_of_another_mean_are_refused(weights: str) -> None:
    """Before anything is fetched or read: most ViTs of timm's saw images of mean 0.5."""
    with pytest.raises(ConfigError, match=r"were trained on images of mean \(0\.5, .*such as timm:"):
        TimmBackbone("timm:vit_tiny_patch16_224", weights)


def test_weights_come_from_a_file_of_timms_with_or_without_a_classifier(tmp_path: Path) -> None:
    source = timm.create_model("convnext_atto", num_classes=10)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    backbone = TimmBackbone("timm:convnext_atto", str(tmp_path / "w.pth"))
    assert torch.equal(backbone.infrared_stem.stem[0].weight, source.stem[0].weight)
    assert torch.equal(backbone.trunk.stages[3].blocks[1].mlp.fc1.weight, source.stages[3].blocks[1].mlp.fc1.weight)
    torch.save({"stem.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"other\.pth: lacks .*expected the weights of timm:convnext_atto"):
        TimmBackbone("timm:convnext_atto", str(tmp_path / "other.pth"))


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"timm is not installed; this needs the extra 'timm': pip install"):
        TimmBackbone("timm:resnet18", "none")
