"""What a network is built from, beside the number of identities and the outputs that are asked of it."""

from __future__ import annotations

from dataclasses import dataclass

from msclnet.config import Method, Model


@dataclass(frozen=True)
class Architecture:
    """What decides a network's layers. It is stored in each ``model.pt``: a key added here needs a default.

    That default is what the networks before it had, so that their files load for ever. Ranges and choices are those of
    the configuration's keys of the same names.
    """

    backbone: str
    non_local: str
    pooling: str
    gem_p: float
    parts: int
    hidden: int
    rounds: int
    rank: int
    heads: str
    encoder: str = "crossed"
    parts_by: str = "stripes"

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
