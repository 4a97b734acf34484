"""Where results lie, and what their paths say."""

from __future__ import annotations

from pathlib import Path

import pytest

from msclnet.config import Config, build, merge, plain, replace, splits, train_job
from msclnet.core.errors import DataError
from msclnet.results import layout, shared
from msclnet.results.layout import Layout, Place


def test_an_experiment_has_a_folder_of_its_own() -> None:
    assert Layout("default").table("regdb", "summary") == "results/regdb_summary.csv"
    own = Layout("lr")
    assert own.training("regdb", "agw", 3) == "results/experiments/lr/regdb/agw/split3"
    assert own.figure("sysu", "cmc", "svg") == "results/experiments/lr/figures/sysu_cmc.svg"


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ([], "default"),
        (["config/config.yaml"], "default"),
        (["config/mine.yaml"], "mine"),
        ([Path("/a/paper.yaml"), "my own.yaml"], "paper-my-own"),
    ],
)
def test_an_experiment_without_a_name_has_that_of_its_files(files: list[str | Path], name: str) -> None:
    assert layout.experiment(files) == name


def test_results_of_other_files_of_the_same_names_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Layout("lr")
    assert here.others(["a/lr.yaml"]) == "", "there are none"
    here.note(["a/lr.yaml"])
    assert here.others(["a/lr.yaml"]) == ""
    assert here.others(["b/lr.yaml"]) == (
        "results/experiments/lr: its tables and figures are by a/lr.yaml, and this run, by b/lr.yaml, writes over "
        "them: the names are the same. To keep both, give one another: run.name"
    )
    assert "by the default alone, writes over them" in here.others([])
    for content in ("", "{}", "3"):
        (Path(here.root) / layout.CONFIGURATION).write_text(content)
        assert here.others(["b/lr.yaml"]) == "", "they do not say"


def test_a_path_says_whose_it_is() -> None:
    assert Place.of(Path("x/agw/split12/scores.json"), "scores.json") == Place("agw", 12)
    for wrong in ("agw/split12/model.pt", "agw/12/scores.json", "split12/scores.json", "agw/split12.old/scores.json"):
        with pytest.raises(DataError, match=r"expected a path that ends in <method>/split<N>/scores\.json"):
            Place.of(Path(wrong), "scores.json")


def test_what_decides_a_training_decides_its_folder(default: Config) -> None:
    """Its own section and its images; nothing that is only scored, drawn or sent."""
    job = train_job(default, "regdb", "agw", 1)
    folder = shared.training(default, job)
    assert folder.startswith("results/trainings/regdb-agw-split1-")
    other = replace(
        default, evaluate=replace(default.evaluate, flip=True), tracking=replace(default.tracking, uri="http://x:1")
    )
    assert shared.training(other, train_job(other, "regdb", "agw", 1)) == folder
    slower = replace(default, train=replace(default.train, rate=0.01))
    larger = replace(default, data=replace(default.data, height=96))
    reseeded = replace(default, stand_in=replace(default.stand_in, seed=1))
    folders = {shared.training(c, train_job(c, "regdb", "agw", 1)) for c in (default, slower, larger, reseeded)}
    assert len(folders) == 4


def test_a_training_is_the_same_beside_few_splits_and_many(default: Config) -> None:
    """So that who began with one split trains nine more for all ten."""
    few = build(Config, merge(plain(default), {"data": {"regdb": {"splits": [1]}}}))
    assert splits(few, "regdb") == (1,)
    assert shared.pack(few, "regdb") == shared.pack(default, "regdb")
    one, of_ten = (shared.training(c, train_job(c, "regdb", "agw", 1)) for c in (few, default))
    assert one == of_ten


def test_packs_and_stand_ins_are_shared_by_what_wants_the_same(default: Config) -> None:
    slower = replace(default, train=replace(default.train, rate=0.01))
    assert shared.pack(slower, "sysu") == shared.pack(default, "sysu")
    assert shared.root(default, "sysu") == shared.stand_in(default, "sysu")
    assert shared.pack(default, "sysu") != shared.pack(replace(default, data=replace(default.data, width=48)), "sysu")
    assert not shared.held_to_the_real(default, "sysu")
    assert splits(default, "sysu") == (1,)
