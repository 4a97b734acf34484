"""What each term of the objective does to the tested features: its size, its pull, and whom it pulls against."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from msclnet.config import TrainJob
from msclnet.data.loader import TrainingImages
from msclnet.losses import objective
from msclnet.losses.table import BASELINE
from msclnet.model.msclnet import MSCLNet
from msclnet.training.pull import gradient_of


class Pull(NamedTuple):
    """A term, averaged over some batches; gradients are those of theta, the two-stream backbone."""

    term: str
    value: float  # unweighted
    weight: float
    norm: float  # of the weighted term's gradient
    share: float  # of it in the sum of all terms' norms
    cosine: float  # with the gradient of the baseline's terms together; NaN where the method has none


class Geometry(NamedTuple):
    """Mean over some batches of how far the features, before and after the BN neck, spread."""

    feature: str
    norm: float  # length of a feature
    cosine: float  # between features of different identities
    modality_gap: float  # squared distance of an identity's visible and infrared centres, of unit features


def diagnose(
    network: MSCLNet, images: TrainingImages, job: TrainJob, batches: int
) -> tuple[list[Pull], list[Geometry]]:
    """Looks at ``network`` on the first ``batches`` batches of its training; nothing in it is changed.

    Batch normalisation works as in training. Single process, on the CPU.
    """
    weights = job.method.losses
    theta = [p for p in network.backbone.parameters() if p.requires_grad]
    values: dict[str, list[float]] = {}
    norms: dict[str, list[float]] = {}
    cosines: dict[str, list[float]] = {}
    geometry: dict[str, list[tuple[float, float, float]]] = {}
    state = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    for batch in islice(images.epoch(1, torch.device("cpu")), batches):
        outputs = network(batch)
        terms = objective.terms(outputs, weights, job.objective)
        gradients = {name: gradient_of(weights[name] * value, theta) for name, value in terms.items()}
        found = [gradient for name, gradient in gradients.items() if name in BASELINE]
        baseline = torch.stack(found).sum(0) if found else torch.tensor(torch.nan)
        for name, gradient in gradients.items():
            values.setdefault(name, []).append(float(terms[name].detach()))
            norms.setdefault(name, []).append(float(gradient.norm()))
            cosines.setdefault(name, []).append(float(torch.cosine_similarity(gradient, baseline, dim=0)))
        for name, pair in {
            "pooled": (outputs.visible, outputs.infrared),
            "bn": (outputs.visible_neck, outputs.infrared_neck),
        }.items():
            geometry.setdefault(name, []).append(_geometry(*pair, outputs.labels))
    network.load_state_dict(state)
    whole = sum(_mean(n) for n in norms.values())
    pulls = [
        Pull(n, _mean(values[n]), weights[n], _mean(norms[n]), _mean(norms[n]) / whole, _mean(cosines[n]))
        for n in values
    ]
    return pulls, [Geometry(n, *map(_mean, zip(*rows, strict=True))) for n, rows in geometry.items()]


def _geometry(visible: Tensor, infrared: Tensor, labels: Tensor) -> tuple[float, float, float]:
    visible, infrared = visible.detach(), infrared.detach()
    length = torch.cat((visible, infrared)).norm(dim=1).mean()
    v, r = torch.nn.functional.normalize(visible), torch.nn.functional.normalize(infrared)
    different = labels[:, None] != labels[None, :]
    similarity = (v @ r.T)[different].mean()
    people = labels.unique()
    gaps = torch.stack([(v[labels == y].mean(0) - r[labels == y].mean(0)).square().sum() for y in people])
    return float(length), float(similarity), float(gaps.mean())


def _mean(values: list[float] | tuple[float, ...]) -> float:
    return sum(values) / len(values)
