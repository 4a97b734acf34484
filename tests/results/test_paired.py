"""The paired difference, by hand and against SciPy's own interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from msclnet.results.paired import difference


def test_by_hand() -> None:
    """Apart by 1, 2 and 3: mean 2, standard deviation 1, t of two degrees of freedom 4.3027."""
    found = difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert found.mean == 2
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)


def test_it_is_scipys_interval_of_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(60, 3, 10), rng.normal(58, 3, 10)
    found = difference(list(one), list(other))
    theirs = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_pairs_say_more_than_two_means() -> None:
    """Splits are unlike, the methods differ by 1 on each: the interval knows it, the standard deviations do not."""
    hard = [10.0, 30.0, 50.0, 70.0]
    found = difference([value + 1 for value in hard], hard)
    assert found == pytest.approx((1, 1, 1))


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(2000):
        low, high = difference(list(rng.normal(0.5, 2, 10)), [0.0] * 10)[1:]
        assert low is not None
        assert high is not None
        inside += low <= 0.5 <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_one_pair_has_no_interval() -> None:
    assert difference([3.0], [1.0]) == (2, None, None)


@pytest.mark.parametrize(("values", "reference"), [([], []), ([1.0, 2.0], [1.0])])
def test_what_is_not_paired_is_refused(values: list[float], reference: list[float]) -> None:
    with pytest.raises(ValueError, match="expected as many, one or more"):
        difference(values, reference)
