"""The protocols at true size, from the real sets' own lists (images are empty files: only their names count)."""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from msclnet.core.types import Features, ImageRecord, Images, Modality
from msclnet.datasets.base import Split
from msclnet.datasets.llcm import image_path
from msclnet.datasets.sysu import MODES, load_permutations
from msclnet.datasets.table import SETS
from msclnet.evaluation.scoring import scored
from tests.evaluation.people import llcm_comparisons, sysu_comparisons
from tests.evaluation.reference import literal


def touch(root: Path, paths: Sequence[str]) -> None:
    for folder in {str(Path(path).parent) for path in paths}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path in paths:
        (root / path).touch()


def images_of(records: Sequence[ImageRecord]) -> Images:
    paths, identities, cameras, modality = zip(*records, strict=True)
    return Images(*(np.array(column, np.int64) for column in (identities, cameras, modality)), np.array(paths))


@pytest.fixture(scope="module")
def sysu(real_lists: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("true") / "SYSU-MM01"
    shutil.copytree(real_lists / "sysu/exp", root / "exp")
    permutations = load_permutations(root / "exp/rand_perm_cam.mat")
    touch(
        root,
        [f"cam{c}/{i:04d}/{n + 1:04d}.jpg" for (c, i), drawn in permutations.items() for n in range(drawn.shape[1])],
    )
    return root


@pytest.fixture(scope="module")
def llcm(real_lists: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("true") / "LLCM"
    shutil.copytree(real_lists / "llcm/idx", root / "idx")
    listed = {
        half: [line.split(" ")[0] for name in ("vis", "nir") for line in (root / f"idx/{half}_{name}.txt").open()]
        for half in ("train", "test")
    }
    camera = {path: int(path.split("_c")[1][:2]) for paths in listed.values() for path in paths}
    touch(root, [image_path(half, path, camera[path]) for half, paths in listed.items() for path in paths])
    return root


def test_every_set_has_the_counts_in_print(real_lists: Path, sysu: Path, llcm: Path, tmp_path: Path) -> None:
    shutil.copytree(real_lists / "regdb/idx", tmp_path / "idx")
    lines = {line.split(" ")[0] for path in (tmp_path / "idx").glob("*.txt") for line in path.read_text().splitlines()}
    touch(tmp_path, sorted(lines))
    for name, root in (("regdb", tmp_path), ("sysu", sysu), ("llcm", llcm)):
        found = SETS.get(name).survey(root, real=True)
        assert found.problems == []
        assert found.counts == found.expected


def drawn_literally(root: Path, mode: str, shots: int, draw: int) -> list[str]:
    """The rule's text, on the file as SciPy reads it and the folders as they lie on the disk."""
    cells = loadmat(root / "exp/rand_perm_cam.mat")["rand_perm_cam"]
    gallery = []
    for identity in sorted(map(int, (root / "exp/test_id.txt").read_text().split(","))):
        for camera in {"all": (1, 2, 4, 5), "indoor": (1, 2)}[mode]:
            folder = root / f"cam{camera}" / f"{identity:04d}"
            if folder.is_dir():
                order = cells[camera - 1][0][identity - 1][0][draw]
                gallery += [f"cam{camera}/{identity:04d}/{number:04d}.jpg" for number in order[:shots]]
    return gallery


def test_the_official_galleries_of_all_ten_draws(sysu: Path) -> None:
    split: Split = SETS.get("sysu").survey(sysu, real=True).require()[1]
    images = images_of(split.test)
    permutations = load_permutations(sysu / "exp/rand_perm_cam.mat")
    sizes = {}
    for comparison in sysu_comparisons(images, ["all", "indoor"], [1, 10], "official", 10, permutations):
        mode, shots, draw = (comparison.setting[key] for key in ("mode", "shots", "draw"))
        assert images.paths[comparison.gallery].tolist() == drawn_literally(sysu, mode, shots, draw)
        sizes[mode, shots] = len(comparison.gallery)
        assert len(comparison.query) == 3803
    assert sizes == {("all", 1): 301, ("all", 10): 3010, ("indoor", 1): 112, ("indoor", 10): 1120}


def test_the_community_galleries_of_all_ten_draws(sysu: Path) -> None:
    images = images_of(SETS.get("sysu").survey(sysu, real=True).require()[1].test)
    for comparison in sysu_comparisons(images, ["all", "indoor"], [1], "community", 10):
        rng, expected = random.Random(comparison.setting["draw"]), []
        for identity in sorted(path.name for path in (sysu / "cam1").parent.glob("cam*/*")):
            if int(identity) in {int(word) for word in (sysu / "exp/test_id.txt").read_text().split(",")}:
                expected.append(identity)
        expected = [
            rng.choice(files)
            for identity in sorted(set(expected))
            for camera in MODES[str(comparison.setting["mode"])]
            if (files := sorted(f"cam{camera}/{identity}/{p.name}" for p in sysu.glob(f"cam{camera}/{identity}/*")))
        ]
        assert images.paths[comparison.gallery].tolist() == expected


def with_features(images: Images, seed: int) -> Features:
    """Signs in 24 channels: identities are a little alike, and many distances tie exactly."""
    rng = np.random.default_rng(seed)
    of_identity = rng.choice(np.float32([-0.25, 0.25]), (images.identities.max() + 1, 16))
    flipped = rng.random((len(images.paths), 16)) < 0.35
    rows = np.where(flipped, -1, 1).astype(np.float32) * of_identity[images.identities]
    return Features(**vars(images), bn=rows, pooled=rows, flip=False)


def literally(features: Features, query: np.ndarray, gallery: np.ndarray, data: str) -> dict[str, object]:
    known = [
        list(zip(features.identities[rows].tolist(), features.cameras[rows].tolist(), strict=True))
        for rows in (query, gallery)
    ]
    found = literal(1 - features.bn[query] @ features.bn[gallery].T, *known, data)
    assert found is not None
    return found


@pytest.mark.parametrize(("mode", "shots"), [("all", 1), ("all", 10), ("indoor", 1), ("indoor", 10)])
def test_sysu_scores_at_true_size(sysu: Path, mode: str, shots: int) -> None:
    features = with_features(images_of(SETS.get("sysu").survey(sysu, real=True).require()[1].test), shots)
    comparisons = sysu_comparisons(features, [mode], [shots], "community", 2)  # so in one pass
    (comparison, scores), _ = scored(features.bn, features, comparisons)
    expected = literally(features, comparison.query, comparison.gallery, "sysu")
    np.testing.assert_allclose(scores.cmc, expected["cmc"], rtol=0, atol=1e-9)
    assert (scores.mAP, scores.mINP) == pytest.approx((expected["mAP"], expected["mINP"]), abs=1e-9)
    assert scores.queries_without_match == expected["unmatched"]
    if mode == "indoor":
        assert scores.queries - scores.queries_without_match == 2208


def test_llcm_scores_at_true_size(llcm: Path) -> None:
    features = with_features(images_of(SETS.get("llcm").survey(llcm, real=True).require()[1].test), 0)
    sizes = {}
    for comparison, scores in scored(features.bn, features, llcm_comparisons(features, 2)):
        if comparison.setting["draw"]:
            continue
        expected = literally(features, comparison.query, comparison.gallery, "llcm")
        np.testing.assert_allclose(scores.cmc, expected["cmc"], rtol=0, atol=1e-9)
        assert (scores.mAP, scores.mINP) == pytest.approx((expected["mAP"], expected["mINP"]), abs=1e-9)
        sizes[comparison.setting["direction"]] = scores.queries
        places = defaultdict(int)
        for row in comparison.gallery:
            places[int(features.identities[row]), int(features.cameras[row])] += 1
        assert set(places.values()) == {1}
        assert len({int(features.modality[row]) for row in comparison.gallery}) == 1
    assert sizes == {"visible-to-infrared": 8680, "infrared-to-visible": 7166}
    assert set(features.cameras[features.modality == Modality.INFRARED].tolist()) == {1, 2, 4, 5, 6, 7, 8, 9}
