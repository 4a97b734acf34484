"""Where the network looks: class-activation maps by gradient (Selvaraju et al., ICCV 2017), on both modalities."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.data.augmentation import normalise
from msclnet.data.pack import Pack
from msclnet.model.gem import gem
from msclnet.model.msclnet import MSCLNet
from msclnet.report.figures.tables import ActivationCell


def activation_maps(
    method: str, network: MSCLNet, pack: Pack, split: int, identities: int, seed: int
) -> list[ActivationCell]:
    """The maps of a visible and an infrared image of each of ``identities`` test identities, drawn by ``seed``.

    Test identities have no classifier: what is explained is each image's likeness to the other one. Raises DataError
    when no test identity has both modalities, or the images are of another size than the network was trained at.
    """
    pack.require_size(network.image_size, f"the model of {method}")
    network = network.eval()
    cells = []
    for identity, rows in _pairs(pack, split, identities, seed):
        images = {m: normalise(torch.from_numpy(pack.images[m][[row]])) for m, row in rows.items()}
        with torch.no_grad():
            features = {m: network.embed(images[m], m).bn for m in Modality}
        similarity = float((features[Modality.VISIBLE] * features[Modality.INFRARED]).sum())
        for modality, other in zip(Modality, reversed(Modality), strict=True):
            grid = activation_map(network, images[modality], modality, features[other])[0]
            about = (method, identity, modality.name.lower(), pack.paths[modality][rows[modality]], similarity)
            cells += [
                ActivationCell(*about, row, column, float(value)) for (row, column), value in np.ndenumerate(grid)
            ]
    return cells


def activation_map(network: MSCLNet, images: Tensor, modality: Modality, target: Tensor) -> np.ndarray:
    """``[B, 3, H, W]`` and the unit features ``[B, C]`` of others to be similar to -> maps ``[B, h, w]`` in [0, 1].

    Grad-CAM, relu(sum over channels of mean(ds/dA) A), of the last feature map A and the logit s = <f, target>, f being
    the ``bn`` feature before it is normalised: of the cosine itself, which no scale of f changes, the gradients cancel.
    Divided by its largest value; a map without a positive one is 0.
    """
    with torch.enable_grad():
        maps = network.backbone.shared(network.backbone.stem(images, modality))  # [B, C, h, w]
        logit = (network.bottleneck(gem(maps, network.gem_p)) * target).sum()
        (gradient,) = torch.autograd.grad(logit, maps)
    weights = gradient.mean((2, 3), keepdim=True)  # [B, C, 1, 1]
    raw = F.relu((weights * maps).sum(1)).detach()  # [B, h, w]
    return (raw / raw.amax((1, 2), keepdim=True).clamp(min=torch.finfo(raw.dtype).tiny)).numpy()


def _pairs(pack: Pack, split: int, identities: int, seed: int) -> list[tuple[int, dict[Modality, int]]]:
    """A visible and an infrared test row of each identity drawn."""
    rng = np.random.default_rng(seed)
    rows = {m: pack.rows(split, "test", m) for m in Modality}
    people = {m: pack.identities[m][rows[m]] for m in Modality}
    both = np.intersect1d(people[Modality.VISIBLE], people[Modality.INFRARED])
    if not len(both):
        raise DataError(f"{pack.folder}: no test identity of split {split} has both modalities; pack the set again")
    chosen = np.sort(rng.choice(both, min(identities, len(both)), replace=False))
    return [(int(one), {m: int(rng.choice(rows[m][people[m] == one])) for m in Modality}) for one in chosen]
