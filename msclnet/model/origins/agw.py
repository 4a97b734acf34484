"""AGW (Ye et al., TPAMI 2021) and CAJ (Ye et al., ICCV 2021), and CAJ's extension (TPAMI 2023): one network.

CAJ's code, a folder of the same repository, has no model of its own: it imports AGW's, and saves it the same way. So
nothing in a file tells whose it is. The name that CAJ's training gives its files has ``_adp_`` where AGW's has
``_agw_``.
Source: github.com/mangye16/Cross-Modal-Re-ID-baseline: ``train.py`` (commit 342eddc), ``ICCV21_CAJ/train_ext.py``
(20b8e13), ``PAMI23_Supervised/model.py`` (5bf9702).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from msclnet.model.origins import two_stream
from msclnet.model.origins.origin import Origin, Reading


def _read(state: Mapping[str, Tensor]) -> Reading:
    note = "no non-local blocks in it: taken for a network of --method base, which averages"
    return two_stream.read(state, plain="average", note=note)


AGW = Origin("agw", "the public code of AGW and CAJ", two_stream.MARKS, "net", two_stream.IMAGE_SIZE, _read)
