"""Who is compared with whom: the protocols of RegDB, SYSU-MM01 and LLCM."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msclnet.core.errors import ConfigError, DataError
from msclnet.core.types import Images, Modality


@dataclass(frozen=True)
class Rule:
    """How a data set's protocol departs from comparing everything with everything.

    A query of the first camera of an ``ignored`` pair does not see the gallery images of the second, whosever they
    are; with ``same_camera_ignored`` no query sees its own identity in its own camera. With ``identity_unique`` the CMC
    counts each gallery identity once, where it first occurs in the list.
    """

    ignored: tuple[tuple[int, int], ...] = ()
    same_camera_ignored: bool = False
    identity_unique: bool = False

    def seen(self, identity: int, camera: int, identities: np.ndarray, cameras: np.ndarray) -> np.ndarray:
        """Which gallery images, of ``identities`` and ``cameras`` ``[G]``, such a query sees, bool ``[G]``."""
        seen = np.ones(len(cameras), dtype=bool)
        if self.same_camera_ignored:
            seen &= (identities != identity) | (cameras != camera)
        for query_camera, gallery_camera in self.ignored:
            if camera == query_camera:
                seen &= cameras != gallery_camera
        return seen


REGDB = Rule()
# Cameras 2 and 3 of SYSU-MM01 stand in one place (Wu et al., ICCV 2017).
SYSU = Rule(ignored=((3, 2),), identity_unique=True)
LLCM = Rule(same_camera_ignored=True, identity_unique=True)  # Zhang & Wang, CVPR 2023, and their public code

Setting = dict[str, str | int]
Permutations = Mapping[tuple[int, int], np.ndarray]  # (camera, identity) -> a row of image numbers a draw
OFFICIAL_DRAWS = 10
DIRECTIONS = {
    "visible-to-infrared": (Modality.VISIBLE, Modality.INFRARED),
    "infrared-to-visible": (Modality.INFRARED, Modality.VISIBLE),
}


@dataclass(frozen=True)
class Comparison:
    """Which rows of ``Images`` are queries and which the gallery (int64, in the gallery's order), and by what rule.

    ``setting`` says of which comparison it is one, in the words of scores.json.
    """

    setting: Setting
    query: np.ndarray
    gallery: np.ndarray
    rule: Rule


def regdb_comparisons(images: Images, directions: Sequence[str] = tuple(DIRECTIONS)) -> Iterator[Comparison]:
    """All test images of a split: one modality asks, the other answers."""
    for direction in directions:
        query, gallery = (np.flatnonzero(images.modality == m) for m in _modalities(direction))
        yield Comparison({"protocol": "standard", "direction": direction}, query, gallery, REGDB)


def sysu_comparisons(
    images: Images,
    modes: Sequence[str],
    shots: Sequence[int],
    protocol: str,
    draws: int,
    permutations: Permutations | None = None,
) -> Iterator[Comparison]:
    """Every mode, number of shots and draw 0..draws-1; the queries are all infrared images, in every mode.

    The gallery holds 1 or 10 images (all, where there are fewer) of each identity from each visible camera: 1, 2, 4, 5
    in mode ``all``, 1, 2 in mode ``indoor``. ``official`` takes the first entries of row t of the set's own
    ``permutations``. ``community`` draws as AGW's public code does: for draw t a generator seeded with t goes through
    the sorted identities, for each through the cameras, and chooses from the sorted paths. That code defines the
    single-shot draw only; the multi-shot draw, ``sample`` where it has ``choice``, is this project's extension of it.

    Raises ConfigError for a mode, protocol or number of draws that there is not; DataError where the permutations do
    not fit the images.
    """
    if draws < 1:
        raise ConfigError(f"evaluate.sysu.draws: found {draws}, expected 1 or more")
    match protocol:
        case "community":
            permutations = None
        case "official":
            if permutations is None:
                raise ConfigError("evaluate.sysu.protocol: 'official' needs the set's exp/rand_perm_cam.mat; name it")
            if draws > OFFICIAL_DRAWS:
                raise ConfigError(f"evaluate.sysu.draws: found {draws}, the official protocol has {OFFICIAL_DRAWS}")
        case _:
            raise ConfigError(f"evaluate.sysu.protocol: found {protocol!r}, expected 'community' or 'official'")
    query = np.flatnonzero(images.modality == Modality.INFRARED)
    for mode in modes:
        for shot in shots:
            for draw in range(draws):
                setting: Setting = {"protocol": protocol, "mode": mode, "shots": shot, "draw": draw}
                cameras = sysu_cameras(mode)
                gallery = (
                    official_gallery(images, cameras, shot, draw, permutations)
                    if permutations is not None
                    else community_gallery(images, Modality.VISIBLE, cameras, shot, draw)
                )
                yield Comparison(setting, query, gallery, SYSU)


def llcm_comparisons(images: Images, draws: int, directions: Sequence[str] = tuple(DIRECTIONS)) -> Iterator[Comparison]:
    """Both directions and the draws 0..draws-1: one image of each identity and camera, drawn as in SYSU-MM01.

    The cameras are those that the gallery's modality has, by number. Raises ConfigError for no draw at all.
    """
    if draws < 1:
        raise ConfigError(f"evaluate.llcm.draws: found {draws}, expected 1 or more")
    for direction in directions:
        asking, answering = _modalities(direction)
        query = np.flatnonzero(images.modality == asking)
        cameras = np.unique(images.cameras[images.modality == answering]).tolist()
        for draw in range(draws):
            setting: Setting = {"protocol": "standard", "direction": direction, "draw": draw}
            yield Comparison(setting, query, community_gallery(images, answering, cameras, 1, draw), LLCM)


def sysu_cameras(mode: str) -> tuple[int, ...]:
    """The visible cameras of a search mode."""
    match mode:
        case "all":
            return 1, 2, 4, 5
        case "indoor":
            return 1, 2
        case _:
            raise ConfigError(f"evaluate.sysu.modes: found {mode!r}, expected 'all' or 'indoor'")


def community_gallery(images: Images, modality: Modality, cameras: Sequence[int], shots: int, draw: int) -> np.ndarray:
    """Rows of the gallery of one draw, by identity, then camera; see ``sysu_comparisons``."""
    rng = random.Random(draw)
    gallery: list[int] = []
    for _, _, rows in _places(images, modality, cameras):
        gallery += [rng.choice(rows)] if shots == 1 else rng.sample(rows, min(shots, len(rows)))
    return np.array(gallery, dtype=np.int64)


def official_gallery(
    images: Images, cameras: Sequence[int], shots: int, draw: int, permutations: Permutations
) -> np.ndarray:
    """As ``community_gallery``, of the visible images that row ``draw`` of the permutations names first."""
    gallery: list[int] = []
    for identity, camera, rows in _places(images, Modality.VISIBLE, cameras):
        drawn = permutations.get((camera, identity))
        if drawn is None:
            raise DataError(
                f"rand_perm_cam.mat: has nothing for camera {camera}, identity {identity}, of which there are "
                f"{len(rows)} images; expected the file and the images of one set: copy both from its archive"
            )
        numbers = drawn[draw, :shots]
        if numbers.max() > len(rows):
            raise DataError(
                f"rand_perm_cam.mat: draws image {numbers.max()} of camera {camera}, identity {identity}, of which "
                f"there are {len(rows)} images; expected the whole set: copy its images again"
            )
        gallery += [rows[number - 1] for number in numbers.tolist()]
    return np.array(gallery, dtype=np.int64)


def _places(images: Images, modality: Modality, cameras: Sequence[int]) -> Iterator[tuple[int, int, list[int]]]:
    """(identity, camera, rows by path) where there are images: by identity, then in the order of ``cameras``."""
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(images.modality == modality).tolist():
        rows[int(images.identities[row]), int(images.cameras[row])].append(row)
    for identity in sorted({identity for identity, _ in rows}):
        for camera in cameras:
            if (identity, camera) in rows:
                yield identity, camera, sorted(rows[identity, camera], key=lambda row: str(images.paths[row]))


def _modalities(direction: str) -> tuple[Modality, Modality]:
    """Which modality asks and which answers."""
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction: found {direction!r}, expected {' or '.join(DIRECTIONS)}")
    return DIRECTIONS[direction]
