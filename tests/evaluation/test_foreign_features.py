"""Features as other people's code stores them: scored as our own file of the same numbers is, or refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from msclnet.cli import main
from msclnet.core.errors import UserError
from msclnet.core.types import Features, Modality
from msclnet.datasets.table import SETS
from msclnet.evaluation.foreign_features import load_features_of
from tests.evaluation.people import made_up, sysu_like

V2I = ("--direction", "visible-to-infrared")


def in_order(found: Features) -> Features:
    """The images in the order of their paths, as folders are read; their features without ties."""
    order = np.argsort(found.paths)
    images = {name: getattr(found, name)[order] for name in ("identities", "cameras", "modality", "paths")}
    drawn = np.random.default_rng(0).standard_normal((len(order), 16)).astype(np.float32)
    return Features(**images, bn=drawn, pooled=drawn, flip=False)


def halves(found: Features, asking: Modality) -> dict[str, np.ndarray]:
    """As layumi's test.py names them."""
    arrays = {}
    for half, modality in (("query", asking), ("gallery", Modality(1 - asking))):
        rows = found.modality == modality
        parts = {"f": found.bn[rows], "label": found.identities[rows], "cam": found.cameras[rows]}
        arrays |= {f"{half}_{part}": values for part, values in parts.items()}
    return arrays


def own(path: Path, found: Features) -> Path:
    names = ("identities", "cameras", "modality", "paths")
    np.savez(path, features=found.bn, **{name: getattr(found, name) for name in names})
    return path


