"""What a network is built from, beside the number of identities and the outputs that are asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from msclnet.config import Method, Model

LARGEST = 65536  # of a width: a file that names another is damaged


@dataclass(frozen=True)
class Architecture:
    """What decides a network's layers. It is stored in each ``model.pt``: a key added here needs a default.

    That default is what the networks before it had, so that their files load for ever. Ranges and choices are those of
    the configuration's keys of the same names.
    """

    backbone: str
    non_local: Literal["none", "one", "half"]
    pooling: Literal["average", "gem"]
    gem_p: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    parts: Annotated[int, Field(ge=1, le=1024)]
    hidden: Annotated[int, Field(ge=1, le=LARGEST)]
    rounds: Annotated[int, Field(ge=0, le=1024)]
    rank: Annotated[int, Field(ge=0, le=LARGEST)]
    heads: Literal["baseline", "shared", "separate"]
    encoder: Literal["columns", "crossed"] = "crossed"
    parts_by: Literal["masks", "stripes"] = "stripes"

    @classmethod
    def of(cls, model: Model, method: Method) -> Architecture:
        """That of a method's network."""
        return cls(
            backbone=model.backbone,
            non_local=method.nonlocal_,
            pooling=method.pooling,
            gem_p=model.gem_p,
            parts=model.parts,
            hidden=model.hidden,
            rounds=model.rounds,
            rank=model.rank,
            heads=model.heads,
            encoder=model.encoder,
            parts_by=model.parts_by,
        )
