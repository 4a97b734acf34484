"""Batches: P x K of each modality, in pairs of one identity, the same on any number of processes."""

from __future__ import annotations

import numpy as np
import pytest

from msclnet.core.errors import ConfigError
from msclnet.data.sampling import epoch_pairs, share, steps_per_epoch

VISIBLE = np.repeat(np.arange(6), 5)  # six identities, five images
INFRARED = np.repeat(np.arange(6), 2)  # and two


def batches(epoch: int = 1, identities: int = 3, images: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(epoch_pairs(VISIBLE, INFRARED, identities, images, (0, 1, epoch)))


def test_a_batch_holds_p_identities_with_k_pairs_each() -> None:
    for visible, infrared in batches():
        assert np.array_equal(VISIBLE[visible], INFRARED[infrared])
        identities, counts = np.unique(VISIBLE[visible], return_counts=True)
        assert len(identities) == 3
        assert set(counts) == {4}


def test_an_image_repeats_only_where_there_are_too_few() -> None:
    for visible, infrared in batches():
        assert len(set(visible)) == len(visible), "five images serve four draws"
        assert len(set(infrared)) < len(infrared), "two do not"


def test_an_epoch_has_the_larger_modalitys_number_of_draws() -> None:
    assert len(batches(images=2)) == steps_per_epoch(30, 12, 6) == 5
    assert steps_per_epoch(3, 2, 32) == 1


def test_the_same_seed_gives_the_same_batches_and_another_epoch_others() -> None:
    assert all(
        np.array_equal(a, b) for x, y in zip(batches(), batches(), strict=True) for a, b in zip(x, y, strict=True)
    )
    assert not np.array_equal(batches(epoch=1)[0][0], batches(epoch=2)[0][0])


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_the_shares_of_all_ranks_are_the_batch(world: int) -> None:
    pairs = np.arange(12)
    shares = [pairs[share(12, rank, world)] for rank in range(world)]
    assert {len(part) for part in shares} == {12 // world}
    assert np.array_equal(np.sort(np.concatenate(shares)), pairs)


@pytest.mark.parametrize("world", [1, 2, 4, 8, 16])
def test_a_share_holds_as_many_identities_as_it_can(world: int) -> None:
    """Batch normalisation over one identity's images alone takes away what tells it from others."""
    identities, images = 8, 4
    of_pairs = np.arange(identities).repeat(images)
    for rank in range(world):
        mine = of_pairs[share(identities * images, rank, world)]
        assert len(set(mine)) == min(identities, len(mine))


def test_too_small_a_share_names_the_numbers_that_fit_and_the_way_out() -> None:
    """One row of a modality has no variance to be normalised by."""
    share(12, 0, 6, least=2)
    with pytest.raises(
        ConfigError, match=r"12 processes .*; 2 pairs each at least, unless train\.sync_batchnorm is true"
    ):
        share(12, 0, 12, least=2)
    with pytest.raises(ConfigError, match=r"use 1, 2, 3, 4, 6$"):
        share(12, 0, 12, least=2)
    share(12, 0, 12)


def test_an_uneven_share_names_the_numbers_that_fit() -> None:
    with pytest.raises(ConfigError, match=r"5 processes cannot share 12 pairs .* use 1, 2, 3, 4, 6, 12"):
        share(12, 0, 5)


def test_more_identities_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(ConfigError, match=r"train\.identities: a batch needs 7 .* has 6; choose 6 or fewer"):
        batches(identities=7)
