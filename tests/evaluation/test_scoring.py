"""Features of any model: the arrays, the file and the command, each against the slow reading of the protocols."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import msclnet
from msclnet.cli import main
from msclnet.core.errors import ConfigError, DataError
from msclnet.core.types import Features, Modality
from msclnet.datasets.protocol import community_gallery
from msclnet.datasets.regdb import RegDB
from msclnet.evaluation import scoring
from msclnet.evaluation.feature_file import save_features
from msclnet.evaluation.re_ranking import LARGEST, reranked
from msclnet.evaluation.scoring import evaluate, split_rows
from tests.evaluation.people import made_up, sysu_comparisons, sysu_like
from tests.evaluation.reference import literal, literally_reranked

PEOPLE = [(i, 1) for i in range(6) for _ in range(3)]


def arrays(known: Features, **changes: object) -> dict[str, np.ndarray]:
    names = ("identities", "cameras", "modality", "paths")
    return {"features": 3 * known.bn, **{name: getattr(known, name) for name in names}} | changes


def test_anybodys_features_score_as_our_own() -> None:
    """Their length does not matter; the numbers are those of scores.json."""
    features = sysu_like(0)
    found = msclnet.evaluate(**arrays(features), data="sysu", mode="indoor", shots=10, draws=4)
    rows = split_rows(features, 1, sysu_comparisons(features, ["indoor"], [10], "community", 4))[:4]
    names = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP", "queries", "queries_without_match", "gallery")
    assert found["draws"] == [{"draw": row["draw"]} | {name: row[name] for name in names} for row in rows]
    for name in names[:6]:
        assert found["mean"][name] == pytest.approx(np.mean([row[name] for row in rows]), abs=1e-9)
    setting = {key: found[key] for key in ("data", "protocol", "mode", "shots", "rerank", "queries")}
    assert setting == {
        "data": "sysu", "protocol": "community", "mode": "indoor", "shots": 10, "rerank": "no",
        "queries": rows[0]["queries"],
    }  # fmt: skip


def test_shared_distances_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = sysu_like(3)
    shared = evaluate(**arrays(features), data="sysu", shots=10)
    monkeypatch.setattr(scoring, "SHARED", 0)
    assert evaluate(**arrays(features), data="sysu", shots=10) == shared


def test_without_paths_the_rows_are_the_order() -> None:
    features = sysu_like(0)
    order = np.argsort(features.paths)
    ordered = {name: values[order] for name, values in arrays(features).items()}
    expected = evaluate(**ordered, data="sysu")
    del ordered["paths"]
    assert evaluate(**ordered, data="sysu") == expected


@pytest.mark.parametrize("direction", ["visible-to-infrared", "infrared-to-visible"])
@pytest.mark.parametrize("data", ["regdb", "llcm"])
def test_directions(data: str, direction: str) -> None:
    features = made_up(0, [(i, c) for i, c in PEOPLE], [(i, c + 1) for i, c in PEOPLE])
    found = evaluate(**arrays(features), data=data, direction=direction, draws=2)
    query, gallery = (np.flatnonzero(features.modality == m) for m in Modality)
    if direction == "infrared-to-visible":
        query, gallery = gallery, query
    assert len(found["draws"]) == (1 if data == "regdb" else 2)
    for draw in found["draws"]:
        chosen = gallery
        if data == "llcm":
            modality = Modality(int(features.modality[gallery[0]]))
            chosen = community_gallery(features, modality, [1, 2], 1, draw["draw"])
        images = [
            list(zip(features.identities[r].tolist(), features.cameras[r].tolist(), strict=True))
            for r in (query, chosen)
        ]
        expected = literal(1 - features.bn[query] @ features.bn[chosen].T, *images, data)
        assert draw["mAP"] == pytest.approx(100 * expected["mAP"], abs=1e-9)
        assert draw["rank1"] == pytest.approx(100 * expected["cmc"][0], abs=1e-9)
        assert (draw["queries"], draw["gallery"]) == (len(query), len(chosen))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.ones(4)}, r"features: an array of shape \[4\], expected \[images, channels\]"),
        ({"cameras": np.ones(2, int)}, r"cameras: an array of shape \[2\], expected \[36\], a value for each feature"),
        ({"modality": np.full(36, 2)}, r"modality: found 2, expected 0 \(visible\) or 1 \(infrared\)"),
        ({"features": np.zeros((36, 4))}, r"features: 36 rows are zero or not finite, the first is row 0 \(cam"),
        ({"features": np.full((36, 4), np.nan)}, "36 rows are zero or not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_named(changes: dict[str, np.ndarray], message: str) -> None:
    features = made_up(0, PEOPLE, PEOPLE)
    with pytest.raises(DataError, match=message):
        evaluate(**arrays(features, **changes), data="regdb", direction="visible-to-infrared")


def test_settings_that_there_are_not_are_named() -> None:
    features = made_up(0, PEOPLE, PEOPLE)
    with pytest.raises(ConfigError, match="direction: regdb has 2; name visible-to-infrared or infrared-to-visible"):
        evaluate(**arrays(features), data="regdb")
    with pytest.raises(ConfigError, match="direction: found 'north', expected visible-to-infrared or"):
        evaluate(**arrays(features), data="llcm", direction="north")
    with pytest.raises(ConfigError, match="'market' is no data set; did you mean"):
        evaluate(**arrays(features), data="market")


@pytest.mark.parametrize(("k1", "k2"), [(20, 6), (4, 1), (3, 2), (60, 6)])
def test_reranking_agrees_with_the_sets(k1: int, k2: int) -> None:
    rng = np.random.default_rng(k1)
    centres = rng.normal(size=(8, 12))
    rows = centres[rng.integers(8, size=50)] + 0.7 * rng.normal(size=(50, 12))
    rows = torch.from_numpy((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    found = reranked(rows[:18], rows[18:], k1, k2, 0.3)
    squared = (2 - 2 * rows @ rows.T).clamp(min=0).numpy()
    np.testing.assert_allclose(found, literally_reranked(squared, 18, k1, k2, 0.3), atol=2e-6)


@pytest.mark.parametrize("queries", [1, 2])
@pytest.mark.parametrize("gallery", [1, 2])
def test_reranking_where_all_images_are_the_same(queries: int, gallery: int) -> None:
    same = torch.nn.functional.normalize(torch.ones(3, 16))[:1]
    distances = reranked(same.expand(queries, 16), same.expand(gallery, 16))
    assert torch.equal(distances, torch.zeros(queries, gallery).fill_(distances[0, 0].item()))
    assert distances[0, 0] >= 0


@pytest.mark.parametrize("data", ["regdb", "sysu", "llcm"])
@pytest.mark.parametrize("rerank", [True, False])
@pytest.mark.parametrize("gallery", [1, 2])
def test_one_query_one_draw_and_a_small_gallery(data: str, rerank: bool, gallery: int) -> None:
    people = made_up(0, [(i, 1) for i in range(1, gallery + 1)], [(1, 2 if data == "llcm" else 3)])
    choice = {"sysu": {"shots": 10}}.get(data, {"direction": "infrared-to-visible"})
    found = evaluate(
        people.bn, people.identities, people.cameras, people.modality, data=data, draws=1, rerank=rerank, **choice
    )
    assert (found["queries"], found["gallery"], len(found["draws"])) == (1, gallery, 1)
    assert found["mean"]["mAP"] in (100, 50)


def test_reranking_is_a_column_and_helps_where_the_gallery_clusters() -> None:
    rng = np.random.default_rng(0)
    identities = np.repeat(np.arange(8), 6)
    bn = np.eye(16, dtype=np.float32)[identities] + 0.35 * rng.normal(size=(48, 16)).astype(np.float32)
    bn /= np.linalg.norm(bn, axis=1, keepdims=True)
    modality = np.tile([0, 0, 0, 1, 1, 1], 8)
    paths = np.array([f"{i:03d}" for i in range(48)])
    features = Features(identities, modality + 1, modality, paths, bn, bn, flip=True)
    plain = split_rows(features, 1, RegDB().comparisons(features))
    again = split_rows(features, 1, RegDB().comparisons(features), rerank=True)
    assert {(row["rerank"], row["flip"]) for row in plain} == {("no", "yes")}
    assert {(row["rerank"], row["flip"]) for row in again} == {("yes", "yes")}
    assert again[0]["mAP"] > plain[0]["mAP"]


def test_reranking_more_than_fits_is_refused() -> None:
    many = torch.ones(1, 1).expand(LARGEST, 1)
    with pytest.raises(DataError, match=r"40001 query and gallery images, 40000 or fewer fit in memory"):
        reranked(torch.ones(1, 1), many)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def test_the_command_prints_json_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = sysu_like(1)
    file = tmp_path / "theirs.npz"
    np.savez(file, **arrays(features, identities=features.identities.astype(np.int32)))
    options = ["evaluate", "--features", file, "--data", "sysu", "--mode", "all", "--shots", 1]
    status, out, _ = run(capsys, *options, "--protocol", "community", "--json")
    assert status == 0
    assert json.loads(out) == json.loads(json.dumps(evaluate(**arrays(features), data="sysu")))
    status, out, _ = run(capsys, *options)
    assert out.splitlines()[0] == "data sysu, protocol community, mode all, shots 1, rerank no"
    assert "without a match (not counted)" in out
    assert f"{json.loads(json.dumps(evaluate(**arrays(features), data='sysu')))['mean']['rank1']:.2f}" in out


def test_the_command_reads_a_features_file_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = made_up(0, PEOPLE, PEOPLE)
    save_features(tmp_path / "features.npz", features, 4)
    options = [
        "--features",
        tmp_path / "features.npz",
        "--data",
        "regdb",
        "--direction",
        "infrared-to-visible",
        "--json",
    ]
    for feature in ("bn", "pooled"):
        _, out, _ = run(capsys, "evaluate", *options, "--feature", feature)
        rows = split_rows(features, 4, RegDB().comparisons(features))
        wanted = (feature, "infrared-to-visible")
        row = next(row for row in rows if (row["feature"], row["direction"]) == wanted)
        assert json.loads(out)["mean"]["mAP"] == pytest.approx(row["mAP"], abs=1e-4), "rows are scaled anew"


def test_the_command_names_what_is_amiss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "evaluate", "--features", tmp_path / "none.npz", "--data", "sysu")
    assert (status, err.startswith(f"error: {tmp_path / 'none.npz'}: no such feature file")) == (1, True)
    np.savez(tmp_path / "part.npz", features=np.ones((2, 2)))
    status, _, err = run(capsys, "evaluate", "--features", tmp_path / "part.npz", "--data", "sysu")
    assert (status, "has no identities, cameras, modality, paths; expected features" in err) == (1, True)
    np.savez(tmp_path / "all.npz", **arrays(sysu_like(0)))
    options = ["--features", tmp_path / "all.npz", "--data", "sysu", "--protocol", "official"]
    status, _, err = run(capsys, "evaluate", *options)
    assert (status, "'official' needs the set's exp/rand_perm_cam.mat" in err) == (1, True)
    status, _, err = run(capsys, "evaluate", *options, "--permutations", tmp_path / "rand_perm_cam.mat")
    assert (status, "no such file; the official protocol draws its galleries from it: copy it there" in err) == (
        1,
        True,
    )


def test_a_flag_that_the_sets_protocol_has_not_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "all.npz", **arrays(sysu_like(2)))
    options = ["evaluate", "--features", tmp_path / "all.npz", "--data"]
    for data, flags, message in (
        ("regdb", ["--draws", 3], "draws: RegDB has no such setting; it has direction: leave it out"),
        ("regdb", ["--permutations", "x.mat"], "permutations: RegDB has no such setting; it has direction: leave"),
        ("llcm", ["--mode", "all"], "mode: LLCM has no such setting; it has direction, draws: leave it out"),
        (
            "sysu",
            ["--direction", "visible-to-infrared"],
            "direction: SYSU-MM01 has no such setting; it has mode",
        ),
        ("sysu", ["--shots", 5], "shots: found 5, expected 1 or 10"),
        ("sysu", ["--setting", "light=dark"], "light: SYSU-MM01 has no such setting"),
        ("sisu", [], "'sisu' is no data set; did you mean 'sysu'"),
    ):
        status, _, err = run(capsys, *options, data, *flags)
        assert (status, err.startswith(f"error: {message}")) == (1, True), err


def test_other_settings_are_the_sets_own() -> None:
    """As a set from outside the package may have; one that it has not is refused."""
    message = "light: SYSU-MM01 has no such setting; it has mode, shots, protocol, draws, permutations: leave it out"
    with pytest.raises(ConfigError, match=message):
        evaluate(**arrays(sysu_like(2)), data="sysu", light="dark")
