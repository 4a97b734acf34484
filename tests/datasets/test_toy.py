"""A data set from a single file outside the package: drawn, checked, packed, scored and exported, as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from msclnet.core.registry import PLUGINS
from msclnet.core.types import Features, Modality
from msclnet.data.pack import Pack
from msclnet.evaluation.feature_file import save_features
from tests.conftest import ROOT
from tests.evaluation.reference import literal

TOY = ROOT / "tests/datasets/toy.py"
FLAGS = ("--options", '{like: "", images: 2}', "--seed", "3")


def run(*command: object, plugin: bool = True) -> subprocess.CompletedProcess[str]:
    """A script or ``msclnet``, in a process that knows the file by its plugin alone."""
    program = ROOT / "workflow/scripts" / str(command[0]) if str(command[0]).endswith(".py") else None
    words = [program] if program else ["-m", "msclnet.cli", command[0]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), PLUGINS: str(TOY) if plugin else ""}
    line = [sys.executable, *map(str, (*words, *command[1:]))]
    return subprocess.run(line, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy") / "Toy"
    drawn = run("draw_stand_in.py", "--set", "toy", *FLAGS, "--out", root, "--workers", 2)
    assert drawn.returncode == 0, drawn.stderr
    assert json.loads((root / "drawn.json").read_text())["layout"] == "Toy"
    return root


def features_of(pack: Pack) -> Features:
    """The test images' own pixels, scaled to unit length."""
    rows = {modality: pack.rows(1, "test", modality) for modality in Modality}
    pixels = [pack.images[m][rows[m]].reshape(len(rows[m]), -1) for m in Modality]
    embedded = np.concatenate(pixels).astype(np.float32)
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
    return Features(
        np.concatenate([pack.identities[m][rows[m]] for m in Modality]),
        np.concatenate([pack.cameras[m][rows[m]] for m in Modality]),
        np.repeat([int(m) for m in Modality], [len(rows[m]) for m in Modality]),
        np.array([pack.paths[m][row] for m in Modality for row in rows[m]]),
        embedded,
        embedded,
        flip=False,
    )


def test_from_drawn_people_to_scores(root: Path, tmp_path: Path) -> None:
    """check -> pack -> evaluate, by hand; the scores are the slow reading's."""
    checked = run("check_data.py", "--set", "toy", "--root", root, "--real", "--out", tmp_path / "check.json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads((tmp_path / "check.json").read_text()) == {"identities": 6, "images": 24}
    size = ("--height", 16, "--width", 8)
    packed = run("pack.py", "--set", "toy", "--root", root, *size, "--out", tmp_path / "pack", "--workers", 2)
    assert packed.returncode == 0, packed.stderr
    pack = Pack.open(tmp_path / "pack")
    assert {m: len(pack.rows(1, "train", m)) for m in Modality} == {Modality.VISIBLE: 8, Modality.INFRARED: 8}

    features = features_of(pack)
    save_features(tmp_path / "features.npz", features, 1)
    scored = run(
        "evaluate.py", "--set", "toy", "--features", tmp_path / "features.npz", "--split", 1, "--root", root,
        "--out", tmp_path / "scores.json",
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    rows = [row for row in json.loads((tmp_path / "scores.json").read_text())["rows"] if row["feature"] == "bn"]
    assert [row["direction"] for row in rows] == ["visible-to-infrared", "infrared-to-visible"]
    for row, (asking, answering) in zip(rows, ((0, 1), (1, 0)), strict=True):
        query, gallery = (np.flatnonzero(features.modality == m) for m in (asking, answering))
        known = [[(int(features.identities[i]), int(features.cameras[i])) for i in part] for part in (query, gallery)]
        expected = literal(1 - features.bn[query] @ features.bn[gallery].T, *known, "regdb")
        assert expected is not None
        assert row["mAP"] == pytest.approx(100 * expected["mAP"], abs=1e-9)
        assert (row["queries"], row["gallery"]) == (4, 4)

    one = ("--direction", "infrared-to-visible")
    again = run("evaluate", "--features", tmp_path / "features.npz", "--data", "toy", *one, "--json")
    assert json.loads(again.stdout)["mean"]["mAP"] == pytest.approx(rows[1]["mAP"], abs=1e-4)
    refused = run("evaluate", "--features", tmp_path / "features.npz", "--data", "toy", *one, "--draws", 3)
    assert refused.stderr == "error: draws: Toy has no such setting; it has direction: leave it out\n"
    wrong = run("evaluate.py", "--set", "toy", "--features", tmp_path / "features.npz", "--options", "{draws: 3}")
    assert "evaluate.toy: found {'draws': 3}; Toy has nothing to choose" in wrong.stderr


def test_the_command_checks_and_exports_it(root: Path, tmp_path: Path) -> None:
    assert "no problems" in run("check-data", "toy", root).stdout
    (root / "night/6/0.png").rename(tmp_path / "away.png")
    amiss = run("check-data", "toy", root)
    (tmp_path / "away.png").rename(root / "night/6/0.png")
    assert (amiss.returncode, f"{root}: 23 images, expected 24" in amiss.stdout) == (1, True)
    exported = run("export-npy", "toy", root, tmp_path / "out", "--height", 16, "--width", 8, "--workers", 1)
    assert exported.stdout == f"{tmp_path / 'out'}: 8 rgb, 8 ir\n", exported.stderr
    assert np.load(tmp_path / "out/train_ir_resized_label.npy").tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_without_the_file_there_is_no_such_set(root: Path) -> None:
    near = "error: 'toy' is no data set; did you mean 'regdb' or 'sysu' or 'llcm'?"
    for command in (("check-data", "toy", root), ("check_data.py", "--set", "toy", "--root", root)):
        found = run(*command, plugin=False)
        assert (found.returncode, found.stderr.strip()) == (1, near)
