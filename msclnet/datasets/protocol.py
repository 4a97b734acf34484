"""What the protocols share: a comparison, the rule it follows, and galleries drawn as the field draws them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msclnet.core.types import Images, Modality


@dataclass(frozen=True)
class Rule:
    """How a data set's protocol departs from comparing everything with everything.

    Attributes:
        ignored: pairs of cameras. A query of the first does not see the gallery images of the second, whosever they
            are.
        same_camera_ignored: whether no query sees its own identity in its own camera.
        identity_unique: whether the CMC counts each gallery identity once, where it first occurs in the list.
    """

    ignored: tuple[tuple[int, int], ...] = ()
    same_camera_ignored: bool = False
    identity_unique: bool = False

    def seen(self, identity: int, camera: int, identities: np.ndarray, cameras: np.ndarray) -> np.ndarray:
        """Which gallery images a query sees.

        Args:
            identity: the query's.
            camera: the query's.
            identities: int64 ``[G]``, of the gallery.
            cameras: int64 ``[G]``, of the gallery.

        Returns:
            Bool ``[G]``.
        """
        seen = np.ones(len(cameras), dtype=bool)
        if self.same_camera_ignored:
            seen &= (identities != identity) | (cameras != camera)
        for query_camera, gallery_camera in self.ignored:
            if camera == query_camera:
                seen &= cameras != gallery_camera
        return seen


Setting = dict[str, str | int]
Permutations = Mapping[tuple[int, int], np.ndarray]  # (camera, identity) -> a row of image numbers, from 1, a draw
DIRECTIONS = {
    "visible-to-infrared": (Modality.VISIBLE, Modality.INFRARED),
    "infrared-to-visible": (Modality.INFRARED, Modality.VISIBLE),
}


@dataclass(frozen=True)
class Comparison:
    """Which rows of ``Images`` are queries and which the gallery, and by what rule they are compared.

    Attributes:
        setting: of which comparison it is one, in the words of scores.json.
        query: int64 ``[Q]``, rows of ``Images``.
        gallery: int64 ``[G]``, rows of ``Images``, in the gallery's order.
        rule: what a query does not see, and how the CMC counts.
    """

    setting: Setting
    query: np.ndarray
    gallery: np.ndarray
    rule: Rule


def both_ways(images: Images, rule: Rule) -> Iterator[Comparison]:
    """All images of one modality ask, all of the other answer: in either direction.

    Args:
        images: what is known of ``N`` images.
        rule: that of both comparisons.

    Yields:
        The comparison of each direction, in the order of ``DIRECTIONS``.
    """
    for direction, modalities in DIRECTIONS.items():
        query, gallery = (np.flatnonzero(images.modality == modality) for modality in modalities)
        yield Comparison({"protocol": "standard", "direction": direction}, query, gallery, rule)


def community_gallery(images: Images, modality: Modality, cameras: Sequence[int], shots: int, draw: int) -> np.ndarray:
    """The gallery of one draw, as AGW's public code draws it.

    For draw t a generator seeded with t goes through the sorted identities, for each through the cameras. It chooses
    ``shots`` images (all, where there are fewer) from the sorted paths. That code defines the single-shot draw only.
    The multi-shot draw, ``sample`` where it has ``choice``, is this project's extension of it.

    Args:
        images: what is known of ``N`` images.
        modality: the gallery's.
        cameras: the gallery's, in the order they are gone through.
        shots: images of each identity and camera, 1 or more.
        draw: the draw's number, the seed.

    Returns:
        Rows of ``images``, int64 ``[G]``, by identity, then in the order of ``cameras``.
    """
    rng = random.Random(draw)
    gallery: list[int] = []
    for _, _, rows in places(images, modality, cameras):
        gallery += [rng.choice(rows)] if shots == 1 else rng.sample(rows, min(shots, len(rows)))
    return np.array(gallery, dtype=np.int64)


def places(images: Images, modality: Modality, cameras: Sequence[int]) -> Iterator[tuple[int, int, list[int]]]:
    """Each identity in each camera where there are images: by identity, then in the order of ``cameras``.

    Args:
        images: what is known of ``N`` images.
        modality: that of the images wanted.
        cameras: those of the images wanted.

    Yields:
        The identity, the camera, and the rows of ``images`` in the order of their paths.
    """
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(images.modality == modality).tolist():
        rows[int(images.identities[row]), int(images.cameras[row])].append(row)
    for identity in sorted({identity for identity, _ in rows}):
        for camera in cameras:
            if (identity, camera) in rows:
                yield identity, camera, sorted(rows[identity, camera], key=lambda row: str(images.paths[row]))
