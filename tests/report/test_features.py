"""Figures of a split's features: t-SNE, distances across modalities, pairs of cameras."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from msclnet.core.errors import ConfigError, DataError
from msclnet.core.types import Features
from msclnet.evaluation.feature_file import load_split
from msclnet.report.figures.cameras import camera_pairs, plot_cameras
from msclnet.report.figures.distances import BINS, cross_modality, participation_ratio, plot_distances
from msclnet.report.figures.embedding import plot_embedding, project, sample
from msclnet.report.figures.style import Frame
from tests.evaluation.people import made_up, sysu_like
from tests.report.features import PEOPLE, regdb_files, write

METHODS = ("agw", "msclnet")


def numbers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def on_the_circle(degrees: list[float], identities: list[int], cameras: list[int], modality: list[int]) -> Features:
    """Features in the plane, so that a distance is the chord of an angle."""
    angles = np.radians(degrees)
    bn = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    columns = (np.array(values, dtype=np.int64) for values in (identities, cameras, modality))
    return Features(*columns, np.array([f"{i}.png" for i in range(len(degrees))]), bn, bn, flip=False)


def test_the_distances_are_those_across_modalities() -> None:
    """A visible image at 0 degrees of identity 1; infrared ones at 60 (same), 90 and 180 (another).

    The chords are 1, sqrt 2 and 2: Euclidean, the unit of the paper's figure.
    """
    people = on_the_circle([0, 60, 90, 180], [1, 1, 2, 2], [1, 2, 2, 2], [0, 1, 1, 1])
    intra, inter = cross_modality("agw", people)
    assert (intra.pairs, inter.pairs) == (1, 2)
    assert (intra.mean, inter.mean) == pytest.approx((1, 1 + 0.5**0.5))
    assert (intra.sigma, inter.sigma) == pytest.approx((0, 1 - 0.5**0.5), abs=1e-6)
    assert intra.density[np.searchsorted(BINS, 1) - 1 : np.searchsorted(BINS, 1) + 1].sum() == pytest.approx(100)
    with pytest.raises(DataError, match=r"agw: no intra-identity pair of test images"):
        cross_modality("agw", on_the_circle([0, 90], [1, 2], [1, 2], [0, 1]))


def test_the_participation_ratio_counts_directions() -> None:
    line = np.outer([-1.0, 1.0, 2.0], [3.0, 4.0, 0.0])
    assert participation_ratio(line) == pytest.approx(1)
    assert participation_ratio(np.vstack([np.eye(4), -np.eye(4)])) == pytest.approx(4), "alike in all four"
    two = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]])  # variances of 4 and 1
    assert participation_ratio(two + 7) == pytest.approx(25 / 17), "wherever they lie"
    assert participation_ratio(np.ones((5, 3))) == 0, "of features that have collapsed"


def test_the_distances_have_their_numbers_beside_them(tmp_path: Path) -> None:
    paths = regdb_files(tmp_path, METHODS)
    spreads = plot_distances(Frame("regdb", "stand-in", METHODS, tmp_path / "d.svg"), paths)
    rows = numbers(tmp_path / "d.csv")
    assert len(rows) == 4 * (len(BINS) - 1)
    for spread in spreads:
        mine = [row for row in rows if (row["method"], row["kind"]) == (spread.method, spread.kind)]
        area = sum(float(row["density"]) * (float(row["to"]) - float(row["from"])) for row in mine)
        assert area == pytest.approx(1, abs=1e-3)
        assert {row["pairs"] for row in mine} == {"36" if spread.kind == "intra" else "108"}
    text = (tmp_path / "d.svg").read_text()
    intra, inter = spreads[:2]
    assert f"means {intra.mean:.3f} and {inter.mean:.3f}, gap {inter.mean - intra.mean:.3f}" in text
    assert f"{intra.sigma:.3f} and {inter.sigma:.3f}" in text
    assert {row["sigma"] for row in rows if row["method"] == "agw"} == {f"{s.sigma:.6g}" for s in spreads[:2]}
    assert "RegDB (stand-in): distances" in text
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


def test_a_cameras_queries_are_ranked_among_one_other_cameras_images() -> None:
    """Camera 3's query of identity 1 (0 degrees) is nearest to identity 2 in camera 1, to identity 1 in camera 2."""
    people = on_the_circle(
        [0, 10, 30, 20, 40, 90], [1, 2, 1, 1, 2, 3], [3, 1, 1, 2, 2, 3], [1, 0, 0, 0, 0, 1]
    )  # the query of identity 3 has no match anywhere, and counts nowhere
    cells = camera_pairs("agw", people)
    assert [cell[1:] for cell in cells] == [(3, 1, 0.0, 1, 2), (3, 2, 100.0, 1, 2)]
    with pytest.raises(DataError, match=r"agw: no identity was seen by an infrared and a visible camera"):
        camera_pairs("agw", on_the_circle([0, 90], [1, 2], [1, 3], [0, 1]))


