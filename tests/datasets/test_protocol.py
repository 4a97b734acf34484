"""Who is compared with whom in RegDB, SYSU-MM01 and LLCM, and the rows that come of it."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from msclnet.core.errors import ConfigError, DataError
from msclnet.core.types import Features, Modality
from msclnet.datasets.protocol import community_gallery
from msclnet.datasets.regdb import RegDB
from msclnet.datasets.sysu import MODES, official_gallery
from msclnet.evaluation.scoring import split_rows
from tests.evaluation.people import llcm_comparisons, made_up, sysu_comparisons, sysu_like
from tests.evaluation.reference import literal

VISIBLE = Modality.VISIBLE
REGDB_PEOPLE = [(i, 1) for i in range(5) for _ in range(4)]


def images(features: Features, rows: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(features.identities[rows].tolist(), features.cameras[rows].tolist(), strict=True))


def drawn_literally(features: Features, cameras: list[int], shots: int, draw: int) -> list[str]:
    """The draw rule as a walk through folders of images, its generator reseeded for each draw."""
    folders: dict[str, list[str]] = {}
    for path, modality in zip(features.paths.tolist(), features.modality.tolist(), strict=True):
        if modality == 0:
            camera, identity, _ = path.split("/")
            folders.setdefault(f"{identity}/{camera}", []).append(path)
    rng, chosen = random.Random(draw), []
    for identity in sorted({folder.split("/")[0] for folder in folders}):
        for camera in cameras:
            files = sorted(folders.get(f"{identity}/cam{camera}", []))
            if files:
                chosen += [rng.choice(files)] if shots == 1 else rng.sample(files, min(10, len(files)))
    return chosen


@pytest.mark.parametrize("shots", [1, 10])
@pytest.mark.parametrize(("mode", "cameras"), [("all", [1, 2, 4, 5]), ("indoor", [1, 2])])
def test_the_community_draw(mode: str, cameras: list[int], shots: int) -> None:
    features = sysu_like(0)
    for draw in range(10):
        rows = community_gallery(features, VISIBLE, MODES[mode], shots, draw)
        assert features.paths[rows].tolist() == drawn_literally(features, cameras, shots, draw)


def test_a_draw_by_hand() -> None:
    """random.Random(0) chooses from 3, 3 and 3 images the indices 1, 1, 0: what random.seed(0) gives AGW's code."""
    features = made_up(0, [(1, 1)] * 3 + [(1, 2)] * 3 + [(2, 1)] * 3, [(1, 3)])
    rows = community_gallery(features, VISIBLE, (1, 2), 1, 0)
    assert features.paths[rows].tolist() == ["cam1/0001/0001.jpg", "cam2/0001/0004.jpg", "cam1/0002/0006.jpg"]


def test_a_draw_depends_on_its_number_and_not_on_the_order_of_rows() -> None:
    features = sysu_like(1)
    order = np.random.default_rng(0).permutation(len(features.paths))
    arrays = {name: values[order] for name, values in vars(features).items() if name != "flip"}
    shuffled = Features(**arrays, flip=False)
    one, other = (community_gallery(features, VISIBLE, (1, 2), 10, draw) for draw in (0, 1))
    again = community_gallery(shuffled, VISIBLE, (1, 2), 10, 0)
    assert features.paths[one].tolist() == shuffled.paths[again].tolist()
    assert features.paths[one].tolist() != features.paths[other].tolist()


def test_identities_are_drawn_by_number() -> None:
    """As their zero-padded folders: 2 before 10, also past 9,999."""
    features = made_up(0, [(10_000, 1), (10, 1), (2, 1)], [(2, 3)])
    assert features.identities[community_gallery(features, VISIBLE, (1,), 1, 0)].tolist() == [2, 10, 10_000]


def test_sysu_comparisons_cover_modes_shots_and_draws() -> None:
    features = sysu_like(0)
    comparisons = list(sysu_comparisons(features, ["all", "indoor"], [1, 10], "community", 3))
    found = [(c.setting["mode"], c.setting["shots"], c.setting["draw"]) for c in comparisons]
    assert found == [(mode, shots, draw) for mode in ("all", "indoor") for shots in (1, 10) for draw in range(3)]
    for comparison in comparisons:
        per_place = {
            place: images(features, comparison.gallery).count(place) for place in images(features, comparison.gallery)
        }
        assert max(per_place.values()) <= comparison.setting["shots"]
        assert {camera for _, camera in per_place} == set(MODES[str(comparison.setting["mode"])])
        assert set(features.modality[comparison.gallery]) == {Modality.VISIBLE}
        assert comparison.query.tolist() == np.flatnonzero(features.modality == Modality.INFRARED).tolist()


