"""From a trained model to the features of a split's test images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from msclnet import checkpoint
from msclnet.config import TrainJob, build
from msclnet.data.augment import normalise
from msclnet.data.pack import Pack
from msclnet.model.msclnet import MSCLNet
from msclnet.types import DataError, Features, Modality


def load_model(path: Path) -> tuple[MSCLNet, TrainJob]:
    """The network in a ``model.pt``, in evaluation mode, and the training it came from."""
    state = checkpoint.load(path)
    if not {"job", "identities", "network"} <= state.keys():
        raise DataError(
            f"{path}: holds {', '.join(map(str, state))}; expected a model.pt written by msclnet's training"
        )
    job = build(TrainJob, state["job"])
    unfetched = dataclasses.replace(job.model, weights="none")  # the file's own take their place
    network = MSCLNet(state["identities"], unfetched, job.method, job.objective)
    network.load_state_dict(state["network"])
    return network.eval(), job


@torch.inference_mode()
def extract(network: MSCLNet, pack: Pack, split: int, batch: int, device: torch.device) -> Features:
    """Each test image of ``split`` embedded once, visible images first, each modality in its index's order.

    The stream is chosen by the image's own modality. ``batch`` images are embedded at once.
    """
    network = network.to(device).eval()
    rows = {m: pack.rows(split, "test", m) for m in Modality}
    bn: list[np.ndarray] = []
    pooled: list[np.ndarray] = []
    for modality in Modality:
        for start in range(0, len(rows[modality]), batch):
            images = torch.from_numpy(pack.images[modality][rows[modality][start : start + batch]])
            features = network.embed(normalise(images.to(device)), modality)
            for parts, feature in zip((bn, pooled), features, strict=True):
                parts.append(feature.float().cpu().numpy())
    return Features(
        bn=np.concatenate(bn),
        pooled=np.concatenate(pooled),
        identities=np.concatenate([pack.identities[m][rows[m]] for m in Modality]),
        cameras=np.concatenate([pack.cameras[m][rows[m]] for m in Modality]),
        modality=np.concatenate([np.full(len(rows[m]), int(m)) for m in Modality]),
        paths=np.array([pack.paths[m][row] for m in Modality for row in rows[m]]),
    )
