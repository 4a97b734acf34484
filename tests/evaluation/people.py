"""Made-up features with a known truth, and who of them is compared with whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from msclnet.config import build
from msclnet.core.types import Features, Images, Modality
from msclnet.datasets.llcm import LLCM
from msclnet.datasets.protocol import Comparison, Permutations
from msclnet.datasets.sysu import SYSU


def made_up(seed: int, visible: list[tuple[int, int]], infrared: list[tuple[int, int]]) -> Features:
    """One image for each (identity, camera), in shuffled rows.

    Features are random signs over 4 in 16 channels: of unit length, with exact products and therefore many ties.
    """
    rng = np.random.default_rng(seed)
    rows = [(*v, Modality.VISIBLE) for v in visible] + [(*r, Modality.INFRARED) for r in infrared]
    paths = [f"cam{camera}/{identity:04d}/{i:04d}.jpg" for i, (identity, camera, _) in enumerate(rows)]
    order = rng.permutation(len(rows))
    identities, cameras, modality = np.array(rows, dtype=np.int64)[order].T
    bn, pooled = rng.choice(np.float32([-0.25, 0.25]), (2, len(rows), 16))
    return Features(identities, cameras, modality, np.array(paths)[order], bn, pooled, flip=False)


def sysu_like(seed: int) -> Features:
    """Twelve identities, some absent from cameras, one seen outdoors only, one never seen by a visible camera."""
    visible = [(i, c) for i in range(1, 12) for c in (1, 2, 4, 5) for k in range(13) if (i * c + k) % 5 and (i - c) % 4]
    visible = [(i, c) for i, c in visible if i != 3 or c in (4, 5)]
    infrared = [(i, c) for i in range(1, 13) for c in (3, 6) for _ in range(1 + (i + c) % 3)]
    return made_up(seed, visible, infrared)


def sysu_comparisons(
    images: Images,
    modes: Sequence[str],
    shots: Sequence[int],
    protocol: str,
    draws: int,
    permutations: Permutations | None = None,
) -> Iterator[Comparison]:
    """SYSU-MM01's comparisons, by the configuration's own words."""
    options = build(SYSU.Evaluation, {"modes": modes, "shots": shots, "protocol": protocol, "draws": draws})
    return SYSU().comparisons(images, options, permutations)


def llcm_comparisons(images: Images, draws: int) -> Iterator[Comparison]:
    return LLCM().comparisons(images, build(LLCM.Evaluation, {"draws": draws}))
