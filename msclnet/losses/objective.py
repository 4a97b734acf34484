"""Eq. 17: the terms a method wants, by name, and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from msclnet.core.types import Outputs
from msclnet.losses.needs import OUTPUTS, wanted
from msclnet.losses.readings import Readings
from msclnet.losses.table import INPUTS, Made


def terms(outputs: Outputs, weights: Mapping[str, float], readings: Readings) -> dict[str, Tensor]:
    """Every term whose weight is not 0, unweighted.

    Args:
        outputs: the whole batch's, for triplets, centres and Eq. 12 are no sums over processes.
        weights: the weight of each term, by its name.
        readings: how the paper's equations are read.

    Returns:
        The terms by name, as float32 scalars (float64 if the outputs are).

    Raises:
        ConfigError: a weight without a term.
        ValueError: a term reads an output that the network does not give.
    """
    batch = _Batch(outputs.at_least_float32(), readings)
    return {term.name: batch.made(term) for term in wanted(weights)}


def total(values: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Eq. 17: the weighted sum of the terms.

    Args:
        values: what ``terms`` returns.
        weights: the weight of each term, by its name.

    Returns:
        A scalar.
    """
    return torch.stack([weights[name] * value for name, value in values.items()]).sum()


class _Batch:
    """The arguments of the terms, by name; what several share is made when it is first read, and kept."""

    def __init__(self, outputs: Outputs, readings: Readings) -> None:
        self.outputs, self.readings = outputs, readings
        self.inputs: dict[str, Tensor] = {}

    def made(self, made: Made) -> Tensor:
        return made(*map(self._argument, made.arguments(self.readings)))

    def _argument(self, name: str) -> Any:
        if name in OUTPUTS:
            value = getattr(self.outputs, name)
            if value is None:
                raise ValueError(
                    f"a loss reads {name!r}, an output that the network was not built with: their configurations differ"
                )
            return value
        if name in Readings.model_fields:
            return getattr(self.readings, name)
        if name not in self.inputs:
            self.inputs[name] = self.made(INPUTS.get(name))
        return self.inputs[name]
