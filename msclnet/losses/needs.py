"""What the wanted terms ask of the network. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from msclnet.core.errors import ConfigError, nearest
from msclnet.core.types import Outputs
from msclnet.losses.readings import Readings
from msclnet.losses.table import INPUTS, MEMORY, OPTIONAL, TERMS, Made, Term

OUTPUTS = frozenset(field.name for field in dataclasses.fields(Outputs))


def wanted(weights: Mapping[str, float]) -> list[Term]:
    """The terms whose weight is not 0, in the table's order; raises ConfigError for a name that is not in it."""
    chosen = {TERMS.get(name).name for name, weight in weights.items() if weight}
    return [term for term in TERMS if term.name in chosen]


def needed(weights: Mapping[str, float], readings: Readings) -> frozenset[str]:
    """The fields of ``Outputs`` that the wanted terms read.

    Raises ConfigError for an unknown term, and for a term that reads what there is not.
    """
    return frozenset(_read(weights, readings) & OUTPUTS)


def remembers(weights: Mapping[str, float], readings: Readings) -> bool:
    """Whether a wanted term reads centres of the batches before, and some are to be kept."""
    return readings.centre_memory > 0 and MEMORY in _read(weights, readings)


def _read(weights: Mapping[str, float], readings: Readings) -> set[str]:
    """All that the wanted terms read, by themselves or through inputs."""
    found: set[str] = set()
    for term in wanted(weights):
        _collect(term, term, readings, found)
    return found


def _collect(made: Made, term: Term, readings: Readings, found: set[str]) -> None:
    """Adds all that is behind ``made``, the term itself or an input of it, to ``found``."""
    inputs = INPUTS.names()
    for name in made.arguments(readings):
        if name.endswith(OPTIONAL) and name.removesuffix(OPTIONAL) in OUTPUTS:
            continue  # the network gives it where a batch has it
        found.add(name)
        if name in inputs:
            _collect(INPUTS.get(name), term, readings, found)
        elif name not in OUTPUTS and name != MEMORY and name not in Readings.model_fields:
            known = sorted({*OUTPUTS, *inputs, *Readings.model_fields, MEMORY})
            raise ConfigError(
                f"losses.{term.name}: {made.name!r} reads {name!r}, which there is not; {nearest(name, known)} "
                f"Correct its row in {made.origin}"
            )
