"""The network's rooms against their definitions, and the paper's configuration stepped once."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

from msclnet.config import Config, replace, train_job
from msclnet.core.errors import ConfigError
from msclnet.core.types import Batch, Modality, Outputs
from msclnet.losses import objective
from msclnet.model.architecture import Architecture
from msclnet.model.backbone import Backbone
from msclnet.model.gem import gem, gem_and_parts
from msclnet.model.instance_norm import ModalityInstanceNorm
from msclnet.model.mogrifier import Cells, Mogrifier, MogrifierCell
from msclnet.model.msclnet import MSCLNet
from msclnet.model.non_local import NonLocal
from msclnet.model.parts import PartMasks, masked_parts, shares
from msclnet.model.synergy import ColumnEncoder, CrossedEncoder
from msclnet.training.learner import build_network

MAPS = torch.rand(2, 5, 6, 4, generator=torch.Generator().manual_seed(0)) + 0.1


def test_gem_is_the_mean_at_one_and_nears_the_maximum() -> None:
    torch.testing.assert_close(gem(MAPS, 1.0), MAPS.mean((2, 3)))
    torch.testing.assert_close(gem(MAPS, 200.0), MAPS.amax((2, 3)), rtol=0.03, atol=0)
    torch.testing.assert_close(gem(MAPS, 3.0), (MAPS**3).mean((2, 3)) ** (1 / 3))


def test_parts_are_stripes_from_top_to_bottom() -> None:
    _, parts = gem_and_parts(MAPS, 3.0, 3)
    assert parts.shape == (2, 3, 5)
    for j in range(3):
        torch.testing.assert_close(parts[:, j], gem(MAPS[:, :, 2 * j : 2 * j + 2], 3.0))
    with pytest.raises(ValueError, match=r"model\.parts: the feature map has 6 rows, which 4 parts do not divide"):
        gem_and_parts(MAPS, 3.0, 4)


def test_the_spatial_mean_after_eq_1_is_the_same_for_every_image_and_gem_is_not() -> None:
    norm = ModalityInstanceNorm(5)
    with torch.no_grad():
        norm.visible.bias.copy_(torch.arange(5.0))
    visible, infrared = norm(MAPS, MAPS)
    torch.testing.assert_close(visible.mean((2, 3)), torch.arange(5.0).expand(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(infrared.std((2, 3), unbiased=False), torch.ones(2, 5), atol=1e-2, rtol=0)
    assert (gem(infrared, 3.0)[0] - gem(infrared, 3.0)[1]).abs().max() > 1e-2


@pytest.mark.parametrize("width", [1, 2])
def test_the_non_local_block_is_its_definition_and_starts_as_the_identity(width: int) -> None:
    block = NonLocal(5, width).eval()
    torch.testing.assert_close(block(MAPS), MAPS)
    nn.init.constant_(block.W[1].weight, 0.7)
    theta, phi, g = (f(MAPS).flatten(2) for f in (block.theta, block.phi, block.g))
    attention = theta.transpose(1, 2) @ phi / 24  # [B, HW, HW], written out
    y = (attention @ g.transpose(1, 2)).transpose(1, 2).reshape(2, width, 6, 4)
    torch.testing.assert_close(block(MAPS), MAPS + block.W(y))


def matrices(mogrifier: Mogrifier) -> list[torch.Tensor]:
    """Each round's, multiplied out."""
    return [functools.reduce(lambda product, factor: factor @ product, mogrifier.factors(q + 1))
            for q in range(len(mogrifier.gates))]  # fmt: skip


