"""The diagnosis says what the gradients are, and leaves the network as it was."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import pytest
import torch

from msclnet.config import Config, replace, train_job
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.losses import objective
from msclnet.training.diagnosis import diagnose
from msclnet.training.learner import build_network
from msclnet.training.trainer import recipe
from tests.training.test_trainer import pack as pack  # the fixture


def test_a_diagnosis_by_one_literal_batch(default: Config, pack: Path) -> None:
    job = train_job(default, "sysu", "msclnet", 1)
    job = replace(
        job,
        train=replace(job.train, identities=4, images=2, padding=2),
        model=replace(job.model, hidden=8, rank=4),
    )
    images = TrainingImages(Pack.open(pack), recipe(job))
    network = build_network(job, len(images.identities))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pulls, geometry = diagnose(network, images, job, batches=1)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert sum(pull.share for pull in pulls) == pytest.approx(1)

    batch = next(images.epoch(1, torch.device("cpu")))
    terms = objective.terms(network.train()(batch), job.method.losses, job.objective)
    (1.25 * terms["t"]).backward()
    squares = [p.grad.square().sum() for p in network.backbone.parameters() if p.grad is not None]
    t = next(pull for pull in pulls if pull.term == "t")
    assert t.norm == pytest.approx(float(torch.stack(squares).sum().sqrt()), rel=1e-4)
    assert (t.value, t.weight) == (pytest.approx(float(terms["t"].detach()), rel=1e-5), 1.25)
    assert [line.feature for line in geometry] == ["pooled", "bn"]
    assert -1 <= geometry[1].cosine < geometry[0].cosine <= 1, "before the neck features fill a narrow cone"


@pytest.mark.parametrize(
    ("losses", "baseline"),
    [
        ({"identity": 1.0, "squared_difference": 2.0, "t": 1.25}, ("identity", "squared_difference")),
        ({"squared_difference": 1.0}, ("squared_difference",)),
        ({"t": 1.25}, ()),
    ],
)
def test_cosines_are_with_the_terms_that_a_baseline_has(
    default: Config, pack: Path, losses: dict[str, float], baseline: tuple[str, ...]
) -> None:
    job = train_job(default, "sysu", "msclnet", 1)
    job = replace(
        job,
        train=replace(job.train, identities=4, images=2, padding=2),
        method=replace(job.method, losses=losses),
    )
    images = TrainingImages(Pack.open(pack), recipe(job))
    network = build_network(job, len(images.identities))
    pulls, geometry = diagnose(network, images, job, batches=1)

    outputs = network.train()(next(images.epoch(1, torch.device("cpu"))))
    terms = objective.terms(outputs, losses, job.objective)
    theta = list(network.backbone.parameters())

    def gradient(names: tuple[str, ...]) -> torch.Tensor:
        weighted = sum(losses[name] * terms[name] for name in names)
        found = torch.autograd.grad(weighted, theta, retain_graph=True, allow_unused=True)
        return torch.cat(
            [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(found, theta, strict=True)]
        )

    for pull in pulls:
        if baseline:
            cosine = torch.cosine_similarity(gradient((pull.term,)), gradient(baseline), dim=0)
            assert pull.cosine == pytest.approx(float(cosine), abs=1e-4)
        else:
            assert isnan(pull.cosine)
    for line, v, r in (
        (geometry[0], outputs.visible, outputs.infrared),
        (geometry[1], outputs.visible_neck, outputs.infrared_neck),
    ):
        gaps = []
        for label in set(outputs.labels.tolist()):
            rows = [row for row, other in enumerate(outputs.labels.tolist()) if other == label]
            centres = [sum(x[row] / x[row].norm() for row in rows).detach() / len(rows) for x in (v, r)]
            gaps.append(float((centres[0] - centres[1]).square().sum()))
        assert line.modality_gap == pytest.approx(sum(gaps) / len(gaps), rel=1e-4)
