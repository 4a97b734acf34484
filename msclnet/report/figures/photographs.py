"""The packed images that a figure shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.data.pack import Pack


class Photographs:
    """Images of a pack by their path."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.rows = {m: {path: row for row, path in enumerate(pack.paths[m])} for m in Modality}

    def of(self, path: str, modality: str) -> np.ndarray:
        """uint8 ``[H, W, 3]``; DataError for a path that the pack does not hold."""
        kind = Modality.of(modality)
        if path not in self.rows[kind]:
            raise DataError(f"{self.pack.folder}: has no {modality} image {path}; extract the features of this pack")
        return self.pack.images[kind][self.rows[kind][path]]


def border(axes: Axes, colour: str, line: Any) -> None:
    """Nothing but a frame round the image."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linestyle=line, linewidth=3)