def literal_mogrifier(mogrifier: Mogrifier, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As Melis et al. print it, of one cell."""
    for q, matrix in enumerate(matrices(mogrifier), start=1):
        if q % 2:
            x = 2 * torch.sigmoid(h @ matrix.T) * x
        else:
            h = 2 * torch.sigmoid(x @ matrix.T) * h
    return x, h


def literal_columns(encoder: ColumnEncoder, visible: torch.Tensor, infrared: torch.Tensor) -> torch.Tensor:
    """Eq. 2, cell by cell and part by part."""

    def step(column: MogrifierCell, x: torch.Tensor, state: tuple) -> tuple:
        x, h = literal_mogrifier(column.mogrifier, x, state[0])
        return column.cell(x, (h, state[1]))

    state_v = state_r = state_s = (visible.new_zeros(len(visible), encoder.hidden),) * 2
    blocks = []
    for x_v, x_r in zip(visible.unbind(1), infrared.unbind(1), strict=True):
        state_v, state_r = step(encoder.visible, x_v, state_v), step(encoder.infrared, x_r, state_r)
        state_s = step(encoder.central, torch.cat((state_v[0], state_r[0]), 1), state_s)
        blocks.append(encoder.project(state_s[0]))
    return torch.stack(blocks, 1)


def literal_crossed(encoder: CrossedEncoder, visible: torch.Tensor, infrared: torch.Tensor) -> torch.Tensor:
    """Eq. 2 with gates across the modalities, cell by cell and part by part."""
    h_v = c_v = h_r = c_r = visible.new_zeros(len(visible), encoder.hidden)
    blocks = []
    for x_v, x_r in zip(visible.unbind(1), infrared.unbind(1), strict=True):
        x_v, gated_r = literal_mogrifier(encoder.visible_mogrifier, x_v, h_r)
        x_r, gated_v = literal_mogrifier(encoder.infrared_mogrifier, x_r, h_v)
        h_v, c_v = encoder.visible_cell(x_v, (gated_v, c_v))
        h_r, c_r = encoder.infrared_cell(x_r, (gated_r, c_r))
        blocks.append(encoder.project(torch.cat((h_v, h_r), 1)))
    return torch.stack(blocks, 1)


LITERAL = {ColumnEncoder: literal_columns, CrossedEncoder: literal_crossed}


@pytest.mark.parametrize("rank", [0, 2])
def test_the_mogrifier_is_its_definition(rank: int) -> None:
    mogrifiers = [Mogrifier(3, 4, rounds=5, rank=rank) for _ in range(2)]
    x, h = torch.rand(2, 6, 3), torch.rand(2, 6, 4)
    got_x, got_h = Cells.of(mogrifiers, [nn.LSTMCell(3, 4) for _ in mogrifiers], 3).mogrify(x, h)
    for i, mogrifier in enumerate(mogrifiers):
        expected_x, expected_h = literal_mogrifier(mogrifier, x[i], h[i])
        torch.testing.assert_close(got_x[i], expected_x)
        torch.testing.assert_close(got_h[i], expected_h)


@pytest.mark.parametrize("kind", LITERAL)
@pytest.mark.parametrize(("channels", "hidden"), [(5, 4), (9, 4), (8, 4)])  # C less than 2 D, more, and the same
@pytest.mark.parametrize(("rounds", "rank"), [(5, 2), (4, 0), (1, 2), (0, 0)])
def test_the_columns_together_are_the_columns_one_by_one(
    kind: type, channels: int, hidden: int, rounds: int, rank: int
) -> None:
    """Blocks and every gradient: all columns take a step as one product, and that changes nothing but last bits."""
    encoder = kind(channels, hidden, rounds, rank)
    parts = [torch.rand(2, 3, channels, requires_grad=True) for _ in range(2)]
    found, expected = encoder(*parts), LITERAL[kind](encoder, *parts)
    torch.testing.assert_close(found, expected)
    leaves = [*parts, *encoder.parameters()]
    pull = torch.rand_like(found)
    ours, theirs = (torch.autograd.grad(blocks, leaves, pull) for blocks in (found, expected))
    for mine, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)


def plain(cell: nn.LSTMCell, parts: torch.Tensor) -> torch.Tensor:
    """The states of torch's own LSTM with a cell's weights, ``[B, n, D]``."""
    lstm = nn.LSTM(cell.input_size, cell.hidden_size, batch_first=True)
    lstm.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    return lstm(parts)[0]


def test_without_rounds_the_columns_are_three_plain_lstms_the_third_over_both() -> None:
    encoder = ColumnEncoder(5, 4, rounds=0, rank=0)
    visible, infrared = torch.rand(2, 3, 5), torch.rand(2, 3, 5)
    both = torch.cat((plain(encoder.visible.cell, visible), plain(encoder.infrared.cell, infrared)), 2)
    expected = encoder.project(plain(encoder.central.cell, both))
    torch.testing.assert_close(encoder(visible, infrared), expected)


def test_each_column_reads_its_own_modality_and_the_central_one_climbs() -> None:
    """As figure 3 draws it: no gate across the modalities, and a block depends on every part below it, none above."""
    encoder = ColumnEncoder(5, 4, rounds=5, rank=2)
    visible, infrared = torch.rand(2, 3, 5, requires_grad=True), torch.rand(2, 3, 5, requires_grad=True)
    blocks = encoder(visible, infrared)
    for state, own, other in zip(encoder.states(visible, infrared), (0, 1), (1, 0), strict=False):
        gradients = torch.autograd.grad(state[:, -1].sum(), (visible, infrared), retain_graph=True)
        assert gradients[own].abs().amin() > 0
        assert gradients[other].abs().amax() == 0
    for gradient in torch.autograd.grad(blocks[:, 1].sum(), (visible, infrared)):
        assert gradient[:, :2].abs().amax((0, 2)).min() > 0
        assert gradient[:, 2].abs().max() == 0


def test_masked_parts_against_a_loop_and_the_masks_are_sigmoids() -> None:
    masks = PartMasks(5, 3)
    maps = torch.randn(2, 5, 4, 2)
    found = masks(maps)
    assert found.shape == (2, 3, 8)
    weight, bias = masks.convolution.weight[:, :, 0, 0], masks.convolution.bias
    parts = masked_parts(maps, shares(found))
    for b in range(2):
        for n in range(3):
            heights = [torch.sigmoid(weight[n] @ maps[b, :, y, x] + bias[n]) for y in range(4) for x in range(2)]
            torch.testing.assert_close(found[b, n], torch.stack(heights))
            weighed = (m * maps[b, :, y, x] for m, (y, x) in zip(heights, np.ndindex(4, 2), strict=True))
            of_map = sum(weighed) / sum(heights)
            torch.testing.assert_close(parts[b, n], of_map)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_parts_are_pooled_in_full_precision(half: torch.dtype) -> None:
    """Half precision is for the network's products: pooling is none of them."""
    masks, maps = PartMasks(5, 3), torch.randn(2, 5, 4, 2)
    with torch.autocast("cpu", half):
        found = masks(maps)
        parts = masked_parts(maps, shares(found))
    assert found.dtype == parts.dtype == torch.float32
    assert torch.equal(parts, masked_parts(maps, shares(found)))


@pytest.mark.parametrize("encoder", ["columns", "crossed"])
@pytest.mark.parametrize("parts_by", ["masks", "stripes"])
def test_each_form_of_parts_and_encoder_is_built_and_trains(default: Config, parts_by: str, encoder: str) -> None:
    job = train_job(default, "sysu", "msclnet", 1)
    losses = {name: weight for name, weight in job.method.losses.items() if name != "separation"}
    losses |= {"separation": 0.5} if parts_by == "masks" else {}
    model = replace(job.model, parts_by=parts_by, encoder=encoder)
    job = replace(job, model=model, method=replace(job.method, losses=losses))
    _, outputs, total, without = step(job, identities=4, pairs=4)
    assert outputs.synergy_blocks.shape == outputs.visible_blocks.shape == (4, 3, 128)
    assert (outputs.visible_masks is not None) == (parts_by == "masks")
    assert total.isfinite()
    assert not without


def test_masks_are_refused_of_a_network_of_stripes(default: Config) -> None:
    job = train_job(default, "sysu", "agw", 1)
    architecture = Architecture.of(replace(job.model, parts_by="stripes"), job.method)
    with pytest.raises(ValueError, match="visible_masks asked of a network whose parts are stripes; use masks"):
        MSCLNet(4, architecture, ("visible_masks",))


def test_the_neck_and_the_classifiers_learn_at_the_rate_and_all_else_at_the_fraction(default: Config) -> None:
    """As in the public code of AGW, MCLNet and DSCNet: Eq. 1's norm, theta_s and the other necks are among the rest."""
    job = train_job(default, "sysu", "msclnet", 1)
    for heads, quick in {
        "baseline": {"bottleneck.weight", "classifier.weight"},
        "separate": {"bottleneck.weight", "classifier.weight", "visible_head.1.weight", "infrared_head.1.weight"},
    }.items():
        network = build_network(replace(job, model=replace(job.model, heads=heads)), 4)
        rest, at_the_rate = network.parameter_groups()
        assert set(at_the_rate) == quick
        assert {name.split(".")[0] for name in rest} == {
            "backbone", "instance_norm", "synergy", "synergy_neck", "visible_head", "infrared_head", "part_masks",
        }  # fmt: skip
        trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
        assert rest.keys() | at_the_rate.keys() == trained
        assert not rest.keys() & at_the_rate.keys()


def test_without_rounds_the_crossed_encoder_is_two_plain_lstms() -> None:
    encoder = CrossedEncoder(5, 4, rounds=0, rank=0)
    visible, infrared = torch.rand(2, 3, 5), torch.rand(2, 3, 5)
    cells = [plain(encoder.visible_cell, visible), plain(encoder.infrared_cell, infrared)]
    torch.testing.assert_close(encoder(visible, infrared), encoder.project(torch.cat(cells, 2)))


def test_with_rounds_each_modality_reads_the_other() -> None:
    encoder = CrossedEncoder(5, 4, rounds=5, rank=2)
    visible, infrared = torch.rand(2, 3, 5), torch.rand(2, 3, 5, requires_grad=True)
    state_v, _ = encoder.states(visible, infrared)
    (gradient,) = torch.autograd.grad(state_v[:, -1].sum(), infrared)
    assert gradient[:, :2].abs().max() > 0


def step(job, identities: int, pairs: int) -> tuple:
    network = build_network(job, identities).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, pairs, 3, job.height, job.width, generator=generator)
    ones = torch.ones(pairs, dtype=torch.int64)
    maps: list[torch.Tensor] = []
    network.backbone.layer4.register_forward_hook(lambda module, inputs, output: maps.append(output))
    outputs = network(Batch(images[0], images[1], torch.arange(pairs), ones, 2 * ones))
    total = objective.total(objective.terms(outputs, job.method.losses, job.objective), job.method.losses)
    total.backward()
    without = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    return maps[0].shape, outputs, total, without


