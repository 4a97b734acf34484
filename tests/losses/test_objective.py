"""Eq. 17 on the real network: which terms, which parameters learn, and what the order of the batch may not change."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from msclnet.config import Config, Losses, plain, train_job
from msclnet.core.types import Batch
from msclnet.losses import objective
from msclnet.training.trainer import build_network

OFF = Losses(*[0.0] * len(dataclasses.fields(Losses)))
BASE = dataclasses.replace(OFF, identity=1.0, wrt=1.0)
MS, MC, CA = {"div": 0.5, "t": 1.25}, {"local": 0.8, "global_": 1.5}, {"sub": 1.0, "intra": 1.0, "inter": 1.0}
TABLE_1 = [
    {}, *({name: weight} for part in (MS, MC, CA) for name, weight in part.items()),
    MS, MC, CA, MS | MC, MS | CA, MC | CA, MS | MC | CA,
]  # fmt: skip


def batch(dtype: torch.dtype = torch.float32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 8, 3, 48, 24, generator=generator, dtype=dtype)
    labels = torch.arange(4).repeat_interleave(2)
    cameras = torch.tensor([1, 2, 1, 1, 4, 5, 2, 2])
    return Batch(images[0], images[1], labels, cameras, torch.tensor([3, 6, 3, 3, 6, 6, 3, 6]))


def network_of(default: Config, losses: Losses, **readings: object):
    job = train_job(default, "sysu", "msclnet", 1)
    model = dataclasses.replace(job.model, parts=3, hidden=8, rank=4)
    reading = dataclasses.replace(job.objective, **readings)
    job = dataclasses.replace(
        job, model=model, objective=reading, method=dataclasses.replace(job.method, losses=losses)
    )
    return build_network(job, 4), reading


@pytest.mark.parametrize("row", TABLE_1, ids=lambda row: "+".join(row) or "B")
def test_every_parameter_takes_part_in_every_row_of_table_1(default: Config, row: dict[str, float]) -> None:
    """So DDP runs without find_unused_parameters."""
    losses = dataclasses.replace(BASE, **row)
    network, reading = network_of(default, losses)
    terms = objective.terms(network(batch()), losses, reading)
    assert set(terms) == {"identity", "wrt", *(name.rstrip("_") for name in row)}
    objective.total(terms, losses).backward()
    without = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


def test_the_total_is_the_weighted_sum(default: Config) -> None:
    losses = dataclasses.replace(BASE, **(MS | MC | CA))
    network, reading = network_of(default, losses)
    terms = objective.terms(network(batch()), losses, reading)
    expected = sum(plain(losses)[name] * float(value.detach()) for name, value in terms.items())
    assert float(objective.total(terms, losses).detach()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("term", ["local", "global_", "sub"])
def test_both_stems_learn_through_the_synergistic_feature(default: Config, term: str) -> None:
    """MC changes a test feature only because f^s depends on theta_v and theta_r through f hat."""
    losses = dataclasses.replace(OFF, **{term: 1.0})
    network, reading = network_of(default, losses, cascade_on=("synergy",))
    objective.total(objective.terms(network(batch()), losses, reading), losses).backward()
    for stem in (network.backbone.visible_stem, network.backbone.infrared_stem):
        assert stem[0].weight.grad is not None
        assert stem[0].weight.grad.abs().max() > 0


def test_the_teachers_own_path_carries_nothing(default: Config) -> None:
    losses = dataclasses.replace(OFF, **MC)
    network, reading = network_of(default, losses)
    outputs = network(batch())
    for teacher in (outputs.visible_blocks, outputs.infrared, outputs.visible):
        teacher.retain_grad()
    objective.total(objective.terms(outputs, losses, reading), losses).backward()
    assert outputs.visible_blocks.grad is None
    assert outputs.infrared.grad is None
    assert outputs.visible.grad is None


@pytest.mark.parametrize("space", ["neck", "normalised", "raw"])
def test_the_order_of_the_pairs_does_not_matter(default: Config, space: str) -> None:
    losses = dataclasses.replace(BASE, triplet=1.0, **(MS | MC | CA))
    network, reading = network_of(default, losses, centre_space=space)
    outputs = network.double()(batch(torch.float64))
    whole = objective.terms(outputs, losses, reading)
    for seed in range(5):
        order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
        shuffled = dataclasses.replace(outputs, **{n: v[order] for n, v in vars(outputs).items() if v is not None})
        for name, value in objective.terms(shuffled, losses, reading).items():
            torch.testing.assert_close(value, whole[name], rtol=1e-9, atol=1e-12)


def test_half_precision_ends_at_the_losses(default: Config) -> None:
    losses = dataclasses.replace(BASE, **(MS | MC | CA))
    network, reading = network_of(default, losses)
    outputs = network(batch())
    half = {n: v.bfloat16() for n, v in vars(outputs).items() if v is not None and v.is_floating_point()}
    terms = objective.terms(dataclasses.replace(outputs, **half), losses, reading)
    assert {value.dtype for value in terms.values()} == {torch.float32}


def test_a_network_built_without_a_terms_modules_is_named(default: Config) -> None:
    network, reading = network_of(default, BASE)
    with pytest.raises(ValueError, match="their configurations differ"):
        objective.terms(network(batch()), dataclasses.replace(BASE, t=1.0), reading)
