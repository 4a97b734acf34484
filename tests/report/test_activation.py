"""Class-activation maps: Grad-CAM's definition, on both modalities."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from msclnet import config as settings
from msclnet.core.types import Modality
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.regdb import RegDB
from msclnet.model.architecture import Architecture
from msclnet.model.gem import gem
from msclnet.model.msclnet import MSCLNet
from msclnet.report.explain.activation import activation_map, activation_maps
from tests.datasets import trees


@pytest.fixture(scope="module")
def network(default: settings.Config) -> MSCLNet:
    torch.manual_seed(0)
    job = settings.train_job(default, "regdb", "msclnet", 1)
    return MSCLNet(5, Architecture.of(job.model, job.method), ()).eval()


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder = tmp_path_factory.mktemp("activation")
    root = trees.regdb(folder / "regdb")
    write_pack(RegDB().survey(root, (1,), real=False).require(), root, folder / "pack", 48, 24, workers=1)
    return Pack.open(folder / "pack")


def test_a_map_is_its_definition(network: MSCLNet) -> None:
    """The gradient's mean over a channel by finite differences: the whole channel raised a little."""
    network = copy.deepcopy(network).double()
    images = torch.rand(1, 3, 48, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        target = network.embed(images, Modality.VISIBLE).bn
        found = activation_map(network, images, Modality.INFRARED, target)
        maps = network.backbone.shared(network.backbone.stem(images, Modality.INFRARED))  # [1, C, 6, 3]
        raised = maps + 1e-6 * torch.eye(maps.shape[1], dtype=torch.float64)[:, :, None, None]  # a channel a row
        logits = network.bottleneck(gem(torch.cat([maps, raised]), network.gem_p)) @ target[0]
        weights = (logits[1:] - logits[0]) / 1e-6 / 18
        raw = (weights[:, None, None] * maps[0]).sum(0).clamp(min=0)
    np.testing.assert_allclose(found[0], (raw / raw.max()).numpy(), atol=1e-4)
    assert found.shape == (1, 6, 3)
    assert 0 <= found.min() < found.max() == 1


def test_each_identity_has_a_map_of_both_modalities(network: MSCLNet, pack: Pack) -> None:
    cells = activation_maps("msclnet", network, pack, 1, 2, seed=0)
    maps = {(cell.identity, cell.modality) for cell in cells}
    assert len(maps) == 4
    assert len(cells) == 4 * 6 * 3
    assert all(0 <= cell.activation <= 1 for cell in cells)
    for modality in Modality:
        rows = pack.rows(1, "test", modality)
        tested = dict(zip(np.array(pack.paths[modality])[rows], pack.identities[modality][rows], strict=True))
        for cell in cells:
            if cell.modality == modality.name.lower():
                assert tested[cell.path] == cell.identity
    assert len({(cell.identity, cell.similarity) for cell in cells}) == 2
    assert activation_maps("msclnet", network, pack, 1, 2, seed=0) == cells
