"""Augmentation against a plain loop over images, and the statistics of its random numbers."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from msclnet.data.augmentation import (
    CHANNELS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ITSELF,
    TRIES,
    Channels,
    Draws,
    augment,
    draw,
    exchanged,
    normalise,
)

HEIGHT, WIDTH, PADDING = 12, 6, 2
REAL = 288, 144  # pixels of the paper's images
PAPER = {"padding": 10, "flip": 0.5, "erasing": 0.8, "erasing_area": (0.2, 0.8)}
IMAGES = 40000


def drawn(count: int = 8, seed: int = 0, **over: object) -> Draws:
    settings = {"padding": PADDING, "flip": 0.5, "erasing": 0.8, "erasing_area": (0.1, 0.4)} | over
    return draw(np.random.default_rng(seed), count, HEIGHT, WIDTH, **settings)


def one_by_one(images: np.ndarray, d: Draws) -> np.ndarray:
    """Pad, crop, flip, normalise, erase: an image at a time."""
    result = []
    for i, image in enumerate(images):
        padded = np.zeros((HEIGHT + 2 * PADDING, WIDTH + 2 * PADDING, 3), np.uint8)
        padded[PADDING:-PADDING, PADDING:-PADDING] = image
        crop = padded[d.dy[i] : d.dy[i] + HEIGHT, d.dx[i] : d.dx[i] + WIDTH]
        if d.flip[i]:
            crop = crop[:, ::-1]
        if d.channel[i] < ITSELF:
            grey = 0.2989 * crop[..., 0] + 0.5870 * crop[..., 1] + 0.1140 * crop[..., 2]
            one = grey if d.channel[i] == 3 else crop[..., d.channel[i]]
            crop = np.stack([one] * 3, axis=-1)
        values = (crop / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
        values[d.top[i] : d.bottom[i], d.left[i] : d.right[i]] = 0
        result.append(values.transpose(2, 0, 1))
    return np.stack(result)


def test_whole_batches_equal_one_by_one() -> None:
    images = np.random.default_rng(1).integers(0, 256, (8, HEIGHT, WIDTH, 3), dtype=np.uint8)
    numbers = drawn()
    assert numbers.flip.any()
    assert (numbers.bottom > numbers.top).any()
    got = augment(torch.from_numpy(images), numbers.tensor(), PADDING)
    np.testing.assert_allclose(got.numpy(), one_by_one(images, numbers), atol=1e-5)


@pytest.mark.parametrize("channels", ["random", "one"])
def test_channels_of_whole_batches_equal_one_by_one(channels: Channels) -> None:
    images = np.random.default_rng(1).integers(0, 256, (64, HEIGHT, WIDTH, 3), dtype=np.uint8)
    numbers = drawn(64, channels=channels)
    assert set(numbers.channel) == {place for place, chance in enumerate(CHANNELS[channels]) if chance}
    got = augment(torch.from_numpy(images), numbers.tensor(), PADDING, channels)
    np.testing.assert_allclose(got.numpy(), one_by_one(images, numbers), atol=1e-5)


def test_channels_by_hand() -> None:
    """A pixel of 10, 20 and 40, and its grey: 2.989 + 11.74 + 4.56."""
    pixels = torch.tensor([10, 20, 40], dtype=torch.uint8).expand(5, 1, 1, 3)
    got = exchanged(pixels, torch.arange(5)).view(5, 3)
    torch.testing.assert_close(got[:, 0], torch.tensor([10, 20, 40, 19.289, 10]))
    assert (got[:4, :1] == got[:4]).all()
    assert got[4].tolist() == [10, 20, 40]


def test_a_grey_image_stays_what_it_is() -> None:
    """Its grey is a sum of weights that add up to 0.9999."""
    pixels = torch.full((5, 1, 1, 3), 200, dtype=torch.uint8)
    torch.testing.assert_close(exchanged(pixels, torch.arange(5)), pixels.float(), rtol=2e-4, atol=0)


@pytest.mark.parametrize("channels", CHANNELS)
def test_channels_are_drawn_as_often_as_cajs_code_does(channels: Channels) -> None:
    numbers = drawn(IMAGES, channels=channels)
    share = np.bincount(numbers.channel, minlength=ITSELF + 1) / IMAGES
    assert share == pytest.approx(CHANNELS[channels], abs=0.01)


def test_a_method_without_channels_draws_the_numbers_it_drew_before() -> None:
    """And what is drawn besides changes none of the others."""
    one, other, rng = drawn(), drawn(channels="random"), np.random.default_rng(0)
    for name in ("dy", "dx", "flip", "top", "bottom", "left", "right"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert (one.channel == ITSELF).all()
    before = {"padding": PADDING, "flip": 0.5, "erasing": 0.8, "erasing_area": (0.1, 0.4)}
    draw(rng, 8, HEIGHT, WIDTH, **before)
    assert rng.integers(1 << 30) == 91433171


def test_nothing_drawn_is_normalisation_alone() -> None:
    images = torch.randint(0, 256, (4, HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    numbers = drawn(4, padding=0, flip=0.0, erasing=0.0)
    assert torch.equal(augment(images, numbers.tensor(), 0), normalise(images))


def test_a_share_of_the_batch_draws_the_same_numbers() -> None:
    """What a rank draws for its images does not depend on how many ranks there are."""
    whole, half = drawn(), drawn().take(slice(4, 8))
    for name, values in vars(half).items():
        assert np.array_equal(values, getattr(whole, name)[4:])


def boxes(numbers: Draws) -> np.ndarray:
    """Top, left, rows and columns of each image's box, ``[B, 4]``; no rows where nothing is erased."""
    corner = numbers.top, numbers.left
    return np.stack([*corner, numbers.bottom - numbers.top, numbers.right - numbers.left], axis=1)


