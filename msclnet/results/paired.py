"""The difference of two methods over the same trials, and how far it can be trusted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A mean difference and the ends of its interval, None where one pair says nothing of a spread."""

    mean: float
    low: float | None
    high: float | None


def difference(values: Sequence[float], reference: Sequence[float]) -> Difference:
    """The mean of ``values - reference``, pair by pair, with Student's t interval of 95 %.

    With n pairs, d their mean difference and s its sample standard deviation, ``d -+ t s / sqrt(n)``, t being the 0.975
    quantile with n - 1 degrees of freedom. It takes the differences as independent and near to normal. Ten splits of
    one set share most of their images, so that the interval is rather too narrow than too wide.

    Args:
        values: n numbers.
        reference: the same trials' of what is compared with, in the same order.

    Returns:
        The mean difference and the interval's ends, in the units of ``values``.

    Raises:
        ValueError: there is no pair, or not as many of both.
    """
    if len(values) != len(reference) or not values:
        raise ValueError(f"{len(values)} values and {len(reference)} of the reference; expected as many, one or more")
    apart = [value - other for value, other in zip(values, reference, strict=True)]
    mean = statistics.fmean(apart)
    if len(apart) < 2:
        return Difference(mean, None, None)
    from scipy.special import stdtrit  # planning reads this module, and needs no SciPy

    half = float(stdtrit(len(apart) - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(apart) / math.sqrt(len(apart))
    return Difference(mean, mean - half, mean + half)