def scores(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> dict[str, Any]:
    assert main(["evaluate", "--features", str(path), "--json", *arguments]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def said(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> str:
    assert main(["evaluate", "--features", str(path), *arguments]) == 1
    return capsys.readouterr().err


def as_mat(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    savemat(folder / "pytorch_result.mat", arrays)  # vectors become rows
    return folder / "pytorch_result.mat"


def as_old_mat(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    doubles = {name: values.astype(np.float64) for name, values in arrays.items()}
    savemat(folder / "old.mat", doubles, format="4", oned_as="column")
    return folder / "old.mat"


def as_npz(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(folder / "halves.npz", **arrays)
    return folder / "halves.npz"


def as_folder(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    (folder / "arrays").mkdir()
    for name, values in arrays.items():
        np.save(folder / "arrays" / f"{name}.npy", values)
    return folder / "arrays"


def as_one_of_a_folder(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    return as_folder(folder, arrays) / "gallery_f.npy"


FORMS = [as_mat, as_old_mat, as_npz, as_folder, as_one_of_a_folder]


@pytest.mark.parametrize("form", FORMS)
def test_two_halves_of_sysu_score_as_our_own_file_does(
    form: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its cameras say which half is of which modality."""
    found = in_order(sysu_like(3))
    path = form(tmp_path, halves(found, Modality.INFRARED))
    for mode in ("all", "indoor"):
        how = ("--data", "sysu", "--mode", mode)
        assert scores(capsys, path, *how) == scores(capsys, own(tmp_path / "own.npz", found), *how)


@pytest.mark.parametrize("asking", list(Modality))
def test_two_halves_of_regdb_need_a_direction_and_no_cameras(
    asking: Modality, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = in_order(made_up(1, [(who, 1) for who in range(9)] * 2, [(who, 2) for who in range(9)]))
    arrays = {name: values for name, values in halves(found, asking).items() if not name.endswith("cam")}
    path = as_mat(tmp_path, arrays)
    names = ("visible", "infrared")
    direction = ("--direction", f"{names[asking]}-to-{names[1 - asking]}")
    ours = scores(capsys, own(tmp_path / "own.npz", found), "--data", "regdb", *direction)
    assert scores(capsys, path, "--data", "regdb", *direction) == ours
    assert "direction: " in (error := said(capsys, path, "--data", "regdb"))
    assert "name visible-to-infrared or infrared-to-visible" in error


def test_one_array_with_its_labels_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = in_order(sysu_like(4))
    np.save(tmp_path / "net.npy", found.bn)
    assert "expected net_label.npy, net_cam.npy, net_modality.npy beside it" in said(
        capsys, tmp_path / "net.npy", "--data", "sysu"
    )
    np.save(tmp_path / "net_label.npy", found.identities)
    assert "net_cam.npy: no such file; SYSU-MM01's protocol reads the cameras" in said(
        capsys, tmp_path / "net.npy", "--data", "sysu"
    )
    assert "net_modality.npy: no such file; expected 0 (visible) or 1" in said(
        capsys, tmp_path / "net.npy", "--data", "regdb", *V2I
    )
    np.save(tmp_path / "net_cam.npy", found.cameras)
    ours = scores(capsys, own(tmp_path / "own.npz", found), "--data", "sysu")
    assert scores(capsys, tmp_path / "net.npy", "--data", "sysu") == ours, "its cameras say the modality"
    np.save(tmp_path / "net_modality.npy", found.modality)
    assert scores(capsys, tmp_path / "net.npy", "--data", "sysu") == ours


WHOLE = "expected 48 whole numbers"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"query_label": None, "gallery_cam": None}, "has no query_label, gallery_cam; expected query_f, query_label"),
    ({"query_cam": np.arange(3)}, f"query_cam is int64 of shape [1, 3]; {WHOLE}"),
    ({"query_label": np.full(48, 0.5)}, f"query_label is float64 of shape [1, 48]; {WHOLE}"),
    ({"query_label": np.full(48, np.nan)}, WHOLE),
    ({"gallery_f": np.ones((2, 3, 4))}, "gallery_f is float64 of shape [2, 3, 4]; expected numbers of shape [im"),
    ({"query_f": np.ones((48, 3))}, "channels differ, query_f 3 and gallery_f 16; expected features of one net"),
    ({"query_f": np.full((48, 16), np.nan)}, "features: 48 rows are zero or not finite"),
    ({"query_cam": np.zeros(48)}, "found the camera 0, and SYSU-MM01 has visible 1, 2, 4, 5, infrared 3, 6"),
    ({"query_cam": np.ones(48)}, "query row 000000000 is visible by its camera 1, which SYSU-MM01 does not ask wit"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_is_amiss_in_them_is_named(
    changes: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {**halves(sysu_like(3), Modality.INFRARED), **changes}
    path = as_mat(tmp_path, {name: values for name, values in arrays.items() if values is not None})
    error = said(capsys, path, "--data", "sysu")
    assert message in error
    assert "Traceback" not in error


def test_a_mat_of_other_things_says_what_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    savemat(tmp_path / "x.mat", {"rand_perm_cam": np.ones(3), "notes": "text"})
    error = said(capsys, tmp_path / "x.mat", "--data", "sysu")
    assert "x.mat: not readable as a .mat of features (it has rand_perm_cam, notes, none of query_f" in error


def test_no_message_says_how_to_run_what_is_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = np.array([{}, None], dtype=object)
    np.save(tmp_path / "x.npy", objects)
    np.savez(tmp_path / "x.npz", query_f=objects)
    np.savez(tmp_path / "y.npz", **dict.fromkeys(("features", "identities", "cameras", "modality", "paths"), objects))
    for name in ("x.npy", "x.npz", "y.npz"):
        error = said(capsys, tmp_path / name, "--data", "sysu")
        assert "it holds Python objects, which could run a program: save numbers, and words as str" in error
        assert "pickle" not in error


def test_an_array_that_promises_more_than_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2048)}
        np.lib.format.write_array_header_1_0(file, header)
    assert "x.npy: not readable (" in said(capsys, tmp_path / "x.npy", "--data", "sysu")


@pytest.mark.parametrize("form", [as_npz, as_one_of_a_folder])
def test_no_damage_to_a_file_is_a_traceback(form: Callable[..., Path], tmp_path: Path) -> None:
    """Each mutation is read, or refused by an error of the project's own."""
    path = form(tmp_path, halves(in_order(sysu_like(3)), Modality.INFRARED))
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        header = min(len(damaged), 200 if rng.random() < 0.7 else len(damaged))  # where a byte does the most
        for place in rng.integers(0, header, 3) if header else ():
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            load_features_of(path, SETS.get("sysu"))
        except UserError:
            refused += 1
    assert refused > 100


def test_any_other_file_is_called_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "features.npz").write_text("<!doctype html><title>Sign in</title>")
    error = said(capsys, tmp_path / "features.npz", "--data", "sysu")
    assert "features.npz: a web page (HTML): a download that ended at a page, perhaps; expected features: an" in error
    assert "folder without query_f.npy and gallery_f.npy" in said(capsys, tmp_path, "--data", "sysu")
    assert "absent.mat: no such feature file" in said(capsys, tmp_path / "absent.mat", "--data", "sysu")
