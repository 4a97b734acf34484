"""Image files as pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from msclnet.core.errors import DataError
from msclnet.data.depth import DeepRange, is_deep, to_grey


def decode(path: Path, height: int, width: int, deep_range: DeepRange | None = None) -> np.ndarray:
    """The image in ``path``, see ``read_rgb``, resized by LANCZOS: uint8 ``[height, width, 3]``."""
    return np.asarray(read_rgb(path, deep_range).resize((width, height), Image.Resampling.LANCZOS))


def read_rgb(path: Path, deep_range: DeepRange | None = None) -> Image.Image:
    """The image in ``path`` upright, as RGB.

    Grey of more than 8 bits is mapped by ``deep_range``, see ``to_grey``. Raises DataError naming a file that is
    missing, truncated, no image, or of more bits where no range is given.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if is_deep(upright):
                upright = to_grey(upright, path, deep_range)
            return upright.convert("RGB")
    except FileNotFoundError:
        raise DataError(f"{path}: no such image; see that the name is right, or copy it there again") from None
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise DataError(f"{path}: not a readable image ({error}); copy it again from where it came from") from None