def test_the_papers_configuration_steps_once_with_the_papers_shapes(paper: Config) -> None:
    job = train_job(paper, "sysu", "msclnet", 1)
    job = replace(job, model=replace(job.model, weights="none"))
    shape, outputs, total, without = step(job, identities=395, pairs=2)
    assert shape == (4, 2048, 18, 9)
    assert outputs.synergy_blocks.shape == outputs.visible_blocks.shape == (2, 6, 2048)
    assert outputs.visible.shape == (2, 2048)
    assert outputs.infrared_normalised_logits.shape == (2, 395)
    assert outputs.visible_masks.shape == (2, 6, 18 * 9)
    assert total.isfinite()
    assert not without


@pytest.mark.parametrize(("name", "channels"), [("small", 128), ("resnet18", 512)])
@pytest.mark.parametrize("kind", ["none", "one", "half"])
def test_the_other_backbones_keep_the_last_stride_at_one(name: str, channels: int, kind: str) -> None:
    backbone = Backbone(name, "none", kind)
    assert backbone.channels == channels
    maps = backbone.shared(backbone.stem(torch.rand(1, 3, 96, 48), Modality.VISIBLE))
    assert maps.shape == (1, channels, *{"small": (12, 6), "resnet18": (6, 3)}[name])
    inner = {m.g.out_channels / m.g.in_channels for m in backbone.modules() if isinstance(m, NonLocal)}
    assert (inner == {0.5}) if kind == "half" else (max(inner, default=0) < 0.1)
    assert bool(inner) == (kind != "none")