def test_regdb_compares_everything_both_ways() -> None:
    features = made_up(0, REGDB_PEOPLE, REGDB_PEOPLE)
    first, second = RegDB().comparisons(features)
    assert (first.setting, second.setting) == (
        {"protocol": "standard", "direction": "visible-to-infrared"},
        {"protocol": "standard", "direction": "infrared-to-visible"},
    )
    assert set(features.modality[first.query]) == {Modality.VISIBLE}
    assert set(features.modality[first.gallery]) == {Modality.INFRARED}
    assert len(first.query) == len(first.gallery) == 20
    assert (second.query.tolist(), second.gallery.tolist()) == (first.gallery.tolist(), first.query.tolist())


def check_row(row: dict[str, object], features: Features, query: np.ndarray, gallery: np.ndarray, data: str) -> None:
    """The row against the slow reading of the protocol."""
    embedded = getattr(features, str(row["feature"]))
    expected = literal(
        1 - embedded[query] @ embedded[gallery].T, images(features, query), images(features, gallery), data
    )
    assert expected is not None
    percent = 100 * expected["cmc"]
    np.testing.assert_allclose(row["cmc"], percent, rtol=0, atol=1e-9)
    for k in (1, 5, 10, 20):
        assert row[f"rank{k}"] == row["cmc"][min(k, len(gallery)) - 1]
    assert (row["mAP"], row["mINP"]) == pytest.approx((100 * expected["mAP"], 100 * expected["mINP"]), abs=1e-9)
    counts = (row["queries"], row["queries_without_match"], row["gallery"])
    assert counts == (len(query), expected["unmatched"], len(gallery))


def test_regdb_rows() -> None:
    features = made_up(1, REGDB_PEOPLE, REGDB_PEOPLE)
    rows = split_rows(features, 7, RegDB().comparisons(features))
    assert [(row["feature"], row["direction"]) for row in rows] == [
        ("bn", "visible-to-infrared"),
        ("bn", "infrared-to-visible"),
        ("pooled", "visible-to-infrared"),
        ("pooled", "infrared-to-visible"),
    ]
    visible, infrared = (np.flatnonzero(features.modality == m) for m in Modality)
    for row in rows:
        forth = row["direction"] == "visible-to-infrared"
        check_row(row, features, *((visible, infrared) if forth else (infrared, visible)), "regdb")
        assert row["split"] == 7
        assert (row["protocol"], row["flip"], row["rerank"]) == ("standard", "no", "no")
    assert json.loads(json.dumps(rows)) == rows


def test_sysu_rows() -> None:
    features = sysu_like(2)
    rows = split_rows(features, 1, sysu_comparisons(features, ["all", "indoor"], [1, 10], "community", 2))
    assert len(rows) == 2 * 2 * 2 * 2
    infrared = np.flatnonzero(features.modality == Modality.INFRARED)
    where = {path: row for row, path in enumerate(features.paths.tolist())}
    for row in rows:
        cameras = {"all": [1, 2, 4, 5], "indoor": [1, 2]}[row["mode"]]
        gallery = [where[path] for path in drawn_literally(features, cameras, row["shots"], row["draw"])]
        check_row(row, features, infrared, np.array(gallery), "sysu")
        assert (row["protocol"], row["split"]) == ("community", 1)
    assert json.loads(json.dumps(rows)) == rows


def test_indoor_keeps_all_queries_and_leaves_the_outdoor_people_out_of_the_average() -> None:
    """Identity 2 is seen by cameras 4 and 5 alone: unmatched indoors; a cam3 query of identity 3 sees no cam2."""
    visible = [(1, 1), (1, 2), (2, 4), (2, 5), (3, 2), (3, 4)]
    features = made_up(0, visible, [(1, 3), (1, 6), (2, 3), (2, 6), (3, 3), (3, 6)])
    rows = split_rows(features, 1, sysu_comparisons(features, ["all", "indoor"], [1], "community", 1))
    counts = {(row["mode"], row["queries"], row["queries_without_match"], row["gallery"]) for row in rows}
    assert counts == {("all", 6, 0, 6), ("indoor", 6, 3, 3)}


def test_perfect_features_score_100() -> None:
    identities = np.repeat(np.arange(4), 6)
    cameras = np.tile([1, 2, 4, 5, 3, 6], 4)
    exact = np.eye(4, dtype=np.float32)[identities]
    modality = np.isin(cameras, (3, 6)).astype(np.int64)
    paths = np.array([f"cam{c}/{i:04d}/0001.jpg" for i, c in zip(identities, cameras, strict=True)])
    features = Features(identities, cameras, modality, paths, exact, exact, flip=False)
    rows = split_rows(features, 1, sysu_comparisons(features, ["all"], [1], "community", 1))
    for row in rows:
        assert [row[key] for key in ("rank1", "rank20", "mAP", "mINP")] == [100.0] * 4


