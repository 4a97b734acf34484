"""Each loss: by hand, against a slow loop, on degenerate batches, by gradcheck."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from msclnet.losses import baseline, complement, inputs, measures, synergy
from msclnet.losses.memory import CentreMemory
from msclnet.losses.table import TERMS
from tests.losses.cascaded import ca


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 2])
CAMERAS = torch.tensor([1, 2, 1, 1, 3, 3, 1])
FEATURES = random(7, 4)


def centre(features: Tensor, chosen: Tensor) -> Tensor:
    return features[chosen].mean(0)


# By hand ------------------------------------------------------------------------------------------------------------


def test_divergence_by_hand() -> None:
    """p = (3/4, 1/4), q = (1/2, 1/2): KL = 3/4 log 3/2 + 1/4 log 1/2."""
    p, q = torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]).log()
    expected = 3 / 4 * math.log(3 / 2) + 1 / 4 * math.log(1 / 2)
    assert synergy.divergence(p, q, None).item() == pytest.approx(-expected)
    assert synergy.divergence(p, q, 0.1).item() == pytest.approx(-0.1)
    assert synergy.divergence(p, p, 1.0).item() == pytest.approx(0)


def test_identity_by_hand() -> None:
    """Equal logits over four identities cost log 4; a logit ahead of one other by log 3 costs log 4/3."""
    assert baseline.identity(torch.zeros(3, 4), torch.tensor([0, 1, 3])).item() == pytest.approx(math.log(4))
    ahead = torch.tensor([[math.log(3), 0.0]])
    assert baseline.identity(ahead, torch.tensor([0])).item() == pytest.approx(math.log(4 / 3))


def test_modality_identity_by_hand() -> None:
    """Equal logits over four identities cost log 4 in each modality, and L_t is the sum."""
    logits = torch.zeros(3, 4)
    both = synergy.modality_identity(logits, logits, torch.tensor([0, 1, 3])).item()
    assert both == pytest.approx(2 * math.log(4)), "the sum of two means, as printed"


def blocks_at(cosine: float) -> tuple[Tensor, Tensor]:
    """One pair of two parts whose cosine is given."""
    teacher = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]], dtype=torch.float64)
    sine = math.sqrt(max(0.0, 1 - cosine**2))
    return teacher, torch.tensor([[[cosine, sine], [sine, cosine]]], dtype=torch.float64)


@pytest.mark.parametrize(("cosine", "printed"), [(1.0, 1.0), (0.5, 1.5), (-1.0, 1.0), (0.0, math.sqrt(2))])
def test_the_printed_eq_6_is_as_low_apart_as_together(cosine: float, printed: float) -> None:
    assert complement.local(*blocks_at(cosine), "printed").item() == pytest.approx(2 * printed, abs=0.021)


def test_eq_6_as_read_decreases_over_the_whole_range() -> None:
    values = [complement.local(*blocks_at(c / 100), "decreasing").item() for c in range(-100, 101)]
    assert all(a > b for a, b in pairwise(values))
    assert values[0] == pytest.approx(2 * (2 + 2), abs=1e-3)
    assert values[-1] == pytest.approx(2 * math.sqrt(complement.EPS))
    assert max(values) <= 2 * 4.01


def test_global_by_hand() -> None:
    """Centres (2, 0) against (0, 0) for identity 0, equal ones for identity 1: (4 + 4 + 0) / 3."""
    synergistic = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 5.0]])
    teacher = torch.tensor([[0.0, 1.0], [0.0, -1.0], [5.0, 5.0]])
    assert complement.global_(synergistic, teacher, torch.tensor([0, 0, 1])).item() == pytest.approx(8 / 3)


def test_cascade_by_hand() -> None:
    """Identity 0: camera 1 at 0 and 2 (centre 1), camera 2 at 4; centre 2. Identity 1: one image at 10."""
    features = torch.tensor([[0.0], [2.0], [4.0], [10.0]])
    identities, cameras = torch.tensor([0, 0, 0, 1]), torch.tensor([1, 1, 2, 1])
    assert ca("sub", features, identities, cameras).item() == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert ca("intra", features, identities, cameras).item() == pytest.approx(((1 - 2) ** 2 + (4 - 2) ** 2 + 0) / 2)
    assert ca("inter", features, identities).item() == pytest.approx(-2 * (10 - 2) ** 2 / 1)


def test_separation_by_hand() -> None:
    """Masks (1, 0), (1, 1/2), (0, 1): overlaps 1, 0 and 1/2 of three pairs; a second image's masks do not meet."""
    masks = torch.tensor([[[1.0, 0.0], [1.0, 0.5], [0.0, 1.0]], [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    assert complement.separation(masks, "overlap").item() == pytest.approx((1 + 0 + 0.5 + 0) / 3 / 2)
    assert complement.separation(masks, "cosine").item() == pytest.approx((1 + 0.5) / math.sqrt(1.25) / 3 / 2)


def test_batch_hard_triplet_by_hand() -> None:
    """Points 0, 3 of one identity and 4 of another: (3 - 4)+, (3 - 1)+, (0 - 1)+ with margin 0.5."""
    features, labels = torch.tensor([[0.0], [3.0], [4.0]]), torch.tensor([0, 0, 1])
    assert baseline.batch_hard_triplet(features, labels, 0.5).item() == pytest.approx((0 + 2.5 + 0) / 3, abs=1e-5)


def test_wrt_by_hand() -> None:
    """Points 0, 2 of one identity and 5 of another. Of 0: itself and 2 weigh 1 and e^2; the 5 is its one negative."""
    features, labels = torch.tensor([[0.0], [2.0], [5.0]], dtype=torch.float64), torch.tensor([0, 0, 1])
    positive = 2 * math.exp(2) / (1 + math.exp(2))
    negative = (5 * math.exp(-5) + 3 * math.exp(-3)) / (math.exp(-5) + math.exp(-3))
    by_anchor = (positive - 5, positive - 3, 0 - negative)
    expected = sum(math.log1p(math.exp(difference)) for difference in by_anchor) / 3
    assert baseline.weighted_regularised_triplet(features, labels, "softmax").item() == pytest.approx(
        expected, abs=1e-5
    )


# Against slow loops ---------------------------------------------------------------------------------------------------


def test_identity_and_modality_identity_against_loops() -> None:
    """FEATURES as the logits of four identities."""
    other = random(7, 4, seed=3)

    def cost(logits: Tensor) -> float:
        return sum(-math.log(float(z[y].exp() / z.exp().sum())) for z, y in zip(logits, LABELS, strict=True))

    assert baseline.identity(FEATURES, LABELS).item() == pytest.approx(cost(FEATURES) / 7)
    both = synergy.modality_identity(FEATURES, other, LABELS).item()
    assert both == pytest.approx((cost(FEATURES) + cost(other)) / 7)


def test_wrt_against_its_formula() -> None:
    total = 0.0
    for i in range(7):
        distances = [float((FEATURES[i] - FEATURES[j]).norm()) for j in range(7)]
        positive = [distances[j] for j in range(7) if LABELS[j] == LABELS[i]]  # the anchor is among them
        negative = [distances[j] for j in range(7) if LABELS[j] != LABELS[i]]
        far = sum(d * math.exp(d) for d in positive) / sum(math.exp(d) for d in positive)
        near = sum(d * math.exp(-d) for d in negative) / sum(math.exp(-d) for d in negative)
        total += math.log(1 + math.exp(far - near)) / 7
    assert baseline.weighted_regularised_triplet(FEATURES, LABELS, "softmax").item() == pytest.approx(total, abs=1e-6)


def literal_public_wrt(features: Tensor, labels: Tensor) -> Tensor:
    """WRT as AGW's public code computes it, an anchor at a time: its maximum over negatives is always 0."""
    losses = []
    for i, anchor in enumerate(features):
        distances = [(anchor - other).square().sum().clamp(min=1e-12).sqrt() for other in features]
        positive = [d for d, label in zip(distances, labels, strict=True) if label == labels[i]]
        negative = [d for d, label in zip(distances, labels, strict=True) if label != labels[i]]
        most = max(d.detach() for d in positive)
        weights = [(d - most).exp() for d in positive]
        furthest = sum(w * d for w, d in zip(weights, positive, strict=True)) / (sum(weights) + 1e-6)
        weights = [(-d - 0).exp() for d in negative]
        closest = sum(w * d for w, d in zip(weights, negative, strict=True)) / (sum(weights) + 1e-6)
        losses.append(torch.log1p((furthest - closest).exp()))
    return torch.stack(losses).mean()


def at_distance(mean: float, identities: int = 8, images: int = 8, width: int = 2048) -> tuple[Tensor, Tensor]:
    """Features of a batch of the paper's whose negatives are ``mean`` apart in the mean, positives at half of it."""
    labels = torch.arange(identities).repeat_interleave(images)
    centres, own = random(identities, width)[labels], random(identities * images, width, seed=1)
    own = own - torch.stack([own[labels == label].mean(0) for label in labels])
    near = own / torch.pdist(own[labels == 0]).mean() * mean / 2
    centres = centres / torch.pdist(centres[::images]).mean()
    low, high = 0.0, 2 * mean
    for _ in range(60):  # the spread of the centres that gives the mean distance
        middle = (low + high) / 2
        distance = torch.cdist(middle * centres + near, middle * centres + near)[labels[:, None] != labels].mean()
        low, high = (middle, high) if distance < mean else (low, middle)
    return low * centres + near, labels


DISTANCES = {  # of negatives -> the public form's loss and that of the softmax, on the features of ``at_distance``
    2: (0.30053, 0.30053),
    8: (0.018263, 0.018255),
    14: (0.0012716, 0.00095218),
    18: (1.1069, 0.00013249),
    25: (12.515, 4.2558e-6),
    40: (20.079, 2.8636e-9),
}


@pytest.mark.parametrize("mean", [2, 8, 14, 18, 25, 40])
def test_wrt_at_the_distances_of_a_real_network_is_the_public_codes(mean: int) -> None:
    """Value and gradient. Near the softmax is the same; far apart the public code's negatives have no weight."""
    features, labels = at_distance(mean)
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    loss = baseline.weighted_regularised_triplet(ours, labels, "public")
    expected = literal_public_wrt(theirs, labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    (gradient,), (literal,) = torch.autograd.grad(loss, ours), torch.autograd.grad(expected, theirs)
    assert (gradient - literal).norm() <= 1e-5 * literal.norm()
    single = baseline.weighted_regularised_triplet(features.float(), labels, "public")
    assert single.item() == pytest.approx(loss.item(), rel=1e-4)
    softmax = baseline.weighted_regularised_triplet(features, labels, "softmax").item()
    assert (loss.item(), softmax) == pytest.approx(DISTANCES[mean], rel=1e-3, abs=0)


def test_far_apart_the_public_wrt_draws_all_together_and_the_softmax_stands_still() -> None:
    features, labels = at_distance(25)
    features.requires_grad_()
    norms = {
        form: torch.autograd.grad(baseline.weighted_regularised_triplet(features, labels, form), features)[0].norm()
        for form in ("public", "softmax")
    }
    assert norms["public"] > 50 * norms["softmax"]


def test_squared_difference_by_hand() -> None:
    """On a line: two pairs, 1 apart each, and 2 between them. An outer anchor and an inner one, twice each."""
    features = torch.tensor([[0.0], [1.0], [3.0], [4.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    # The anchor itself is a positive at 0: its weight and that of the other are e^0 and e^1 over their sum.
    far = math.e / (1 + math.e)
    outer = (3 * math.exp(-3) + 4 * math.exp(-4)) / (math.exp(-3) + math.exp(-4))
    inner = (2 * math.exp(-2) + 3 * math.exp(-3)) / (math.exp(-2) + math.exp(-3))
    expected = sum(math.log(1 + math.exp(-((near - far) ** 2))) for near in (outer, inner)) / 2
    assert baseline.enhanced_squared_difference(features, labels, "softmax").item() == pytest.approx(expected, abs=1e-5)


def test_squared_difference_against_a_loop() -> None:
    """The wider of two gaps counts by its square, on either side of 0: by WRT's own gaps, an anchor at a time."""
    total, signs = 0.0, set()
    for i in range(7):
        positive = [float((FEATURES[i] - f).norm()) for f, y in zip(FEATURES, LABELS, strict=True) if y == LABELS[i]]
        negative = [float((FEATURES[i] - f).norm()) for f, y in zip(FEATURES, LABELS, strict=True) if y != LABELS[i]]
        far = sum(d * math.exp(d) for d in positive) / sum(math.exp(d) for d in positive)
        near = sum(d * math.exp(-d) for d in negative) / sum(math.exp(-d) for d in negative)
        signs.add(far > near)
        total += math.log(1 + math.exp(math.copysign((far - near) ** 2, far - near))) / 7
    assert signs == {True, False}
    assert baseline.enhanced_squared_difference(FEATURES, LABELS, "softmax").item() == pytest.approx(total, abs=1e-5)


def test_far_apart_the_public_squared_difference_ends_and_the_softmax_does_not() -> None:
    """At 25 the public weights leave a gap of 12.5, whose square is beyond 88: the value is 88 and nothing pulls."""
    features, labels = at_distance(25)
    features.requires_grad_()
    public = baseline.enhanced_squared_difference(features, labels, "public")
    assert public.item() == pytest.approx(88)
    assert torch.autograd.grad(public, features)[0].abs().max() == 0
    near, same = at_distance(8)
    forms = [baseline.enhanced_squared_difference(near, same, form).item() for form in ("public", "softmax")]
    assert forms[0] == pytest.approx(forms[1], rel=1e-2)
    with pytest.raises(ValueError, match="expected 'public' or 'softmax', found 'hard'"):
        baseline.enhanced_squared_difference(near, same, "hard")


def test_batch_hard_triplet_against_a_loop() -> None:
    total = 0.0
    for i in range(7):
        positive = max(float((FEATURES[i] - FEATURES[j]).norm()) for j in range(7) if LABELS[j] == LABELS[i])
        negative = min(float((FEATURES[i] - FEATURES[j]).norm()) for j in range(7) if LABELS[j] != LABELS[i])
        total += max(0.0, positive - negative + 0.3) / 7
    assert baseline.batch_hard_triplet(FEATURES, LABELS, 0.3).item() == pytest.approx(total, abs=1e-6)


def test_sub_against_a_loop() -> None:
    expected = sum(
        (FEATURES[i] - centre(FEATURES, (LABELS[i] == LABELS) & (CAMERAS[i] == CAMERAS))).square().sum()
        for i in range(7)
    )
    assert ca("sub", FEATURES, LABELS, CAMERAS).item() == pytest.approx(float(expected) / 7)


def test_intra_against_a_loop() -> None:
    total = 0.0
    for y in LABELS.unique():
        for camera in CAMERAS[y == LABELS].unique():
            of_sub_class = centre(FEATURES, (y == LABELS) & (camera == CAMERAS))
            total += float((of_sub_class - centre(FEATURES, y == LABELS)).square().sum())
    assert ca("intra", FEATURES, LABELS, CAMERAS).item() == pytest.approx(total / 3)


def test_inter_against_a_loop() -> None:
    centres = [centre(FEATURES, y == LABELS) for y in LABELS.unique()]
    total = sum(float((a - b).square().sum()) for i, a in enumerate(centres) for j, b in enumerate(centres) if i != j)
    assert ca("inter", FEATURES, LABELS).item() == pytest.approx(-total / 3)


def test_separation_against_a_loop() -> None:
    masks, total = random(3, 4, 10).sigmoid(), 0.0
    for image in masks:
        for i in range(4):
            total += sum(float((image[i] * image[j]).sum()) for j in range(i + 1, 4)) / 6
    assert complement.separation(masks, "overlap").item() == pytest.approx(total / 3)
    unit = masks / masks.norm(dim=2, keepdim=True)
    assert complement.separation(masks, "cosine").item() == complement.separation(unit, "overlap").item()


def test_global_against_a_loop() -> None:
    teacher = random(7, 4, seed=1)
    total = sum(float((centre(FEATURES, y == LABELS) - centre(teacher, y == LABELS)).square().sum()) for y in LABELS)
    assert complement.global_(FEATURES, teacher, LABELS).item() == pytest.approx(total / 7)


def test_local_and_divergence_against_loops() -> None:
    teacher, student = random(3, 2, 4), random(3, 2, 4, seed=1)
    total = 0.0
    for i in range(3):
        for j in range(2):
            cosine = float(teacher[i, j] @ student[i, j] / teacher[i, j].norm() / student[i, j].norm())
            total += (1 - cosine) + math.sqrt(2 - 2 * cosine + complement.EPS)
    assert complement.local(teacher, student, "decreasing").item() == pytest.approx(total / 3)
    v, r = random(5, 6), random(5, 6, seed=2)
    kl = sum(float((p * (p / q).log()).sum()) for p, q in zip(v.softmax(1), r.softmax(1), strict=True))
    assert synergy.divergence(v, r, None).item() == pytest.approx(-kl / 5)


# Bounds, degenerate batches, gradients --------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_the_readings_are_bounded_below_and_the_printed_forms_are_not(scale: float) -> None:
    v, r = scale * random(8, 16), scale * random(8, 16, seed=1)
    assert -1.0 <= synergy.divergence(v, r, 1.0).item() <= 0
    unit = torch.nn.functional.normalize(scale * FEATURES)
    assert -8 <= ca("inter", unit, LABELS).item() <= 0
    if scale > 1:
        assert synergy.divergence(v, r, None).item() < -100
        assert ca("inter", scale * FEATURES, LABELS).item() < -1000


ONE = torch.zeros(6, dtype=torch.int64)
CASES: dict[str, tuple[Callable[[Tensor], Tensor], float | None]] = {
    "identity, one identity": (lambda f: baseline.identity(f[:, :1], ONE), 0.0),
    "t, one identity": (lambda f: synergy.modality_identity(f[:, :1], f[:, :1], ONE), 0.0),
    "div, equal": (lambda f: synergy.divergence(f, f, 1.0), 0.0),
    "div, one channel": (lambda f: synergy.divergence(f[:, :1], f[:, 1:2], None), 0.0),
    "wrt, one identity": (lambda f: baseline.weighted_regularised_triplet(f, ONE, "softmax"), 0.0),
    "wrt, one identity, public": (lambda f: baseline.weighted_regularised_triplet(f, ONE, "public"), None),
    "triplet, one identity": (lambda f: baseline.batch_hard_triplet(f, ONE, 0.3), 0.0),
    "inter, one identity": (lambda f: ca("inter", f, ONE), 0.0),
    "intra, one camera": (lambda f: ca("intra", f, ONE, ONE), 0.0),
    "sub, each alone": (lambda f: ca("sub", f, torch.arange(6), ONE), 0.0),
    "intra, each alone": (lambda f: ca("intra", f, torch.arange(6), ONE), 0.0),
    "wrt, each alone": (lambda f: baseline.weighted_regularised_triplet(f, torch.arange(6), "softmax"), None),
    "wrt, each alone, public": (lambda f: baseline.weighted_regularised_triplet(f, torch.arange(6), "public"), None),
    "squared_difference, one identity": (lambda f: baseline.enhanced_squared_difference(f, ONE, "softmax"), 0.0),
    "squared_difference, one identity, public": (
        lambda f: baseline.enhanced_squared_difference(f, ONE, "public"),
        None,
    ),
    "squared_difference, each alone": (
        lambda f: baseline.enhanced_squared_difference(f, torch.arange(6), "softmax"),
        None,
    ),
    "separation, one part": (lambda f: complement.separation(f[:, None], "cosine"), 0.0),
    "separation, silent masks": (lambda f: complement.separation(0 * f.view(1, 6, 3), "cosine"), 0.0),
    "global, equal": (lambda f: complement.global_(f, f, ONE), 0.0),
    "local, equal": (lambda f: complement.local(f[:, None], f[:, None], "decreasing"), math.sqrt(complement.EPS)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("features", ["random", "all the same"])
def test_a_degenerate_batch_is_finite_and_zero_where_it_should_be(name: str, features: str) -> None:
    function, expected = CASES[name]
    values = random(6, 3) if features == "random" else torch.ones(6, 3, dtype=torch.float64)
    values.requires_grad_()
    loss = function(values)
    loss.backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()
    assert loss.isfinite()
    if expected is not None:
        assert loss.item() == pytest.approx(expected, abs=1e-12)


DIFFERENTIABLE: dict[str, Callable[[Tensor], Tensor]] = {
    "wrt": lambda f: baseline.weighted_regularised_triplet(f, LABELS, "softmax"),
    "wrt public": lambda f: baseline.weighted_regularised_triplet(f, LABELS, "public"),
    "squared_difference": lambda f: baseline.enhanced_squared_difference(f, LABELS, "softmax"),
    "squared_difference public": lambda f: baseline.enhanced_squared_difference(f, LABELS, "public"),
    "separation": lambda f: complement.separation(f.sigmoid()[None], "cosine"),
    "separation overlap": lambda f: complement.separation(f.sigmoid()[None], "overlap"),
    "triplet": lambda f: baseline.batch_hard_triplet(f, LABELS, 0.3),
    "identity": lambda f: baseline.identity(f, LABELS),
    "div": lambda f: synergy.divergence(f, f.flip(0) * 0.5, 10.0),
    "t": lambda f: synergy.modality_identity(f, f.flip(0), LABELS),
    "local": lambda f: complement.local(random(7, 1, 4, seed=5), f[:, None], "decreasing"),
    "local printed": lambda f: complement.local(random(7, 1, 4, seed=5), f[:, None], "printed"),
    "global": lambda f: complement.global_(f, random(7, 4, seed=5), LABELS),
    "sub": lambda f: ca("sub", f, LABELS, CAMERAS),
    "intra": lambda f: ca("intra", f, LABELS, CAMERAS),
    "inter": lambda f: ca("inter", f, LABELS),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    assert torch.autograd.gradcheck(DIFFERENTIABLE[name], (FEATURES.clone().requires_grad_(),))


def test_no_term_is_without_these_proofs() -> None:
    assert set(TERMS.names()) == {name.split(",")[0] for name in CASES}
    assert set(TERMS.names()) == {name.split()[0] for name in DIFFERENTIABLE}


def test_teachers_receive_no_gradient() -> None:
    teacher, student = random(7, 2, 4).requires_grad_(), random(7, 2, 4, seed=1).requires_grad_()
    loss = complement.local(teacher, student, "decreasing") + complement.global_(
        student.mean(1), teacher.mean(1), LABELS
    )
    loss.backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'decreasing' or 'printed', found 'other'"):
        complement.local(random(1, 1, 2), random(1, 1, 2), "other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 'public' or 'softmax', found 'other'"):
        baseline.weighted_regularised_triplet(FEATURES, LABELS, "other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 'centred' or 'raw', found 'other'"):
        inputs.local_parts(random(1, 1, 2), "other")


# Where the terms are at the real scale --------------------------------------------------------------------------------


def test_pooled_parts_lie_in_a_cone_and_centred_ones_do_not() -> None:
    """2,048 channels, pooled and never negative: by raw parts everybody is alike, by centred ones only the same."""
    labels = torch.arange(8).repeat_interleave(4)
    person, own = random(8, 6, 2048)[labels].exp(), random(32, 6, 2048, seed=1).exp()
    blocks = (2 + person + 0.5 * own).float()
    found = {}
    for parts in ("raw", "centred"):
        compared = inputs.local_parts(blocks, parts)
        found[parts] = (
            measures.own_cosine(compared, compared.roll(1, 0)).item(),
            measures.other_cosine(compared, compared, labels).item(),
        )
    assert found["raw"][1] > 0.75
    assert abs(found["centred"][1]) < 0.2
    assert found["centred"][0] - found["centred"][1] > 3 * (found["raw"][0] - found["raw"][1])


def test_a_divergence_over_channels_is_inert_and_one_of_posteriors_is_not() -> None:
    """2,048 pooled activations against 206 logits that tell people apart: hundredths of a nat against nats."""
    pooled = [(0.4 + 0.1 * random(32, 2048, seed=seed)).clamp(min=0) for seed in (0, 1)]
    logits = [6 * random(32, 206, seed=seed) for seed in (0, 1)]
    assert -0.02 < synergy.divergence(*pooled, None).item() < -0.001
    assert synergy.divergence(*logits, None).item() < -1
    of_logits = [z.clone().requires_grad_() for z in logits]
    gradient = torch.autograd.grad(synergy.divergence(*of_logits, None), of_logits)[0]
    assert gradient.norm() > 0.1


def test_a_student_near_the_mean_of_all_has_a_bounded_gradient() -> None:
    """Its centred parts have next to no length, and one over that is the cosine's gradient: 6.5 million, once."""
    teacher = inputs.local_parts(random(32, 6, 64).exp(), "centred")
    norms = {}
    for spread in (1.0, 1e-3, 1e-9, 0.0):
        blocks = (10 + spread * random(32, 6, 64, seed=1)).requires_grad_()
        loss = complement.local(teacher, inputs.local_parts(blocks, "centred"), "decreasing")
        norms[spread] = torch.autograd.grad(loss, blocks)[0].norm().item()
    assert max(norms.values()) < 100 / 80, "a hundredth of a part's length, 80"
    assert complement.local(teacher, teacher, "decreasing").item() < 6 * 0.011, "what has a direction has all of it"


def test_masks_that_close_meet_an_overlap_and_not_a_cosine() -> None:
    """At the paper's map, 162 positions: a step of SGD at its rate closes masks for the sum of their products alone."""
    maps, weight = random(64, 2048, 162).relu(), 0.02 * random(6, 2048, seed=1)
    sizes = {}
    for form in ("overlap", "cosine"):
        moved = weight.clone().requires_grad_()
        loss = 0.5 * complement.separation((moved @ maps).sigmoid(), form)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(loss, moved)
        sizes[form] = ((weight - 0.01 * gradient) @ maps).sigmoid().mean().item()
    assert sizes["overlap"] < 0.01
    assert sizes["cosine"] == pytest.approx((weight @ maps).sigmoid().mean().item(), abs=0.02)


# What is measured beside ----------------------------------------------------------------------------------------------


def test_measures_by_hand() -> None:
    features, labels = torch.tensor([[0.0], [3.0], [10.0]]), torch.tensor([0, 0, 1])
    assert measures.positive_distance(features, labels).item() == pytest.approx(3)
    assert measures.negative_distance(features, labels).item() == pytest.approx((10 + 7) / 2)
    cameras = torch.tensor([1, 1, 2])
    assert measures.alone(labels, cameras).item() == pytest.approx(1 / 3)
    teacher = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    student = torch.tensor([[[1.0, 1.0]], [[0.0, 2.0]]])
    assert measures.own_cosine(teacher, student).item() == pytest.approx((math.sqrt(0.5) + 1) / 2)
    assert measures.other_cosine(teacher, student, torch.tensor([0, 1])).item() == pytest.approx(math.sqrt(0.5) / 2)


def test_the_masks_measures_by_hand() -> None:
    masks = torch.tensor([[[1.0, 0.0], [0.5, 0.0], [0.0, 1.0]]])
    assert measures.mask_size(masks).item() == pytest.approx(2.5 / 6)
    assert measures.mask_overlap(masks).item() == pytest.approx(1 / 3)
    assert measures.mask_overlap(masks[:, :1]).item() == 0


def test_measures_of_one_identity_are_finite() -> None:
    features = random(4, 3)
    assert measures.negative_distance(features, ONE[:4]).item() == 0
    assert measures.positive_distance(features, torch.arange(4)).item() == 0
    assert measures.other_cosine(features[:, None], features[:, None], ONE[:4]).item() == 0


# Centres that are remembered ------------------------------------------------------------------------------------------


def test_a_memory_mixes_what_was_with_the_batch_by_hand() -> None:
    """Half of what was: a centre at 0 becomes 2 by a feature at 4, and the gradient is the batch's half."""
    memory = CentreMemory(2, torch.tensor([1, 3]), 1, 0.5)
    identities, cameras = torch.tensor([0, 1]), torch.tensor([1, 3])
    first = torch.tensor([[0.0], [10.0]])
    assert ca("sub", first, identities, cameras, memory).item() == 0, "nothing is remembered yet"
    ca("inter", first, identities, memory=memory)
    memory.remember()
    second = torch.tensor([[4.0], [10.0]], requires_grad=True)
    loss = ca("sub", second, identities, cameras, memory)
    assert loss.item() == pytest.approx((4 - 2) ** 2 / 2)
    assert torch.autograd.grad(loss, second)[0][0].item() == pytest.approx(2 * (4 - 2) * (1 - 0.5) / 2)
    assert ca("inter", second, identities, memory=memory).item() == pytest.approx(-2 * (10 - 2) ** 2)
    assert ca("intra", second, identities, cameras, memory).item() == 0, "one camera an identity"


def test_a_memory_is_changed_by_remembering_alone_and_once_a_step() -> None:
    memory = CentreMemory(3, torch.tensor([1, 2, 3]), 4, 0.9)
    for _ in range(2):
        ca("sub", FEATURES.float(), LABELS, CAMERAS, memory)
    assert not memory.sub_classes_seen.any()
    memory.remember()
    seen = {(int(y), int(c)) for y, c in zip(LABELS, CAMERAS, strict=True)}
    assert memory.sub_classes_seen.sum() == len(seen)
    assert not memory.identities_seen.any(), "no term read them"
    place = 0 * 3 + 1  # identity 0, camera 2
    torch.testing.assert_close(memory.sub_classes[place], FEATURES[1].float())


def test_with_a_memory_a_feature_alone_in_its_sub_class_is_pulled() -> None:
    alone, cameras = torch.arange(6), ONE + 1
    memory = CentreMemory(6, torch.tensor([1]), 3, 0.5)
    for seed in (0, 1):
        features = random(6, 3, seed=seed).float().requires_grad_()
        loss = ca("sub", features, alone, cameras, memory)
        memory.remember()
    assert torch.autograd.grad(loss, features)[0].norm() > 0.1
    assert ca("sub", features, alone, cameras).item() == 0
