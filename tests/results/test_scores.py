"""scores.json and the layout around it: of which set it is, its headline, and a set that nobody knew before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from msclnet.core.errors import DataError
from msclnet.core.types import Images
from msclnet.datasets.base import Survey
from msclnet.datasets.dataset import DataSet, Printed, PrintedTable
from msclnet.datasets.protocol import Comparison
from msclnet.datasets.table import SETS
from msclnet.report.figures.cmc import plot_cmc
from msclnet.report.figures.style import Frame
from msclnet.results.captions import headline_words, images, over, spread
from msclnet.results.layout import CONFIG, Layout, Place, StudyPlace, experiment, home_of
from msclnet.results.scores import METRICS, headline, read_scores, set_of, write_scores
from msclnet.results.tables import summary, trials
from msclnet.tracking.naming import metrics

HOW = {"flip": "no", "rerank": "no", "protocol": "standard"}
REST = dict.fromkeys(METRICS, 10.0) | {"queries": 3, "queries_without_match": 0, "gallery": 3, "cmc": [10.0, 20.0]}


class Night(DataSet):
    """Two hours of the night, a training on each of its splits."""

    name = "night"
    title = "Night"
    columns = ("hour", "direction")
    order: ClassVar[dict[str, tuple[str, ...]]] = {"hour": ("late", "early")}
    trial: ClassVar[Literal["split", "draw"]] = "split"
    headline = ({"hour": "late", "direction": "forth"},)
    printed: ClassVar[PrintedTable] = {("agw", ("late", "forth")): Printed(rank1=1.5, source="made up")}

    def survey(self, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
        raise NotImplementedError

    def draw(self, root: Path, options: Any, seed: int, workers: int) -> None:
        raise NotImplementedError

    def comparisons(self, images: Images, options: Any = None, root: Path | None = None) -> Iterator[Comparison]:
        raise NotImplementedError


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETS._entries, "night", Night())


def rows(split: int, rank1: float) -> list[dict[str, Any]]:
    where = [{"hour": hour, "direction": d} for hour in ("early", "late") for d in ("forth", "back")]
    return [
        {"feature": feature, **HOW, **setting, "split": split, **REST, "rank1": rank1 + number}
        for feature in ("bn", "pooled")
        for number, setting in enumerate(where)
    ]


def test_a_set_of_another_file_has_tables_figures_and_metrics(tmp_path: Path, night: None) -> None:
    """No line of the package names it: columns, order, headline, print and words are the object's."""
    paths = [tmp_path / f"agw/split{split}/scores.json" for split in (1, 2)]
    for split, path in enumerate(paths, start=1):
        path.parent.mkdir(parents=True)
        write_scores(path, split, rows(split, 10.0 * split))
    table = summary("night", trials("night", "Night", ["agw"], paths))
    assert [(line["hour"], line["direction"]) for line in table if line["feature"] == "bn"] == [
        ("late", "back"), ("late", "forth"), ("early", "back"), ("early", "forth"),
    ]  # fmt: skip
    assert [(line["rank1"], line["paper_rank1"]) for line in table[:2]] == [(18.0, None), (17.0, 1.5)]
    measured = metrics("night", read_scores("night", 1, paths[0]))
    assert measured["rank1"] == measured["late/forth/bn/rank1"] == [12.0]
    points = plot_cmc(Frame("night", "Night", ("agw",), tmp_path / "cmc.svg"), 2, paths)
    assert {point.panel for point in points} == {"early forth", "early back", "late forth", "late back"}
    assert "Night: CMC (mean and range over 2 splits)" in (tmp_path / "cmc.svg").read_text()
    assert set_of(paths[0], "", None) == ("night", 1)
    assert (headline_words("night"), spread("night", 2)) == (
        "late forth",
        "mean and standard deviation over 2 splits, a training each",
    )


