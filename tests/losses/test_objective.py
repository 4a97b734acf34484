"""Eq. 17 on the real network: which terms, which parameters learn, and what the order of the batch may not change."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from msclnet.config import Config, replace, train_job
from msclnet.core.types import Batch, Outputs
from msclnet.losses import baseline, complement, inputs, objective, synergy
from msclnet.losses.readings import Readings
from msclnet.losses.table import MEASURES, TERMS
from msclnet.training.learner import build_network
from tests.losses.cascaded import ca

BASE = {"identity": 1.0, "wrt": 1.0}
MS, MC, CA = {"div": 0.5, "t": 1.25}, {"local": 0.8, "global": 1.5}, {"sub": 1.0, "intra": 1.0, "inter": 1.0}
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


def network_of(default: Config, losses: dict[str, float], **readings: object):
    job = train_job(default, "sysu", "msclnet", 1)
    model = replace(job.model, parts=3, hidden=8, rank=4)
    reading = replace(job.objective, **readings)
    job = replace(job, model=model, objective=reading, method=replace(job.method, losses=losses))
    return build_network(job, 4), reading


@pytest.mark.parametrize("row", TABLE_1, ids=lambda row: "+".join(row) or "B")
def test_every_parameter_takes_part_in_every_row_of_table_1(default: Config, row: dict[str, float]) -> None:
    """So DDP need look for none that takes no part in a step."""
    losses = BASE | row
    network, reading = network_of(default, losses)
    terms = objective.terms(network(batch()), losses, reading)
    assert set(terms) == {"identity", "wrt", *row}
    assert list(terms) == [name for name in TERMS.names() if name in terms]
    objective.total(terms, losses).backward()
    without = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


@pytest.mark.parametrize("more", [{}, MS | MC | CA], ids=["agw_ca", "msclnet_ca"])
def test_a_second_stream_is_read_by_the_baselines_terms_and_no_other(default: Config, more: dict[str, float]) -> None:
    """Identity and squared difference are of all three streams; the pairs of MS, MC and CA are the first two."""
    losses = {"identity": 1.0, "squared_difference": 1.0} | more
    network, reading = network_of(default, losses)
    first = batch()
    second = torch.randn(8, 3, 48, 24, generator=torch.Generator().manual_seed(1))
    outputs = network(dataclasses.replace(first, second=second))
    terms = objective.terms(outputs, losses, reading)
    logits = torch.cat([outputs.visible_logits, outputs.infrared_logits, outputs.second_logits])
    features, labels = torch.cat([outputs.visible, outputs.infrared, outputs.second]), first.labels.repeat(3)
    assert (len(outputs.second), len(logits)) == (8, 24)
    assert torch.equal(terms["identity"], torch.nn.functional.cross_entropy(logits, labels))
    expected = baseline.enhanced_squared_difference(features, labels, reading.wrt_weights)
    assert torch.equal(terms["squared_difference"], expected)
    objective.total(terms, losses).backward()
    assert not [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    alone = objective.terms(dataclasses.replace(outputs, second=None, second_logits=None), losses, reading)
    assert all(torch.equal(terms[name], alone[name]) for name in more)
    assert not torch.equal(terms["identity"], alone["identity"])
    assert {"positive_distance", "negative_distance"} <= set(objective.measures(outputs.detached(), losses, reading))


def test_a_second_stream_changes_no_other_rows_but_by_batch_normalisation(default: Config) -> None:
    losses = BASE | MS | MC | CA
    network, _ = network_of(default, losses)
    network.eval()
    with torch.no_grad():
        alone, joint = network(batch()), network(dataclasses.replace(batch(), second=batch().infrared))
    for name, value in vars(alone).items():
        if value is not None:
            torch.testing.assert_close(getattr(joint, name), value, msg=name)


def test_the_total_is_the_weighted_sum(default: Config) -> None:
    losses = BASE | MS | MC | CA
    network, reading = network_of(default, losses)
    terms = objective.terms(network(batch()), losses, reading)
    expected = sum(losses[name] * float(value.detach()) for name, value in terms.items())
    assert float(objective.total(terms, losses).detach()) == pytest.approx(expected, rel=1e-6)


def written_out(o: Outputs, weights: dict[str, float], r: Readings) -> torch.Tensor:
    """Eq. 17 of all ten terms, without the table: each in its turn, what CA acts on normalised once."""

    def space(pooled: torch.Tensor, neck: torch.Tensor | None) -> torch.Tensor:
        if r.centre_space == "raw":
            return pooled
        return torch.nn.functional.normalize(pooled if r.centre_space == "normalised" else neck)

    def visible() -> torch.Tensor:
        return space(o.visible, o.visible_neck)

    def infrared() -> torch.Tensor:
        return space(o.infrared, o.infrared_neck)

    def synergistic() -> torch.Tensor:
        return space(o.synergy_blocks.mean(1), o.synergy_neck)

    y = torch.cat((o.labels, o.labels))
    pooled = torch.cat((o.visible, o.infrared))
    values = [
        baseline.identity(torch.cat((o.visible_logits, o.infrared_logits)), y),
        baseline.batch_hard_triplet(pooled, y, r.margin),
        baseline.weighted_regularised_triplet(pooled, y, r.wrt_weights),
        baseline.enhanced_squared_difference(pooled, y, r.wrt_weights),
        synergy.divergence(o.visible_normalised_logits, o.infrared_normalised_logits, r.divergence_ceiling),
        synergy.modality_identity(o.visible_normalised_logits, o.infrared_normalised_logits, o.labels),
        complement.local(
            inputs.local_parts(o.visible_blocks, r.local_parts),
            inputs.local_parts(o.synergy_blocks, r.local_parts),
            r.local_form,
        ),
        complement.global_(synergistic(), infrared(), o.labels),
    ]
    features = torch.cat((visible(), infrared(), synergistic()))
    identities = o.labels.repeat(3)
    cameras = torch.cat((o.visible_cameras, o.infrared_cameras, torch.zeros_like(o.visible_cameras)))
    values += [
        ca("sub", features, identities, cameras),
        ca("intra", features, identities, cameras),
        ca("inter", features, identities),
        complement.separation(torch.cat((o.visible_masks, o.infrared_masks)), r.separation_form),
    ]
    return torch.stack([weights[name] * value for name, value in zip(TERMS.names(), values, strict=True)]).sum()


@pytest.mark.parametrize("space", ["neck", "normalised", "raw"])
def test_the_tables_terms_are_eq_17_and_so_are_their_gradients(default: Config, space: str) -> None:
    """The loss to the last bit; gradients but for their order, for what several terms share is made once."""
    losses = BASE | {"triplet": 0.5, "squared_difference": 0.3} | MS | MC | CA | {"separation": 0.5}
    network, reading = network_of(default, losses, centre_space=space)
    outputs = network.double()(batch(torch.float64))
    found = objective.total(objective.terms(outputs, losses, reading), losses)
    expected = written_out(outputs, losses, reading)
    assert torch.equal(found, expected)
    parameters = [p for p in network.parameters() if p.requires_grad]
    ours, theirs = (torch.autograd.grad(total, parameters, retain_graph=True) for total in (found, expected))
    for mine, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-7, atol=1e-10)


def test_the_features_of_ca_by_hand() -> None:
    """f^v and f^s of two pairs: f^s is the mean of its blocks, and its camera is one of its own."""
    visible, blocks = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[[1.0, 0.0], [3.0, 0.0]]] * 2)
    assert inputs.cascade_features("raw", visible, blocks).tolist() == [[3, 4], [0, 2], [2, 0], [2, 0]]
    unit = inputs.cascade_features("normalised", visible, blocks)
    torch.testing.assert_close(unit, torch.tensor([[0.6, 0.8], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]))
    on = ("synergy", "visible")  # in whatever order the configuration names them
    own = inputs.SYNERGY_CAMERA
    assert inputs.cascade_identities(torch.tensor([5, 6]), on).tolist() == [5, 6, 5, 6]
    assert inputs.cascade_cameras(torch.tensor([1, 2]), torch.tensor([3, 6]), on).tolist() == [1, 2, own, own]
    counted_from_0 = inputs.cascade_cameras(torch.tensor([0, -1]), torch.tensor([2, 3]), ("visible", "infrared", *on))
    assert len(set(counted_from_0.tolist())) == 5, "no camera of a set's is that of f^s"
    alone = inputs.cascade_cameras(torch.tensor([1, 2, 2]), torch.tensor([3, 6, 6]), ("synergy",)).tolist()
    assert alone[0] != alone[1] == alone[2], "alone, f^s has the pair of its images' cameras"
    every = inputs.every_camera(torch.tensor([1, 2]), torch.tensor([3, 6]), ("synergy",)).tolist()
    assert (len(every), set(alone) <= set(every)) == (4, True)
    assert inputs.every_camera(torch.tensor([1, 2]), torch.tensor([3, 6]), on).tolist() == [own, 1, 2]
    with pytest.raises(ValueError, match="expected 'neck', 'normalised' or 'raw', found 'sphere'"):
        inputs.centred(visible, "sphere")


def test_ca_on_the_synergistic_feature_alone_has_sub_classes(default: Config) -> None:
    """An identity seen by two pairs of cameras: with one camera for all f^s Eq. 11 would be 0."""
    losses = {"intra": 1.0}
    network, reading = network_of(default, losses, cascade_on=("synergy",))
    assert objective.terms(network(batch()), losses, reading)["intra"].item() > 1e-3


def test_measures_are_those_beside_the_wanted_terms(default: Config) -> None:
    losses = BASE | MS | MC | CA | {"separation": 0.5}
    network, reading = network_of(default, losses)
    outputs = network(batch())
    assert set(objective.measures(outputs, BASE, reading)) == {"positive_distance", "negative_distance"}
    found = objective.measures(outputs, losses, reading)
    assert set(found) == set(MEASURES.names())
    assert not any(value.requires_grad for value in found.values())
    cameras = torch.cat((outputs.visible_cameras, outputs.infrared_cameras, torch.zeros(8)))
    identities = outputs.labels.repeat(3)
    keys = list(zip(identities.tolist(), cameras.tolist(), strict=True))
    assert found["alone"].item() == pytest.approx(sum(keys.count(key) == 1 for key in keys) / 24)


@pytest.mark.parametrize("term", ["local", "global", "sub"])
def test_both_stems_learn_through_the_synergistic_feature(default: Config, term: str) -> None:
    """MC changes a test feature only because f^s depends on theta_v and theta_r through f hat."""
    losses = {term: 1.0}
    network, reading = network_of(default, losses, cascade_on=("synergy",))
    objective.total(objective.terms(network(batch()), losses, reading), losses).backward()
    for stem in (network.backbone.visible_stem, network.backbone.infrared_stem):
        assert stem[0].weight.grad is not None
        assert stem[0].weight.grad.abs().max() > 0


def test_the_teachers_own_path_carries_nothing(default: Config) -> None:
    losses = MC
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
    losses = BASE | {"triplet": 1.0} | MS | MC | CA
    network, reading = network_of(default, losses, centre_space=space)
    outputs = network.double()(batch(torch.float64))
    whole = objective.terms(outputs, losses, reading)
    for seed in range(5):
        order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
        shuffled = dataclasses.replace(outputs, **{n: v[order] for n, v in vars(outputs).items() if v is not None})
        for name, value in objective.terms(shuffled, losses, reading).items():
            torch.testing.assert_close(value, whole[name], rtol=1e-9, atol=1e-12)


def test_half_precision_ends_at_the_losses(default: Config) -> None:
    losses = BASE | MS | MC | CA
    network, reading = network_of(default, losses)
    outputs = network(batch())
    half = {n: v.bfloat16() for n, v in vars(outputs).items() if v is not None and v.is_floating_point()}
    terms = objective.terms(dataclasses.replace(outputs, **half), losses, reading)
    assert {value.dtype for value in terms.values()} == {torch.float32}


def test_a_network_built_without_a_terms_modules_is_named(default: Config) -> None:
    network, reading = network_of(default, BASE)
    with pytest.raises(ValueError, match="their configurations differ"):
        objective.terms(network(batch()), BASE | {"t": 1.0}, reading)
