"""Eq. 17: the terms a method wants, by name, their weighted sum, and what is logged beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from msclnet.core.types import Outputs
from msclnet.losses.memory import CentreMemory
from msclnet.losses.needs import OUTPUTS, wanted
from msclnet.losses.readings import Readings
from msclnet.losses.table import INPUTS, MEASURES, MEMORY, OPTIONAL, Made

READINGS = frozenset(Readings.model_fields)


def terms(
    outputs: Outputs, weights: Mapping[str, float], readings: Readings, memory: CentreMemory | None = None
) -> dict[str, Tensor]:
    """Every term whose weight is not 0, unweighted.

    Args:
        outputs: the whole batch's, for triplets, centres and Eq. 12 are no sums over processes.
        weights: the weight of each term, by its name.
        readings: how the paper's equations are read.
        memory: centres of the batches before, or None.

    Returns:
        The terms by name, as float32 scalars (float64 if the outputs are).

    Raises:
        ConfigError: a weight without a term.
        ValueError: a term reads an output that the network does not give.
    """
    batch = _Batch(outputs.at_least_float32(), readings, memory)
    return {term.name: batch.made(term) for term in wanted(weights)}


def load(weights: Mapping[str, float]) -> None:
    """Imports what the terms are made by, which is else done when one is first asked for: no compiler follows that.

    Args:
        weights: the weight of each term, by its name.
    """
    for made in (*wanted(weights), *INPUTS):
        made.load()


@torch.no_grad()
def measures(outputs: Outputs, weights: Mapping[str, float], readings: Readings) -> dict[str, Tensor]:
    """What is logged beside the terms whose weight is not 0.

    Args:
        outputs: the whole batch's.
        weights: the weight of each term, by its name.
        readings: how the paper's equations are read.

    Returns:
        Scalars by name, without gradients.
    """
    batch = _Batch(outputs.at_least_float32(), readings, None)
    names = {term.name for term in wanted(weights)}
    return {measure.name: batch.made(measure) for measure in MEASURES if names.intersection(measure.beside)}


def total(values: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Eq. 17: the weighted sum of the terms.

    Args:
        values: what ``terms`` returns.
        weights: the weight of each term, by its name.

    Returns:
        A scalar.
    """
    return torch.stack(torch._foreach_mul(list(values.values()), [weights[name] for name in values])).sum()


class _Batch:
    """The arguments of the terms, by name; what several share is made when it is first read, and kept."""

    def __init__(self, outputs: Outputs, readings: Readings, memory: CentreMemory | None) -> None:
        self.outputs, self.readings, self.memory = outputs, readings, memory
        self.inputs: dict[str, Tensor] = {}

    def made(self, made: Made) -> Tensor:
        return made(*map(self._argument, made.arguments(self.readings)))

    def _argument(self, name: str) -> Any:
        if name.endswith(OPTIONAL):
            return getattr(self.outputs, name.removesuffix(OPTIONAL))
        if name in OUTPUTS:
            value = getattr(self.outputs, name)
            if value is None:
                raise ValueError(
                    f"a loss reads {name!r}, an output that the network was not built with: their configurations differ"
                )
            return value
        if name in READINGS:
            return getattr(self.readings, name)
        if name == MEMORY:
            return self.memory
        if name not in self.inputs:
            self.inputs[name] = self.made(INPUTS.get(name))
        return self.inputs[name]