def test_a_file_is_of_the_set_whose_keys_it_has(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    sysu = {"mode": "all", "shots": 1, "draw": 0, "split": 1}
    for where, name in (
        (sysu, "sysu"),
        ({"direction": "visible-to-infrared", "split": 1}, "regdb"),
        ({"direction": "visible-to-infrared", "draw": 0, "split": 1}, "llcm"),
    ):
        write_scores(path, 1, [{"feature": "bn", **HOW, **where, **REST}])
        assert set_of(path, "", 4) == (name, 4)
    path.write_text(json.dumps({"split": 1, "rows": [{"feature": "bn"}]}))
    with pytest.raises(DataError, match=r"scores.json: rows with the keys feature; expected those of regdb, sysu"):
        set_of(path, "", None)


def test_the_headline_is_of_the_first_way_alone() -> None:
    plain = [
        {"feature": feature, **HOW, "direction": d, "split": 1, **REST}
        for feature in ("bn", "pooled")
        for d in ("infrared-to-visible", "visible-to-infrared")
    ]
    found = headline("regdb", [*plain, *(row | {"rerank": "yes"} for row in plain)])
    assert [[(row["direction"], row["feature"], row["rerank"]) for row in trials] for trials in found] == [
        [("visible-to-infrared", "bn", "no")],
        [("infrared-to-visible", "bn", "no")],
    ]
    assert headline("regdb", plain[:1]) == [[], plain[:1]]


def test_a_path_says_what_it_is_of(tmp_path: Path) -> None:
    assert Place.of(Path("results/regdb/agw/split3/scores.json"), "scores.json") == Place("agw", 3)
    study = StudyPlace.of(Path("sysu/studies/mine/B+MS/seed4/split1/scores.json"), "scores.json")
    assert study == StudyPlace("mine", "B+MS", 4, 1)
    for wrong in ("regdb/agw/split3/model.pt", "agw/three/scores.json", "split3/scores.json"):
        with pytest.raises(DataError, match=r"expected a path that ends in <method>/split<N>/scores\.json"):
            Place.of(Path(wrong), "scores.json")
    for wrong in (
        "sysu/agw/seed4/split1/scores.json",
        "studies/B/seed/split1/scores.json",
        "B/seed1/split1/scores.json",
    ):
        with pytest.raises(DataError, match=r"expected a path that ends in studies/<study>/<variant>/seed<n>/split<N>"):
            StudyPlace.of(Path(wrong), "scores.json")
    for split in (1, 10):
        (tmp_path / f"agw/split{split}").mkdir(parents=True)
        (tmp_path / f"agw/split{split}/scores.json").touch()
    own = tmp_path / "agw/split1/scores.json"
    assert Place.of(own, "scores.json").siblings(own) == {1: own, 10: tmp_path / "agw/split10/scores.json"}


def test_one_network_may_serve_all_splits(tmp_path: Path) -> None:
    folder = tmp_path / "untrained/split4"
    folder.mkdir(parents=True)
    assert home_of(folder) == folder
    (tmp_path / "untrained" / CONFIG).touch()
    assert home_of(folder) == tmp_path / "untrained"
    (folder / CONFIG).touch()
    assert home_of(folder) == folder


def test_an_experiment_has_a_folder_of_its_own() -> None:
    assert (Layout("default").root, Layout("wide").root) == ("results", "results/experiments/wide")
    assert Layout("wide").table("regdb", "summary") == "results/experiments/wide/regdb_summary.csv"
    assert Layout("default").tracked("regdb") == "results/tracking/regdb.json"
    assert (experiment([]), experiment(["config/my run.yaml", "b.yml"])) == ("default", "my-run-b")


def test_words() -> None:
    assert (over(1, "split"), over(3, "gallery draw")) == ("one split", "mean and range over 3 gallery draws")
    assert spread("sysu", 10) == "mean and standard deviation over 10 gallery draws of one training"
    assert spread("regdb", 1) == "of one split"
    assert headline_words("regdb") == "mean of visible to infrared and infrared to visible"
    assert headline_words("sysu") == "all search, single-shot"
    assert images("LLCM") == "Images: LLCM."
    assert images("stand-in") == "Drawn stand-in: no result on the real set."
