"""Which modality an image is of: by what the user says, by the folder it lies in, or by its colours.

A folder's name is split at everything but letters and digits; a word of ``WORDS`` decides, in any case. The innermost
folder that has one counts; a folder with words of both modalities says nothing. ``cam1`` to ``cam6`` are SYSU-MM01's.

Without such a folder the colours decide. An infrared image has one grey level a pixel, whatever its file's format, so
that its three channels differ by no more than compression makes them: up to ``GREY``. Photographs in colour differ by
``COLOUR`` and more. What lies between is put to the nearer side and called uncertain. A photograph in black and white,
or an infrared image in false colours or tinted, is taken for the other: say the modality of those.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal, NamedTuple

import numpy as np

from msclnet.core.types import Modality

WORDS = {
    Modality.VISIBLE: {"visible", "vis", "rgb", "color", "colour", "cam1", "cam2", "cam4", "cam5"},
    Modality.INFRARED: {"infrared", "ir", "nir", "lwir", "thermal", "cam3", "cam6"},
}
PERCENTILE = 95  # of the pixels: a person in grey before a grey wall still has a face
GREY, COLOUR = 8, 24  # grey levels of 255; on drawn people: 0 in every infrared image, 33 or more in a visible one

Source = Literal["flag", "folder", "colour", "uncertain"]


class Decision(NamedTuple):
    """A modality, and what it was known by; ``uncertain`` is by colour, too, between ``GREY`` and ``COLOUR``."""

    modality: Modality
    source: Source


def decide(path: PurePath, colour: float, flag: Modality | None = None) -> Decision:
    """``flag`` if it is given, else the folders of ``path``, else its ``colourfulness``."""
    if flag is not None:
        return Decision(flag, "flag")
    if (named := by_folder(path)) is not None:
        return Decision(named, "folder")
    nearer = Modality.INFRARED if colour < (GREY + COLOUR) / 2 else Modality.VISIBLE
    return Decision(nearer, "uncertain" if GREY < colour < COLOUR else "colour")


def by_folder(path: PurePath) -> Modality | None:
    """The modality that the folders of ``path`` name, the innermost first; the file's own name does not count."""
    for folder in reversed(path.parent.parts):
        words = set(re.split(r"[\W_]+", folder.lower()))
        named = [modality for modality in Modality if words & WORDS[modality]]
        if len(named) == 1:
            return named[0]
    return None


def colourfulness(pixels: np.ndarray) -> float:
    """How far the largest channel of a pixel exceeds the smallest, 0..255, of ``[H, W, 3]``: the 95th percentile."""
    return float(np.percentile(np.ptp(pixels.astype(np.int16), axis=2), PERCENTILE))