def test_resnet_stages_are_built_once_and_the_stems_twice() -> None:
    backbone = Backbone("resnet18", "none", "none")
    assert {name for name, _ in backbone.named_children()} == {
        "visible_stem", "infrared_stem", "layer1", "layer2", "layer3", "layer4",
    }  # fmt: skip
    visible, infrared = (list(s.parameters()) for s in (backbone.visible_stem, backbone.infrared_stem))
    assert all(torch.equal(a, b) and a is not b for a, b in zip(visible, infrared, strict=True))


def test_weights_that_are_not_there_name_the_file(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"w\.pth: no such file; expected none, imagenet, or a file of weights"):
        Backbone("resnet18", str(tmp_path / "w.pth"), "none")


def test_weights_from_a_file_are_loaded(tmp_path) -> None:
    from torchvision.models import resnet18

    source = resnet18()
    torch.save(source.state_dict(), tmp_path / "w.pth")
    backbone = Backbone("resnet18", str(tmp_path / "w.pth"), "one")
    assert torch.equal(backbone.infrared_stem.conv1.weight, source.conv1.weight)
    assert torch.equal(backbone.layer4[0].conv1.weight, source.layer4[0].conv1.weight)


@pytest.mark.parametrize("heads", ["baseline", "shared", "separate"])
def test_the_classifier_of_eq_4_is_the_baselines_or_one_more_or_two(default: Config, heads: str) -> None:
    job = train_job(default, "sysu", "msclnet", 1)
    network = build_network(replace(job, model=replace(job.model, heads=heads)), 4)
    visible, infrared = network.visible_head, network.infrared_head
    assert visible[0] is not infrared[0], "each modality has a BN neck of its own"
    assert (visible[1] is infrared[1]) == (heads != "separate")
    assert (visible[1] is network.classifier) == (heads == "baseline")


