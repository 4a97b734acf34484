"""Image files as pixels: the one place where they are opened. What a file holds is a stranger's word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from msclnet.core.errors import DataError, UserError
from msclnet.core.files import open_regular
from msclnet.data.depth import DeepRange, is_deep, to_grey

# Pillow tries no others, whatever a file's name says: it would hand PostScript to another program.
FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
LARGEST = 89_478_485  # pixels: above it Pillow suspects a decompression bomb
ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(path: Path, height: int, width: int, deep_range: DeepRange | None = None) -> np.ndarray:
    """The image in ``path``, see ``read_rgb``, resized by LANCZOS: uint8 ``[height, width, 3]``."""
    return np.asarray(read_rgb(path, deep_range).resize((width, height), Image.Resampling.LANCZOS))


def read_rgb(path: Path, deep_range: DeepRange | None = None) -> Image.Image:
    """The image in ``path`` upright, as RGB.

    Args:
        path: a file of one of ``FORMATS``.
        deep_range: how grey of more than 8 bits is mapped, see ``to_grey``.

    Returns:
        The image.

    Raises:
        DataError: the file is absent, no regular file, of another format, damaged, of more than ``LARGEST`` pixels, or
            of more bits where no range is given.
    """
    with _opened(path) as image:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
        upright = image if turn is None else image.transpose(turn)
        if is_deep(upright):
            upright = to_grey(upright, path, deep_range)
        return upright.convert("RGB")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file, and whatever goes wrong with it under its name."""
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise ValueError(f"{image.width} x {image.height} pixels; expected at most {LARGEST}")
            yield image
    except UserError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such image; see that the name is right, or copy it there again") from None
    except PermissionError as error:
        raise DataError(f"{path}: {error.strerror}; make it readable for this user") from None
    except UnidentifiedImageError:
        expected = ", ".join(FORMATS)
        raise DataError(
            f"{path}: not a readable image (none of {expected}); copy it again from where it came from, or convert it"
        ) from None
    except Exception as error:  # a decoder that meets what it does not expect raises nearly anything
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: not a readable image ({reason}); copy it again from where it came from") from None
