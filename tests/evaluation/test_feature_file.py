"""features.npz and scores.json: what is written comes back, the same bytes each time; what is amiss is named."""

from __future__ import annotations

import dataclasses
import json
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from msclnet.core.errors import DataError
from msclnet.core.types import Features
from msclnet.evaluation.feature_file import load_features, load_split, save_features
from msclnet.results.layout import split_of
from msclnet.results.scores import write_scores
from tests.evaluation.people import made_up


@pytest.fixture
def features() -> Features:
    return made_up(0, [(1, 1), (2, 4)], [(1, 3), (2, 6)])


def rewrite(path: Path, features: Features, **changes: object) -> Path:
    """The file with some arrays replaced, or left out where the change is None."""
    arrays = {**vars(features), "split": np.int64(3), **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_there_and_back(tmp_path: Path, features: Features) -> None:
    path = tmp_path / "features.npz"
    save_features(path, features, 3)
    loaded, split = load_features(path)
    assert split == 3
    for field in dataclasses.fields(Features):
        one, other = getattr(features, field.name), getattr(loaded, field.name)
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)
        assert np.asarray(one).dtype == np.asarray(other).dtype
    assert [p.name for p in tmp_path.iterdir()] == ["features.npz"]


def test_the_same_features_give_the_same_bytes(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_features(tmp_path / "one.npz", features, 3)
    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(later))
    save_features(tmp_path / "other.npz", features, 3)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "features.npz"
    save_features(path, features, 3)
    before = path.read_bytes()

    def interrupted(file: object, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_features(path, features, 4)
    assert path.read_bytes() == before


def constant(value: float) -> np.ndarray:
    return np.full((4, 16), value, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cameras": None, "split": None}, "has no cameras, split; expected bn, pooled, identities"),
        ({"cameras": np.arange(3)}, "cameras is int64 of shape [3]; expected int64 of shape [4]"),
        ({"bn": np.ones((3, 16), np.float32)}, "bn is float32 of shape [3, 16]; expected float32 of shape [4, 16]"),
        ({"bn": np.ones(4, np.float32)}, "bn is float32 of shape [4]; expected float32 of shape [4, 4]"),
        ({"pooled": np.ones((4, 16))}, "pooled is float64 of shape [4, 16]; expected float32"),
        ({"identities": np.ones(4)}, "identities is float64 of shape [4]; expected int64"),
        ({"paths": np.arange(4)}, "paths is int64 of shape [4]; expected str_"),
        ({"split": np.arange(2)}, "split is int64 of shape [2]; expected int64 of shape []"),
        ({"bn": constant(np.nan)}, "bn has 4 rows that are not of unit length, the first of length nan ("),
        ({"bn": constant(np.inf)}, "the first of length inf"),
        ({"pooled": constant(0.5)}, "pooled has 4 rows that are not of unit length, the first of length 2 ("),
        (
            {"paths": np.array(["a", None, {}, 1], dtype=object)},
            "not a readable .npz of features (it holds Python objects",
        ),
    ],
)
def test_what_is_amiss_is_named(tmp_path: Path, features: Features, changes: dict[str, object], message: str) -> None:
    path = rewrite(tmp_path / "features.npz", features, **changes)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        load_features(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "extract the features again" in str(error.value)


def test_an_absent_or_damaged_file_is_named(tmp_path: Path, features: Features) -> None:
    path = tmp_path / "features.npz"
    with pytest.raises(DataError, match=r"features.npz: no such feature file; extract"):
        load_features(path)
    save_features(path, features, 3)
    whole = path.read_bytes()
    for damaged in (whole[:-100], b"", b"no archive", whole.replace(b"\x80\xbe", b"\x80\x3f")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"not a readable .npz of features"):
            load_features(path)
    with path.open("wb") as file:
        np.save(file, features.bn)
    with pytest.raises(DataError, match=r"not a readable .npz of features"):
        load_features(path)


def test_another_splits_features_are_refused(tmp_path: Path, features: Features) -> None:
    path = tmp_path / "features.npz"
    save_features(path, features, 3)
    assert len(load_split(path, 3).paths) == 4
    with pytest.raises(DataError, match=r"features.npz: features of split 3, expected split 4; extract"):
        load_split(path, 4)


def test_the_split_of_a_folder() -> None:
    assert split_of(Path("results/regdb/agw/split10/features.npz")) == 10
    with pytest.raises(DataError, match="lies in a folder called 'split', expected split<N>"):
        split_of(Path("agw/split/features.npz"))


def test_scores_are_json_with_a_line_for_each_row(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    rows = [{"feature": "bn", "rank1": 100 / 3}, {"feature": "pooled", "rank1": 0.0}]
    write_scores(path, 2, rows)
    assert json.loads(path.read_text()) == {"split": 2, "rows": rows}
    assert len(path.read_text().splitlines()) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_scores_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_scores(tmp_path / "scores.json", 1, [{"mAP": float("nan")}])
    assert list(tmp_path.iterdir()) == []


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "features.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("bn.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (2**20, 75)})
        for _ in range(300):
            file.write(bytes(2**20))
    assert path.stat().st_size < 3 * 2**20
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(DataError, match=r"features\.npz: .*bytes that unpack to 3145\d+; expected at most 100 times"):
        load_features(path)
