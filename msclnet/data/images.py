"""Image files as pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from msclnet.core.errors import DataError


def decode(path: Path, height: int, width: int) -> np.ndarray:
    """The image in ``path``, see ``read_rgb``, resized by LANCZOS: uint8 ``[height, width, 3]``."""
    return np.asarray(read_rgb(path).resize((width, height), Image.Resampling.LANCZOS))


def read_rgb(path: Path) -> Image.Image:
    """The image in ``path`` upright, as RGB.

    16-bit grey is scaled to 8 bits. Raises DataError naming a file that is missing, truncated or no image.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16") or upright.mode == "I":
                upright = Image.fromarray((np.asarray(upright).astype(np.uint32) >> 8).astype(np.uint8))
            return upright.convert("RGB")
    except FileNotFoundError:
        raise DataError(f"{path}: no such image; see that the name is right, or copy it there again") from None
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise DataError(f"{path}: not a readable image ({error}); copy it again from where it came from") from None