def test_every_pair_of_cameras_is_drawn_and_written(tmp_path: Path) -> None:
    paths = [write(tmp_path, method, sysu_like(0)) for method in METHODS]
    cells = plot_cameras(Frame("sysu", "SYSU-MM01", METHODS, tmp_path / "c.png"), paths)
    assert [cell[:3] for cell in cells if cell.method == "agw"] == [
        ("agw", query, gallery) for query in (3, 6) for gallery in (1, 2, 4, 5)
    ]
    rows = numbers(tmp_path / "c.csv")
    assert [float(row["rank1"]) for row in rows] == pytest.approx([cell.rank1 for cell in cells], rel=1e-4)
    assert "SYSU-MM01: Rank-1 by pair of cameras" in (tmp_path / "c.svg").read_text()


def test_the_map_holds_all_images_of_the_identities_drawn(tmp_path: Path) -> None:
    paths = regdb_files(tmp_path, METHODS)
    rows = plot_embedding(Frame("regdb", "stand-in", METHODS, tmp_path / "t.svg"), 3, 0, paths)
    features = load_split(paths[0], 1)
    assert len(rows) == 3 * 6
    assert len(set(features.identities[rows].tolist())) == 3
    written = numbers(tmp_path / "t.csv")
    assert [row["path"] for row in written] == 2 * features.paths[rows].tolist()
    assert {row["modality"] for row in written} == {"visible", "infrared"}
    plot_embedding(Frame("regdb", "stand-in", METHODS, tmp_path / "again.svg"), 3, 0, paths)
    for ending in ("svg", "png", "csv"):
        assert (tmp_path / f"t.{ending}").read_bytes() == (tmp_path / f"again.{ending}").read_bytes()


def test_an_identity_of_one_modality_is_not_drawn() -> None:
    people = made_up(0, [*PEOPLE, (9, 1)], [*PEOPLE, (8, 1)])
    assert set(people.identities[sample(people, 6, 0)].tolist()) == {0, 1, 2, 3}
    assert set(sample(people, 2, 0)) != set(sample(people, 2, 1))
    with pytest.raises(DataError, match=r"no test identity has images of both modalities"):
        sample(made_up(0, [(1, 1)], [(2, 1)]), 6, 0)


def test_near_features_fall_together() -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(8)[[0] * 12 + [5] * 12] + 0.02 * rng.normal(size=(24, 8))
    points = project((directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32), 0)
    first, second = points[:12], points[12:]
    apart = np.linalg.norm(first.mean(0) - second.mean(0))
    assert apart > 2 * max(np.linalg.norm(half - half.mean(0), axis=1).max() for half in (first, second))


def test_what_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    paths = regdb_files(tmp_path, METHODS)
    with pytest.raises(ConfigError, match=r"figures.identities: found 8, expected 1 to 7: a colour for each"):
        plot_embedding(Frame("regdb", "stand-in", METHODS, tmp_path / "t.svg"), 8, 0, paths)
    second = write(tmp_path / "more", "agw", made_up(0, PEOPLE, PEOPLE), split=2)
    with pytest.raises(DataError, match=r"split2/features.npz: a second file of agw"):
        plot_distances(Frame("regdb", "stand-in", METHODS, tmp_path / "d.svg"), [*paths, second])
    other = write(tmp_path / "other", "msclnet", made_up(0, PEOPLE, PEOPLE[:-1]))
    with pytest.raises(DataError, match=r"msclnet/split1/features.npz: features of other images than"):
        plot_distances(Frame("regdb", "stand-in", METHODS, tmp_path / "d.svg"), [paths[0], other])