def test_wrong_names_are_refused() -> None:
    features = sysu_like(0)
    for mode, protocol, draws, message in (
        ("outdoor", "community", 1, r"modes\[0\]: expected 'all' or 'indoor', found 'outdoor'"),
        ("all", "single", 1, "protocol: expected 'official' or 'community', found 'single'"),
        ("all", "official", 1, r"protocol: 'official' needs the set's exp/rand_perm_cam\.mat"),
        ("all", "community", 0, "draws: expected a whole number .*, found 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            list(sysu_comparisons(features, [mode], [1], protocol, draws))


def test_one_modality_alone_is_refused() -> None:
    alone = made_up(0, [(1, 1), (2, 1)], [])
    with pytest.raises(DataError, match="none of 2 query images has a match among 0 gallery images"):
        split_rows(alone, 1, RegDB().comparisons(alone))


def llcm_like(seed: int) -> Features:
    """Eight identities in nine visible and eight infrared cameras, not everyone in every one, several images each."""
    visible = [(i, c) for i in range(0, 24, 3) for c in range(1, 10) if (i + c) % 4 for _ in range(1 + (i * c) % 3)]
    infrared = [(i, c) for i in range(0, 24, 3) for c in (1, 2, 4, 5, 6, 7, 8, 9) if (i + c) % 3 for _ in range(2)]
    return made_up(seed, visible, infrared)


def test_llcm_rows() -> None:
    """Both directions; an image of each identity and camera; a query does not see its identity in its own camera."""
    features = llcm_like(0)
    rows = split_rows(features, 1, llcm_comparisons(features, 3))
    assert len(rows) == 2 * 2 * 3
    where = {path: row for row, path in enumerate(features.paths.tolist())}
    for row in rows:
        asking, answering = (0, 1) if row["direction"] == "visible-to-infrared" else (1, 0)
        folders: dict[tuple[int, int], list[str]] = {}
        for image in np.flatnonzero(features.modality == answering).tolist():
            place = int(features.identities[image]), int(features.cameras[image])
            folders.setdefault(place, []).append(str(features.paths[image]))
        rng = random.Random(row["draw"])
        gallery = [where[rng.choice(sorted(folders[place]))] for place in sorted(folders)]
        check_row(row, features, np.flatnonzero(features.modality == asking), np.array(gallery), "llcm")
        assert row["protocol"] == "standard"
    with pytest.raises(ConfigError, match="draws: expected a whole number of at least 1, found 0"):
        list(llcm_comparisons(features, 0))


def permutations_of(features: Features, seed: int) -> dict[tuple[int, int], np.ndarray]:
    rng = np.random.default_rng(seed)
    visible = features.modality == VISIBLE
    places = sorted(set(zip(features.cameras[visible].tolist(), features.identities[visible].tolist(), strict=True)))
    counts = {(c, i): int((visible & (features.cameras == c) & (features.identities == i)).sum()) for c, i in places}
    return {place: np.array([rng.permutation(n) + 1 for _ in range(10)]) for place, n in counts.items()}


@pytest.mark.parametrize("shots", [1, 10])
@pytest.mark.parametrize(("mode", "cameras"), [("all", (1, 2, 4, 5)), ("indoor", (1, 2))])
def test_the_official_draw(mode: str, cameras: tuple[int, ...], shots: int) -> None:
    """Draw t takes the images whose numbers stand first in row t; images are numbered by path."""
    features = sysu_like(0)
    permutations = permutations_of(features, 1)
    comparisons = list(sysu_comparisons(features, [mode], [shots], "official", 10, permutations))
    assert [comparison.setting["protocol"] for comparison in comparisons] == ["official"] * 10
    for draw, comparison in enumerate(comparisons):
        expected = []
        for identity in sorted(set(features.identities[features.modality == VISIBLE].tolist())):
            for camera in cameras:
                files = sorted(
                    str(p)
                    for p, i, c in zip(features.paths, features.identities, features.cameras, strict=True)
                    if (i, c) == (identity, camera)
                )
                if files:
                    expected += [files[n - 1] for n in permutations[camera, identity][draw][:shots]]
        assert features.paths[comparison.gallery].tolist() == expected


def test_permutations_of_another_set_are_refused() -> None:
    features = made_up(0, [(1, 1), (1, 1), (2, 1)], [(1, 3)])
    orders = np.array([[1, 2]] * 10)
    with pytest.raises(DataError, match="has nothing for camera 1, identity 2, of which there are 1 images"):
        official_gallery(features, (1,), 1, 0, {(1, 1): orders})
    for shots in (1, 10):
        with pytest.raises(DataError, match="draws from 2 images of camera 1, identity 2, of which there are 1"):
            official_gallery(features, (1,), shots, 0, {(1, 1): orders, (1, 2): orders})
    with pytest.raises(ConfigError, match=r"draws: .*10.*found 11"):
        list(sysu_comparisons(features, ["all"], [1], "official", 11, {(1, 1): orders}))
