"""The terms of the objective, one row each: its name, its function, and what that reads.

A new term is one ``TERMS.register(Term(...))``, here or in a file that the configuration names under ``plugins``.
Imports no torch: planning reads the names.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msclnet.core.errors import ConfigError
from msclnet.core.registry import Table
from msclnet.losses.readings import Readings

if TYPE_CHECKING:
    from torch import Tensor

Reads = tuple[str, ...] | Callable[[Readings], tuple[str, ...]]

# What else stands beside the terms in a line of the log.
RESERVED = {"total", "scale", "skipped", "rate", "kind", "time", "epoch", "step", "seconds", "images_per_second"}


@dataclass(frozen=True)
class Made:
    """A named tensor, and the pure function that makes it.

    Attributes:
        name: the tensor's.
        function: the function itself, or ``"module:function"``, which is imported when it is first called.
        reads: the names of its arguments, in their order. They are fields of ``Outputs``, inputs of the table
            ``INPUTS`` and fields of ``Readings``. Where the readings decide what is read, ``reads`` is a function
            of them.
    """

    name: str
    function: str | Callable[..., Tensor]
    reads: Reads

    @property
    def origin(self) -> str:
        """The module that the function comes from."""
        return self.function.split(":")[0] if isinstance(self.function, str) else self.function.__module__

    def arguments(self, readings: Readings) -> tuple[str, ...]:
        """What the function reads under some readings.

        Args:
            readings: how the paper's equations are read.

        Returns:
            The names of the function's arguments, in their order.
        """
        return self.reads(readings) if callable(self.reads) else self.reads

    def __call__(self, *arguments: object) -> Tensor:
        if callable(self.function):
            return self.function(*arguments)
        module, name = self.function.split(":")
        return getattr(importlib.import_module(module), name)(*arguments)


@dataclass(frozen=True)
class Term(Made):
    """A term of the objective: a scalar, unweighted. ``name`` is the key of its weight, and of its curve.

    Raises:
        ConfigError: the name is no key, or the log has another use for it.
    """

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in RESERVED:
            raise ConfigError(
                f"losses.{self.name}: not usable as a term's name; expected small letters, digits and '_', and none of "
                f"{', '.join(sorted(RESERVED))}; rename it in {self.origin}"
            )


@dataclass(frozen=True)
class Input(Made):
    """What several terms read and the network does not give: made once a step, when it is first read."""


def _space(feature: str, readings: Readings) -> str:
    """The output from which f^v, f^r or f^s is taken where its centres are."""
    if readings.centre_space == "neck":
        return f"{feature}_neck"
    return "synergy_blocks" if feature == "synergy" else feature


def _centred(feature: str) -> Callable[[Readings], tuple[str, ...]]:
    return lambda readings: (_space(feature, readings), "centre_space")


def _cascade(readings: Readings) -> tuple[str, ...]:
    features = [name for name in ("visible", "infrared", "synergy") if name in readings.cascade_on]
    return "centre_space", *(_space(name, readings) for name in features)


INPUTS: Table[Input] = Table(
    "input",
    (
        Input("both", "msclnet.losses.inputs:both", ("visible", "infrared")),
        Input("both_labels", "msclnet.losses.inputs:both", ("labels", "labels")),
        Input("both_logits", "msclnet.losses.inputs:both", ("visible_logits", "infrared_logits")),
        Input("visible_centred", "msclnet.losses.inputs:centred", _centred("visible")),
        Input("infrared_centred", "msclnet.losses.inputs:centred", _centred("infrared")),
        Input("synergy_centred", "msclnet.losses.inputs:centred", _centred("synergy")),
        Input("cascade_features", "msclnet.losses.inputs:cascade_features", _cascade),
        Input("cascade_identities", "msclnet.losses.inputs:cascade_identities", ("labels", "cascade_on")),
        Input(
            "cascade_cameras",
            "msclnet.losses.inputs:cascade_cameras",
            ("visible_cameras", "infrared_cameras", "cascade_on"),
        ),
    ),
)

_HAT = ("visible_normalised", "infrared_normalised")
_HAT_LOGITS = ("visible_normalised_logits", "infrared_normalised_logits")
_SUB_CLASSES = ("cascade_features", "cascade_identities", "cascade_cameras")

# In the order of Eq. 17, in which terms are computed, summed and logged.
TERMS: Table[Term] = Table(
    "loss",
    (
        Term("identity", "msclnet.losses.baseline:identity", ("both_logits", "both_labels")),
        Term("triplet", "msclnet.losses.baseline:batch_hard_triplet", ("both", "both_labels", "margin")),
        Term("wrt", "msclnet.losses.baseline:weighted_regularised_triplet", ("both", "both_labels")),
        Term("div", "msclnet.losses.synergy:divergence", (*_HAT, "divergence_ceiling")),
        Term("t", "msclnet.losses.synergy:modality_identity", (*_HAT_LOGITS, "labels")),
        Term("local", "msclnet.losses.complement:local", ("visible_blocks", "synergy_blocks", "local_form")),
        Term("global", "msclnet.losses.complement:global_", ("synergy_centred", "infrared_centred", "labels")),
        Term("sub", "msclnet.losses.cascade:sub", _SUB_CLASSES),
        Term("intra", "msclnet.losses.cascade:intra", _SUB_CLASSES),
        Term("inter", "msclnet.losses.cascade:inter", ("cascade_features", "cascade_identities")),
    ),
)
