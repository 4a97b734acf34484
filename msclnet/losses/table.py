"""The terms of the objective, one row each: its name, its function, and what that reads. And what is logged beside.

A new term is one ``TERMS.register(Term(...))``, here or in a file that the configuration names under ``plugins``.
Imports no torch: planning reads the names.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msclnet.core.errors import ConfigError
from msclnet.core.registry import Table
from msclnet.losses.readings import Readings

if TYPE_CHECKING:
    from torch import Tensor

MEMORY = "memory"  # what is read of the batches before
OPTIONAL = "?"  # ends the name of an output that is read where a batch has it, and is else None
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
            ``INPUTS``, fields of ``Readings``, and ``memory``, the centres of the batches before, or None. A field
            of ``Outputs`` with a ``?`` after it is None where a batch has none. Where the readings decide what is
            read, ``reads`` is a function of them.
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

    def load(self) -> None:
        """Imports what the function lies in."""
        if self.origin not in sys.modules:
            importlib.import_module(self.origin)

    def __call__(self, *arguments: object) -> Tensor:
        if callable(self.function):
            return self.function(*arguments)
        self.load()
        module, name = self.function.split(":")
        return getattr(sys.modules[module], name)(*arguments)  # looked up so that torch.compile can follow


@dataclass(frozen=True)
class Term(Made):
    """A term of the objective: a scalar, unweighted. ``name`` is the key of its weight, and of its curve.

    Attributes:
        source: where it is in print, in a few words that stand above its curve.

    Raises:
        ConfigError: the name is no key, or the log has another use for it.
    """

    source: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in RESERVED:
            raise ConfigError(
                f"losses.{self.name}: not usable as a term's name; expected small letters, digits and '_', and none of "
                f"{', '.join(sorted(RESERVED))}; rename it in {self.origin}"
            )


@dataclass(frozen=True)
class Input(Made):
    """What several terms read and the network does not give: made once a step, when it is first read."""


@dataclass(frozen=True)
class Measure(Made):
    """What is logged beside the losses, and trains nothing: a scalar.

    Attributes:
        beside: the terms of which one is wanted where it is logged; it reads what they read.
    """

    beside: tuple[str, ...]


def _space(feature: str, readings: Readings) -> str:
    """The output from which f^v, f^r or f^s is taken where its centres are."""
    if readings.centre_space == "neck":
        return f"{feature}_neck"
    return "synergy_blocks" if feature == "synergy" else feature


def _centred(feature: str) -> Callable[[Readings], tuple[str, ...]]:
    return lambda readings: (_space(feature, readings), "centre_space")


def _divergence(readings: Readings) -> tuple[str, ...]:
    return *(_HAT_LOGITS if readings.divergence_of == "posteriors" else _HAT), "divergence_ceiling"


def _cascade(readings: Readings) -> tuple[str, ...]:
    features = [name for name in ("visible", "infrared", "synergy") if name in readings.cascade_on]
    return "centre_space", *(_space(name, readings) for name in features)


INPUTS: Table[Input] = Table(
    "input",
    (
        Input("both", "msclnet.losses.inputs:both", ("visible", "infrared", "second?")),
        Input("both_labels", "msclnet.losses.inputs:labels_of_both", ("labels", "second?")),
        Input("both_logits", "msclnet.losses.inputs:both", ("visible_logits", "infrared_logits", "second_logits?")),
        Input("both_masks", "msclnet.losses.inputs:both", ("visible_masks", "infrared_masks")),
        Input("visible_parts", "msclnet.losses.inputs:local_parts", ("visible_blocks", "local_parts")),
        Input("synergy_parts", "msclnet.losses.inputs:local_parts", ("synergy_blocks", "local_parts")),
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
        Input(
            "sub_class_averages",
            "msclnet.losses.inputs:cascade_averages",
            ("cascade_features", "cascade_identities", "cascade_cameras"),
        ),
        Input(
            "identity_averages",
            "msclnet.losses.inputs:cascade_averages",
            ("cascade_features", "cascade_identities"),
        ),
        Input(
            "sub_class_centres",
            "msclnet.losses.inputs:sub_class_centres",
            ("cascade_features", "sub_class_averages", "cascade_identities", "cascade_cameras", MEMORY),
        ),
        Input(
            "identity_centres",
            "msclnet.losses.inputs:identity_centres",
            ("cascade_features", "identity_averages", "cascade_identities", MEMORY),
        ),
    ),
)

_HAT = ("visible_normalised", "infrared_normalised")
_HAT_LOGITS = ("visible_normalised_logits", "infrared_normalised_logits")

# In the order of Eq. 17, and what stands beside it; in it terms are computed, summed and logged.
TERMS: Table[Term] = Table(
    "loss",
    (
        Term("identity", "msclnet.losses.baseline:identity", ("both_logits", "both_labels"), "cross-entropy"),
        Term("triplet", "msclnet.losses.baseline:batch_hard_triplet", ("both", "both_labels", "margin"), "AGW's base"),
        Term(
            "wrt", "msclnet.losses.baseline:weighted_regularised_triplet", ("both", "both_labels", "wrt_weights"), "AGW"
        ),
        Term(
            "squared_difference",
            "msclnet.losses.baseline:enhanced_squared_difference",
            ("both", "both_labels", "wrt_weights"),
            "CAJ",
        ),
        Term("div", "msclnet.losses.synergy:divergence", _divergence, "Eq. 3"),
        Term("t", "msclnet.losses.synergy:modality_identity", (*_HAT_LOGITS, "labels"), "Eq. 4"),
        Term("local", "msclnet.losses.complement:local", ("visible_parts", "synergy_parts", "local_form"), "Eq. 6"),
        Term("global", "msclnet.losses.complement:global_", ("synergy_centred", "infrared_centred", "labels"), "Eq. 7"),
        Term("sub", "msclnet.losses.cascade:sub", ("cascade_features", "sub_class_centres"), "Eq. 10"),
        Term(
            "intra",
            "msclnet.losses.cascade:intra",
            ("sub_class_centres", "identity_centres", "sub_class_averages", "identity_averages"),
            "Eq. 11",
        ),
        Term("inter", "msclnet.losses.cascade:inter", ("identity_centres", "identity_averages"), "Eq. 12"),
        Term("separation", "msclnet.losses.complement:separation", ("both_masks", "separation_form"), "MPANet"),
    ),
)

# The terms of each of the paper's modules, as its Table 1 adds them.
MODULES = {"MS": ("div", "t"), "MC": ("global", "local"), "CA": ("sub", "intra", "inter")}


def terms_of(parts: Iterable[str]) -> set[str]:
    """The terms that some names stand for.

    Args:
        parts: names of terms, and of the paper's modules, ``MS``, ``MC`` and ``CA``.

    Returns:
        The names of the terms, a module's each by itself.
    """
    return {term for part in parts for term in MODULES.get(part, (part,))}


TRIPLETS = ("triplet", "wrt", "squared_difference")
BASELINE = ("identity", *TRIPLETS)  # of a method's terms those that a baseline has
_BOTH = ("both", "both_labels")

MEASURES: Table[Measure] = Table(
    "measure",
    (
        Measure("positive_distance", "msclnet.losses.measures:positive_distance", _BOTH, TRIPLETS),
        Measure("negative_distance", "msclnet.losses.measures:negative_distance", _BOTH, TRIPLETS),
        Measure("own_cosine", "msclnet.losses.measures:own_cosine", ("visible_parts", "synergy_parts"), ("local",)),
        Measure(
            "other_cosine",
            "msclnet.losses.measures:other_cosine",
            ("visible_parts", "synergy_parts", "labels"),
            ("local",),
        ),
        Measure("mask_size", "msclnet.losses.measures:mask_size", ("both_masks",), ("separation",)),
        Measure("mask_overlap", "msclnet.losses.measures:mask_overlap", ("both_masks",), ("separation",)),
        Measure("alone", "msclnet.losses.measures:alone", ("cascade_identities", "cascade_cameras"), ("sub", "intra")),
    ),
)
