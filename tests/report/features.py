"""Features of a few people on disk, as the figures read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msclnet.core.types import Features
from msclnet.evaluation.feature_file import save_features
from tests.evaluation.people import made_up

PEOPLE = [(i, 1) for i in range(4) for _ in range(3)]


def write(folder: Path, method: str, features: Features, split: int = 1) -> Path:
    path = folder / method / f"split{split}" / "features.npz"
    path.parent.mkdir(parents=True)
    save_features(path, features, split)
    return path


def regdb_files(folder: Path, methods: Sequence[str]) -> list[Path]:
    """Other features of the same images by each method."""
    rng = np.random.default_rng(0)
    people = made_up(0, PEOPLE, PEOPLE)
    paths = []
    for method in methods:
        bn = rng.normal(size=people.bn.shape).astype(np.float32)
        bn /= np.linalg.norm(bn, axis=1, keepdims=True)
        rest = {key: value for key, value in vars(people).items() if key != "bn"}
        paths.append(write(folder, method, Features(bn=bn, **rest)))
    return paths