def boxes_in_a_loop(count: int, seed: int, erasing: float, erasing_area: tuple[float, float]) -> np.ndarray:
    """Random erasing an image and a try at a time, with another generator; as ``boxes``."""
    rng, (height, width) = random.Random(seed), REAL
    result = np.zeros((count, 4), np.int64)
    for image in range(count):
        if rng.random() >= erasing:
            continue
        for _ in range(TRIES):
            area, aspect = rng.uniform(*erasing_area) * height * width, rng.uniform(0.3, 1 / 0.3)
            rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if rows < height and columns < width:
                result[image] = rng.randint(0, height - rows), rng.randint(0, width - columns), rows, columns
                break
    return result


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return boxes(draw(np.random.default_rng(0), IMAGES, *REAL, **PAPER))


@pytest.fixture(scope="module")
def literal() -> np.ndarray:
    return boxes_in_a_loop(IMAGES, 0, PAPER["erasing"], PAPER["erasing_area"])


@pytest.mark.parametrize("whose", ["real", "literal"])
def test_random_erasing_at_the_papers_size(whose: str, request: pytest.FixtureRequest) -> None:
    """The figures of the published code: 80 % of the images, an area of 20 to 80 %, at 288 x 144.

    A band leaves one column at most: with its aspect log-uniform and the box narrowed to the image 48 % of the boxes
    are bands, and 27 % of the images lose more than 60 %. Six standard errors of 40,000 images are allowed.
    """
    top, left, rows, columns = request.getfixturevalue(whose).T
    share = rows * columns / math.prod(REAL)
    erased = rows > 0
    assert erased.mean() == pytest.approx(0.8, abs=0.012)
    assert (columns >= REAL[1] - 1).mean() == pytest.approx(0.0053, abs=0.0022)
    assert (share > 0.6).mean() == pytest.approx(0.179, abs=0.012)
    assert share[erased].mean() == pytest.approx(0.4557, abs=0.006)
    assert share[erased].min() >= 0.19
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + rows <= REAL[0]).all()
    assert (left + columns <= REAL[1]).all()


def test_boxes_are_distributed_as_in_a_loop(real: np.ndarray, literal: np.ndarray) -> None:
    """Kolmogorov and Smirnov's distance of corner, sides, area and aspect; 0.017 is passed once in 4,000 draws."""
    both = [found[found[:, 2] > 0].astype(float) for found in (real, literal)]
    both = [np.column_stack([b, b[:, 2] * b[:, 3], b[:, 2] / b[:, 3]]) for b in both]
    for ours, theirs in zip(*(b.T for b in both), strict=True):
        at = np.union1d(ours, theirs)
        apart = [np.searchsorted(np.sort(v), at, side="right") / len(v) for v in (ours, theirs)]
        assert np.abs(apart[0] - apart[1]).max() < 0.017


def test_an_image_that_no_box_fits_is_left_alone() -> None:
    """The whole area fits at no aspect: a box must be smaller than the image both ways."""
    assert not boxes(drawn(200, erasing=1.0, erasing_area=(1.0, 1.0)))[:, 2].any()


def test_where_a_box_lies_changes_neither_crop_nor_flip() -> None:
    """All images draw the same count of numbers, whatever their boxes are: other areas, the same crops."""
    one, other = drawn(64), drawn(64, erasing=0.0, erasing_area=(0.3, 0.7))
    for name in ("dy", "dx", "flip"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_probabilities_are_kept() -> None:
    numbers = drawn(4000, erasing=0.8)
    assert (numbers.bottom > numbers.top).mean() == pytest.approx(0.8, abs=0.03)
    assert numbers.flip.mean() == pytest.approx(0.5, abs=0.03)
    assert set(numbers.dy) == set(range(2 * PADDING + 1))
