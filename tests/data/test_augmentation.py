"""Augmentation against a plain loop over images, and the statistics of its random numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msclnet.data.augmentation import IMAGENET_MEAN, IMAGENET_STD, Draws, augment, draw, normalise

HEIGHT, WIDTH, PADDING = 12, 6, 2


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


def test_nothing_drawn_is_normalisation_alone() -> None:
    images = torch.randint(0, 256, (4, HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    numbers = drawn(4, padding=0, flip=0.0, erasing=0.0)
    assert torch.equal(augment(images, numbers.tensor(), 0), normalise(images))


def test_a_share_of_the_batch_draws_the_same_numbers() -> None:
    """What a rank draws for its images does not depend on how many ranks there are."""
    whole, half = drawn(), drawn().take(slice(4, 8))
    for name, values in vars(half).items():
        assert np.array_equal(values, getattr(whole, name)[4:])


@pytest.mark.parametrize("area", [(0.02, 0.4), (0.2, 0.8)])
def test_boxes_stay_inside_and_have_the_drawn_area(area: tuple[float, float]) -> None:
    numbers = drawn(2000, erasing=1.0, erasing_area=area)
    assert (numbers.top >= 0).all()
    assert (numbers.bottom <= HEIGHT).all()
    assert (numbers.left >= 0).all()
    assert (numbers.right <= WIDTH).all()
    fraction = (numbers.bottom - numbers.top) * (numbers.right - numbers.left) / (HEIGHT * WIDTH)
    assert fraction.mean() == pytest.approx(sum(area) / 2, abs=0.05)


def test_probabilities_are_kept() -> None:
    numbers = drawn(4000, erasing=0.8)
    assert (numbers.bottom > numbers.top).mean() == pytest.approx(0.8, abs=0.03)
    assert numbers.flip.mean() == pytest.approx(0.5, abs=0.03)
    assert set(numbers.dy) == set(range(2 * PADDING + 1))
