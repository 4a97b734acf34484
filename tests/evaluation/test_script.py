"""workflow/scripts/evaluate.py as a rule and a shell run it."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from msclnet.core.types import Modality
from msclnet.datasets.regdb import RegDB
from msclnet.datasets.sysu import SYSU, load_permutations
from msclnet.evaluation.feature_file import save_features
from msclnet.evaluation.scoring import split_rows
from tests.conftest import ROOT
from tests.datasets import trees
from tests.evaluation.people import made_up, sysu_comparisons, sysu_like

SCRIPT = str(ROOT / "workflow/scripts/evaluate.py")
PEOPLE = [(i, 1) for i in range(4) for _ in range(3)]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch):
    """Runs the script in this process, which has torch imported already."""

    def run(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [SCRIPT, *map(str, arguments)])
        runpy.run_path(SCRIPT, run_name="__main__")

    return run


def test_several_splits_at_once(tmp_path: Path, evaluate) -> None:
    """Each is scored as its folder's split, into a file beside its features."""
    files = [tmp_path / f"split{split}" / "features.npz" for split in (1, 2)]
    for split, file in enumerate(files, start=1):
        file.parent.mkdir()
        save_features(file, made_up(split, PEOPLE, PEOPLE), split)
    evaluate("--set", "regdb", "--features", *files)
    for split, file in enumerate(files, start=1):
        found = json.loads(file.with_name("scores.json").read_text())
        features = made_up(split, PEOPLE, PEOPLE)
        assert found == {"split": split, "rows": split_rows(features, split, RegDB().comparisons(features))}


def test_sysu_to_a_named_file(tmp_path: Path, evaluate) -> None:
    features, out = tmp_path / "features.npz", tmp_path / "out.json"
    save_features(features, sysu_like(0), 1)
    options = ["--options", "{modes: [indoor], shots: [10], protocol: community, draws: 2}"]
    evaluate("--set", "sysu", "--features", features, "--split", 1, *options, "--out", out)
    comparisons = sysu_comparisons(sysu_like(0), ["indoor"], [10], "community", 2)
    assert json.loads(out.read_text())["rows"] == split_rows(sysu_like(0), 1, comparisons)


def test_the_official_galleries_are_read_from_the_sets_folder(tmp_path: Path, evaluate) -> None:
    root, features = trees.sysu(tmp_path / "SYSU"), tmp_path / "features.npz"
    test = SYSU().survey(root, real=False).require()[1].test
    images = {m: [(r.identity, r.camera) for r in test if r.modality is m] for m in Modality}
    save_features(features, made_up(0, *images.values()), 1)
    options = ["--set", "sysu", "--features", features, "--split", 1, "--options", "{protocol: official}"]
    with pytest.raises(SystemExit, match=r"'official' needs the set's exp/rand_perm_cam\.mat"):
        evaluate(*options, "--out", tmp_path / "none.json")
    evaluate(*options, "--root", root, "--out", tmp_path / "scores.json")
    people, permutations = made_up(0, *images.values()), load_permutations(root)
    comparisons = sysu_comparisons(people, ["all", "indoor"], [1, 10], "official", 10, permutations)
    assert json.loads((tmp_path / "scores.json").read_text())["rows"] == split_rows(people, 1, comparisons)


def test_features_of_another_sets_cameras_are_refused(tmp_path: Path, evaluate) -> None:
    """RegDB's, scored by the protocol of SYSU-MM01: most would be passed over without a word."""
    images = {m: [(i, 1 + m) for i, _ in PEOPLE] for m in Modality}
    save_features(tmp_path / "features.npz", made_up(0, *images.values()), 1)
    with pytest.raises(SystemExit, match=r"cameras: found 2 on infrared images, .*SYSU-MM01 has 3, 6 there"):
        evaluate("--set", "sysu", "--features", tmp_path / "features.npz", "--split", 1, "--out", tmp_path / "s.json")
    assert not (tmp_path / "s.json").exists()


def test_another_split_ends_with_a_message_and_no_file(tmp_path: Path) -> None:
    """A process of its own: what a shell and Snakemake see."""
    features, out = tmp_path / "features.npz", tmp_path / "scores.json"
    save_features(features, made_up(0, PEOPLE, PEOPLE), 2)
    command = [sys.executable, SCRIPT, "--set", "regdb", "--features", features, "--split", "1", "--out", out]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: {features}: features of split 2, expected split 1")
    assert "Traceback" not in run.stderr
    assert not out.exists()


@pytest.mark.parametrize("option", ["--split=1", "--out=scores.json"])
def test_one_name_for_several_files_is_refused(evaluate, capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        evaluate("--set", "regdb", "--features", "a.npz", "b.npz", option)
    assert "--split and --out go with a single file of features" in capsys.readouterr().err


def test_help(evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        evaluate("--help")
    assert "--features" in capsys.readouterr().out
