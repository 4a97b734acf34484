"""From a trained model to the features of a split's test images."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize

from msclnet.data.augment import normalise
from msclnet.data.pack import Pack
from msclnet.model.msclnet import MSCLNet
from msclnet.types import Features, Modality


@torch.inference_mode()
def extract(network: MSCLNet, pack: Pack, split: int, batch: int, device: torch.device, flip: bool = False) -> Features:
    """Each test image of ``split`` embedded once, visible images first, each modality in its index's order.

    The stream is chosen by the image's own modality. ``batch`` images are embedded at once. ``flip`` averages the
    features of an image and of its mirror image, and scales them to unit length again.
    """
    network = network.to(device).eval()
    rows = {m: pack.rows(split, "test", m) for m in Modality}
    bn: list[np.ndarray] = []
    pooled: list[np.ndarray] = []
    for modality in Modality:
        for start in range(0, len(rows[modality]), batch):
            images = torch.from_numpy(pack.images[modality][rows[modality][start : start + batch]])
            pixels = normalise(images.to(device))
            features = tuple(network.embed(pixels, modality))
            if flip:
                mirrored = network.embed(pixels.flip(-1), modality)
                features = tuple(normalize(a + b) for a, b in zip(features, mirrored, strict=True))
            for parts, feature in zip((bn, pooled), features, strict=True):
                parts.append(feature.float().cpu().numpy())
    return Features(
        bn=np.concatenate(bn),
        pooled=np.concatenate(pooled),
        identities=np.concatenate([pack.identities[m][rows[m]] for m in Modality]),
        cameras=np.concatenate([pack.cameras[m][rows[m]] for m in Modality]),
        modality=np.concatenate([np.full(len(rows[m]), int(m)) for m in Modality]),
        paths=np.array([pack.paths[m][row] for m in Modality for row in rows[m]]),
        flip=flip,
    )
