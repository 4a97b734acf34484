"""DART (Yang et al., CVPR 2022), which trains two networks against noisy labels, each in a file of its own.

Its network is AGW's with a second neck, ``bottleneck_2``, that no image passes through. Its test averages the features
of both files.
Source: ``model.py``, ``run.py`` and ``test.py`` of github.com/XLearning-SCU/2022-CVPR-DART (commits cfd640f, 3fe03d3).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from msclnet.model.origins import two_stream
from msclnet.model.origins.origin import Origin, Reading

SECOND_NECK = "bottleneck_2."


def _read(state: Mapping[str, Tensor]) -> Reading:
    note = "no non-local blocks in it: taken for a network of --method base, which averages"
    return two_stream.read(state, plain="average", note=note, unused=r"bottleneck_2\.")


DART = Origin("dart", "DART's public code", (*two_stream.MARKS, SECOND_NECK), "net", two_stream.IMAGE_SIZE, _read)
