"""Grey images of more than 8 bits, as thermal cameras give them: 16 bits, counts of 12 or 14, kelvin, fractions.

Their files do not say what is black and what is white, so it must be stated; nothing is guessed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from msclnet.core.errors import ConfigError, DataError

DeepRange = tuple[float, float]  # what becomes black, and what becomes white
LIKELY = ((1.0, "0 1"), (4095.0, "0 4095"), (16383.0, "0 16383"), (65535.0, "0 65535"))


def is_deep(image: Image.Image) -> bool:
    """Whether a pixel has more than 8 bits."""
    return image.mode.startswith(("I", "F"))


def to_grey(image: Image.Image, path: Path, deep_range: DeepRange | None) -> Image.Image:
    """A deep image as one of 8 bits: linear between black and white, what lies beyond is cut off.

    Args:
        image: of mode ``I``, ``I;16`` or ``F``.
        path: its file, for messages.
        deep_range: the values that become 0 and 255; None: such an image is refused.

    Returns:
        The image, of mode ``L``.

    Raises:
        DataError: no range is stated, or a value is not finite.
        ConfigError: the range is empty.
    """
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: has values that are not finite; expected numbers: mend the file")
    if deep_range is None:
        low, high = values.min(), values.max()
        likely = next((words for limit, words in LIKELY if high <= limit and low >= 0), f"{low:g} {high:g}")
        raise DataError(
            f"{path}: grey values from {low:g} to {high:g}, more than 8 bits; state what is black and what is white: "
            f"data.deep_range, or --deep-range {likely}, say; or make the images 8 bits first"
        )
    low, high = deep_range
    if not low < high:
        raise ConfigError(f"deep range: black at {low:g} and white at {high:g}; expected black below white")
    return Image.fromarray(np.rint((values - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8))
