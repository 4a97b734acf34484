"""From a trained model to features: of any images, or of a split's test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import normalize

from msclnet.core.errors import DataError
from msclnet.core.precision import full_precision
from msclnet.core.types import Features, Images, Modality
from msclnet.data.augmentation import normalise
from msclnet.data.depth import DeepRange
from msclnet.data.images import decode
from msclnet.data.pack import Pack
from msclnet.model.msclnet import MSCLNet

Feature = Literal["bn", "pooled"]


def embed(
    network: MSCLNet,
    images: str | Path | Sequence[str | Path] | np.ndarray,
    modality: Modality | str,
    feature: Feature = "bn",
    batch: int = 64,
    deep_range: DeepRange | None = None,
) -> np.ndarray:
    """Images of one modality as features, to be compared by their products.

    The modality chooses the stream, so features of both can be compared. Images are embedded on the network's device.
    The network is put into evaluation mode.

    Args:
        network: what ``load_model`` gives.
        images: files, or pixels. Files are read upright, as RGB, and resized to the size the network was trained at.
            Pixels, uint8 ``[N, H, W, 3]`` RGB, are taken as they are.
        modality: ``"visible"`` or ``"infrared"``, of all images.
        feature: ``bn``, the headline, or ``pooled``.
        batch: so many images are embedded at once.
        deep_range: what becomes black and what white in grey files of more than 8 bits. By default they are refused.

    Returns:
        Float32 ``[N, C]``, rows of unit length.

    Raises:
        DataError: a file cannot be read, and the message names it; or the network does not say its image size.
        ValueError: another modality, feature or array.
    """
    if feature not in ("bn", "pooled"):
        raise ValueError(f"feature: expected 'bn' or 'pooled', found {feature!r}")
    if isinstance(images, str | Path):
        images = [images]
    if isinstance(images, np.ndarray) and (images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3):
        raise ValueError(f"images: expected files, or uint8 [N, H, W, 3], found {images.dtype} {list(images.shape)}")
    parts = [np.empty((0, network.backbone.channels), np.float32)]
    for start in range(0, len(images), batch):
        some = images[start : start + batch]
        if not isinstance(some, np.ndarray):
            size = image_size(network)
            some = np.stack([decode(Path(path), *size, deep_range) for path in some])
        bn, pooled = embed_pixels(network, some, Modality.of(modality))
        parts.append(bn if feature == "bn" else pooled)
    return np.concatenate(parts)


@torch.inference_mode()
@full_precision()
def embed_pixels(
    network: MSCLNet, images: np.ndarray, modality: Modality, flip: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """uint8 ``[N, H, W, 3]`` -> the ``bn`` and ``pooled`` features, float32 ``[N, C]``, all at once, without TF32.

    ``flip`` averages the features of an image and of its mirror image, and scales them to unit length again.
    """
    pixels = normalise(torch.from_numpy(images).to(next(network.parameters()).device))
    bn, pooled = network.eval().embed(pixels, modality)
    if flip:
        mirrored = network.embed(pixels.flip(-1), modality)
        bn, pooled = normalize(bn + mirrored.bn), normalize(pooled + mirrored.pooled)
    return bn.float().cpu().numpy(), pooled.float().cpu().numpy()


def image_size(network: MSCLNet) -> tuple[int, int]:
    """Height and width of the images the network was trained on; DataError where its file does not say."""
    if network.image_size is None:
        raise DataError(
            "the network does not say at which size it was trained; expected a model.pt of a training or an import: "
            "set network.image_size = (height, width)"
        )
    return network.image_size


def extract(network: MSCLNet, pack: Pack, split: int, batch: int, device: torch.device, flip: bool = False) -> Features:
    """Each test image of ``split`` embedded once, visible images first, each modality in its index's order.

    The stream is chosen by the image's own modality. ``batch`` images are embedded at once. ``flip`` as in
    ``embed_pixels``. Raises DataError for images of another size than the network was trained at.
    """
    pack.require_size(network.image_size, "the model")
    network = network.to(device)
    rows = {m: pack.rows(split, "test", m) for m in Modality}
    embedded = [
        embed_pixels(network, pack.images[modality][rows[modality][start : start + batch]], modality, flip)
        for modality in Modality
        for start in range(0, len(rows[modality]), batch)
    ]
    return Features(
        bn=np.concatenate([bn for bn, _ in embedded]),
        pooled=np.concatenate([pooled for _, pooled in embedded]),
        **vars(known(pack, rows)),
        flip=flip,
    )


def known(pack: Pack, rows: Mapping[Modality, np.ndarray]) -> Images:
    """What a pack knows of some rows, int64 ``[n]`` of each modality: visible first, each in the rows' order."""
    return Images(
        identities=np.concatenate([pack.identities[m][rows[m]] for m in Modality]),
        cameras=np.concatenate([pack.cameras[m][rows[m]] for m in Modality]),
        modality=np.concatenate([np.full(len(rows[m]), int(m)) for m in Modality]),
        paths=np.array([pack.paths[m][row] for m in Modality for row in rows[m]]),
    )
