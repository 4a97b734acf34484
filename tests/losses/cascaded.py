"""Eq. 10 to 12 from features and labels, joined as the table of terms joins them."""

from __future__ import annotations

from torch import Tensor

from msclnet.losses.memory import CentreMemory
from msclnet.losses.table import INPUTS, MEMORY, TERMS, Made


def ca(
    term: str, features: Tensor, identities: Tensor, cameras: Tensor | None = None, memory: CentreMemory | None = None
) -> Tensor:
    """A term of CA. ``inter`` reads no cameras."""
    values = {"cascade_features": features, "cascade_identities": identities, "cascade_cameras": cameras}
    made: dict[str, object] = {**values, MEMORY: memory}

    def of(what: Made) -> Tensor:
        assert not callable(what.reads)
        for name in what.reads:
            if name not in made:
                made[name] = of(INPUTS.get(name))
        return what(*(made[name] for name in what.reads))

    return of(TERMS.get(term))