def test_what_no_loss_reads_is_not_built(default: Config) -> None:
    network = build_network(train_job(default, "sysu", "agw", 1), 4)
    assert {name for name, _ in network.named_children()} == {"backbone", "bottleneck", "classifier"}


def test_modules_begin_in_the_order_of_the_results_in_print(default: Config) -> None:
    """Each draws its initial weights after those before it: another order is another network."""
    job = train_job(default, "sysu", "msclnet", 1)
    network = build_network(replace(job, model=replace(job.model, heads="separate")), 4)
    assert [name for name, _ in network.named_children()] == [
        "backbone", "bottleneck", "classifier", "instance_norm", "visible_head", "infrared_head", "synergy",
        "synergy_neck", "part_masks",
    ]  # fmt: skip
    torch.manual_seed(job.seed * 1000 + job.split)
    backbone = Backbone("small", "none", "one")
    assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), network.backbone.parameters(), strict=True))
    drawn = [torch.empty(128).normal_(1.0, 0.01)]
    for _ in range(3):
        nn.Linear(128, 4, bias=False)  # draws, too, before AGW's start replaces it
        drawn.append(torch.empty(4, 128).normal_(0.0, 0.001))
    drawn += [torch.empty(128).normal_(1.0, 0.01) for _ in range(2)]
    ours = (
        network.bottleneck, network.classifier, network.visible_head[1], network.infrared_head[1],
        network.visible_head[0], network.infrared_head[0],
    )  # fmt: skip
    assert all(torch.equal(value, module.weight) for value, module in zip(drawn, ours, strict=True))


BY_THE_BATCH = ("second", "second_logits")  # given where a batch has a second stream, whatever is asked
OPTIONAL = [
    name for name, field in Outputs.__dataclass_fields__.items() if field.default is None and name not in BY_THE_BATCH
]


@pytest.mark.parametrize("heads", ["baseline", "shared", "separate"])
@pytest.mark.parametrize("asked", [*((name,) for name in OPTIONAL), ("visible",), ("infrared_neck",), tuple(OPTIONAL)])
def test_every_parameter_takes_part_in_whatever_is_asked_for(asked: tuple[str, ...], heads: str) -> None:
    """And nothing else is given, so that no process sends what no loss reads."""
    architecture = Architecture(
        backbone="small", non_local="one", pooling="gem", gem_p=3.0, parts=3, hidden=4, rounds=2, rank=2, heads=heads,
        encoder="columns", parts_by="masks",
    )  # fmt: skip
    network = MSCLNet(4, architecture, asked)
    ones = torch.ones(2, dtype=torch.int64)
    images = torch.randn(2, 2, 3, 48, 24, generator=torch.Generator().manual_seed(0))
    outputs = network(Batch(images[0], images[1], torch.arange(2), ones, 2 * ones))
    given = {name for name, value in vars(outputs).items() if value is not None}
    assert given & {*OPTIONAL, *BY_THE_BATCH} == set(asked) & set(OPTIONAL)
    torch.stack([getattr(outputs, name).square().sum() for name in asked]).sum().backward()
    without = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


def test_an_output_that_the_network_has_not_is_refused(default: Config) -> None:
    job = train_job(default, "sysu", "agw", 1)
    with pytest.raises(ValueError, match="the network does not give visible_heat; expected fields of Outputs"):
        MSCLNet(4, Architecture.of(job.model, job.method), ("visible", "visible_heat"))


def test_an_embedding_has_unit_rows_and_follows_its_own_modality(default: Config) -> None:
    network = build_network(train_job(default, "sysu", "msclnet", 1), 4).eval()
    images = torch.rand(3, 3, 48, 24)
    with torch.no_grad():
        for feature in network.embed(images, Modality.INFRARED):
            torch.testing.assert_close(feature.norm(dim=1), torch.ones(3))
        before = [network.embed(images, modality)[0] for modality in Modality]
        network.backbone.visible_stem[0].weight.mul_(-1)
        after = [network.embed(images, modality)[0] for modality in Modality]
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
