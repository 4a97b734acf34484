"""Figures: the right numbers, the same bytes each time, and captions that say what they show."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from msclnet.core.errors import DataError
from msclnet.report.figures.cmc import plot_cmc
from msclnet.report.figures.curves import CurvePoint
from msclnet.report.figures.losses import plot_losses
from msclnet.report.figures.style import Frame
from msclnet.results.scores import METRICS
from tests.conftest import ROOT

METHODS = ["untrained", "agw"]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def frame(name: str, data: str, methods: list[str], out: Path) -> Frame:
    return Frame(name, data, tuple(methods), out)


REST = {"flip": "no", "rerank": "no", "queries": 1200, "queries_without_match": 7, "gallery": 4321}
REST |= dict.fromkeys(METRICS, 50.0)


def regdb_row(cmc: list[float], feature: str = "bn", direction: str = "visible-to-infrared") -> dict[str, Any]:
    return {"feature": feature, "protocol": "standard", "direction": direction, "cmc": cmc, **REST}


def sysu_row(cmc: list[float], mode: str, shots: int, draw: int) -> dict[str, Any]:
    where = {"protocol": "community", "mode": mode, "shots": shots, "draw": draw}
    return {"feature": "bn", **where, "cmc": cmc, **REST}


def scores(folder: Path, method: str, split: int, rows: list[dict[str, Any]]) -> Path:
    content = {"split": split, "rows": [row | {"split": split} for row in rows]}
    return write(folder / method / f"split{split}" / "scores.json", json.dumps(content))


def record(folder: Path, method: str, split: int, epochs: dict[int, dict[str, float]]) -> Path:
    """metrics.jsonl with a step and an epoch of ten steps for each of ``epochs``."""
    lines: list[dict[str, Any]] = [{"kind": "start", "time": 1.0}]
    for number, terms in epochs.items():
        where = {"time": 1.0, "epoch": number, "step": 10 * number}
        lines.append({"kind": "step", **where, "rate": 0.1 / number, "total": -99.0})
        lines.append({"kind": "epoch", **where, "seconds": 1.0, "images_per_second": 10.0, **terms})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return write(folder / method / f"split{split}" / "metrics.jsonl", text)


@pytest.fixture
def regdb(tmp_path: Path) -> list[Path]:
    """Two splits of each method; the second gallery of the untrained network is smaller."""
    return [
        scores(tmp_path, "agw", 1, [regdb_row([50, 70, 90]), regdb_row([1, 2, 3], feature="pooled")]),
        scores(tmp_path, "agw", 2, [regdb_row([60, 80, 90])]),
        scores(tmp_path, "untrained", 1, [regdb_row([5, 10, 15])]),
        scores(tmp_path, "untrained", 2, [regdb_row([15, 20])]),
    ]


@pytest.fixture
def records(tmp_path: Path) -> list[Path]:
    """agw has a term that base lacks, and its second split one epoch less."""
    return [
        record(tmp_path, "base", 1, {1: {"total": 4.0, "identity": 4.0}}),
        record(tmp_path, "agw", 1, {1: {"total": 6.0, "identity": 4.0, "wrt": 2.0}, 2: {"total": 1.0, "wrt": 1.0}}),
        record(tmp_path, "agw", 2, {1: {"total": 8.0, "identity": 6.0, "wrt": 2.0}}),
    ]


def test_cmc_is_the_mean_in_a_band_of_the_extremes(tmp_path: Path, regdb: list[Path]) -> None:
    points = plot_cmc(frame("regdb", "stand-in", METHODS, tmp_path / "cmc.svg"), 20, regdb)
    panel = "visible to infrared"
    assert points == [
        CurvePoint(panel, "untrained", 1, 10, 5, 15, 2),
        CurvePoint(panel, "untrained", 2, 15, 10, 20, 2),
        CurvePoint(panel, "agw", 1, 55, 50, 60, 2),
        CurvePoint(panel, "agw", 2, 75, 70, 80, 2),
        CurvePoint(panel, "agw", 3, 90, 90, 90, 2),
    ]
    with (tmp_path / "cmc.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["panel", "method", "rank", "mean", "min", "max", "trials"]
    assert rows[3] == [panel, "agw", "1", "55", "50", "60", "2"]
    assert len(rows) == 6


def test_cmc_ends_at_the_rank_asked_for(tmp_path: Path, regdb: list[Path]) -> None:
    points = plot_cmc(frame("regdb", "RegDB", METHODS, tmp_path / "cmc.svg"), 2, regdb)
    assert {point.x for point in points} == {1, 2}


def test_sysu_has_a_panel_for_each_mode_and_shots_and_a_trial_for_each_draw(tmp_path: Path) -> None:
    rows = [
        sysu_row([value], mode, shots, draw)
        for mode in ("all", "indoor")
        for shots in (1, 10)
        for draw, value in enumerate((20.0, 40.0, 60.0))
    ]
    points = plot_cmc(frame("sysu", "SYSU-MM01", ["agw"], tmp_path / "cmc.png"), 20, [scores(tmp_path, "agw", 1, rows)])
    assert [point.panel for point in points] == [
        "all search, single-shot", "all search, multi-shot", "indoor search, single-shot", "indoor search, multi-shot",
    ]  # fmt: skip
    assert {point[3:] for point in points} == {(40.0, 20.0, 60.0, 3)}


def test_no_panel_is_cut_off_at_the_height_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The panels share their axes: indoor search reaches higher than all search."""
    drawn: list[Figure] = []
    monkeypatch.setattr(Frame, "save", lambda self, figure: drawn.append(figure))
    rows = [sysu_row([value], mode, 1, 0) for mode, value in (("all", 40.0), ("indoor", 90.0))]
    plot_cmc(frame("sysu", "SYSU-MM01", ["agw"], tmp_path / "cmc.png"), 20, [scores(tmp_path, "agw", 1, rows)])
    for axes in drawn[0].axes:
        low, high = axes.get_ylim()
        assert low < 40.0
        assert high > 90.0


def test_losses_are_means_over_the_splits_that_have_the_step(tmp_path: Path, records: list[Path]) -> None:
    points = plot_losses(frame("regdb", "stand-in", ["base", "agw"], tmp_path / "losses.svg"), records)
    assert points == [
        CurvePoint("learning rate", "base", 10, 0.1, 0.1, 0.1, 1),
        CurvePoint("learning rate", "agw", 10, 0.1, 0.1, 0.1, 2),
        CurvePoint("total, weighted", "base", 10, 4, 4, 4, 1),
        CurvePoint("total, weighted", "agw", 10, 7, 6, 8, 2),
        CurvePoint("identity", "base", 10, 4, 4, 4, 1),
        CurvePoint("identity", "agw", 10, 5, 4, 6, 2),
        CurvePoint("wrt", "agw", 10, 2, 2, 2, 2),
    ]
    assert (tmp_path / "losses.csv").read_text().startswith("panel,method,step,mean,min,max,trials\n")


def test_the_rate_is_drawn_in_steps_and_each_term_says_where_it_is_in_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Frame, "save", lambda self, figure: drawn.append(figure))
    terms = {"total": 3.0, "identity": 2.0, "div": -0.5, "inter": -0.3, "own": 1.0}
    path = record(tmp_path, "agw", 1, {1: terms, 2: terms})
    plot_losses(frame("regdb", "stand-in", ["agw"], tmp_path / "losses.svg"), [path])
    panels = {axes.get_title(): axes.get_lines()[0].get_drawstyle() for axes in drawn[0].axes}
    assert panels == {
        "learning rate": "steps-pre",
        "total, weighted\nEq. 17": "default",
        "identity\ncross-entropy": "default",
        "div\nEq. 3": "default",
        "inter\nEq. 12": "default",
        "own": "default",
    }


def test_validation_scores_have_panels_after_the_terms(tmp_path: Path) -> None:
    """Of the steps at which all trainings of a method were scored; ``base``, given first, has a term less."""
    paths = [record(tmp_path, "base", 1, {1: {"total": 4.0}, 2: {"total": 3.0}})]
    paths += [record(tmp_path, "agw", split, {1: {"total": 4.0}, 2: {"total": 3.0, "wrt": 1.0}}) for split in (1, 2)]
    for number, path in enumerate(paths):
        scores = {"rank1": 10.0 * number, "mAP": 20.0 * number, "mINP": 5.0}
        lines = [
            {"kind": "validation", "time": 2.0, "epoch": e, "step": 10 * e, **scores} for e in (1, 2)[number // 2 :]
        ]
        path.write_text(path.read_text() + "".join(json.dumps(line) + "\n" for line in lines))
    points = plot_losses(frame("regdb", "RegDB", ["base", "agw"], tmp_path / "losses.svg"), paths)
    panels = list(dict.fromkeys(point.panel for point in points))
    assert panels[-4:] == ["wrt", "validation Rank-1 (%)", "validation mAP (%)", "validation mINP (%)"]
    assert [point for point in points if point.panel == "validation mAP (%)"] == [
        CurvePoint("validation mAP (%)", "base", 10, 0, 0, 0, 1),
        CurvePoint("validation mAP (%)", "base", 20, 0, 0, 0, 1),
        CurvePoint("validation mAP (%)", "agw", 20, 30, 20, 40, 2),
    ]
    assert "<!-- RegDB: learning rate, losses and validation (" in (tmp_path / "losses.svg").read_text()


def test_of_a_repeated_epoch_the_last_counts(tmp_path: Path) -> None:
    path = record(tmp_path, "agw", 1, {1: {"total": 6.0}})
    again = {"kind": "epoch", "time": 2.0, "epoch": 1, "step": 10, "seconds": 1.0, "total": 5.0}
    path.write_text(path.read_text() + json.dumps(again) + "\n")
    points = plot_losses(frame("regdb", "RegDB", ["agw"], tmp_path / "losses.svg"), [path])
    assert [point.mean for point in points if point.panel == "total, weighted"] == [5.0]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_same_numbers_give_the_same_bytes(
    tmp_path: Path, regdb: list[Path], records: list[Path], ending: str
) -> None:
    for folder in ("first", "second"):
        paths = regdb if folder == "first" else regdb[::-1]
        plot_cmc(frame("regdb", "stand-in", METHODS, tmp_path / folder / f"cmc.{ending}"), 20, paths)
        plot_losses(frame("regdb", "stand-in", ["base", "agw"], tmp_path / folder / f"losses.{ending}"), records)
    for name in (f"cmc.{ending}", f"losses.{ending}", "cmc.csv", "losses.csv"):
        first = (tmp_path / "first" / name).read_bytes()
        assert first == (tmp_path / "second" / name).read_bytes()
        assert len(first) > 50


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ("stand-in", "RegDB (stand-in): CMC (mean and range over 2 splits)"),
        ("RegDB", "RegDB: CMC (mean and range over 2 splits)"),
    ],
)
def test_the_title_says_what_the_images_are(tmp_path: Path, regdb: list[Path], data: str, title: str) -> None:
    plot_cmc(frame("regdb", data, METHODS, tmp_path / "cmc.svg"), 20, regdb)
    assert f"<!-- {title} -->" in (tmp_path / "cmc.svg").read_text()  # matplotlib draws letters, and notes the text


def test_a_panel_says_how_many_queries_have_a_match_in_how_large_a_gallery(tmp_path: Path, regdb: list[Path]) -> None:
    plot_cmc(frame("regdb", "stand-in", METHODS, tmp_path / "cmc.svg"), 20, regdb)
    assert "<!-- 1,193 queries, gallery of 4,321 -->" in (tmp_path / "cmc.svg").read_text()


def test_a_method_looks_the_same_in_both_figures(tmp_path: Path, regdb: list[Path], records: list[Path]) -> None:
    plot_cmc(frame("regdb", "stand-in", METHODS, tmp_path / "cmc.svg"), 20, regdb)
    plot_losses(frame("regdb", "stand-in", ["agw"], tmp_path / "losses.svg"), records[1:])
    for name in ("cmc", "losses"):
        assert "stroke: #0072b2" in (tmp_path / f"{name}.svg").read_text(), "the first trained method's blue"
    assert "stroke: #808080" in (tmp_path / "cmc.svg").read_text()
    assert "stroke: #808080" not in (tmp_path / "losses.svg").read_text()


@pytest.mark.parametrize(
    ("methods", "path", "content", "message"),
    [
        (["agw"], "agw/split1/scores.json", None, r"scores.json: no such file; .*evaluate it first"),
        (["agw"], "agw/split1/scores.json", "{", r"scores.json: not a scores.json \(JSONDecodeError"),
        (
            ["agw"],
            "agw/split1/scores.json",
            '{"split": 1, "rows": [{"feature": "bn"}]}',
            r"1 rows, without .*direction",
        ),
        (
            ["agw"],
            "agw/split1/scores.json",
            json.dumps({"split": 1, "rows": [regdb_row([1], feature="pooled") | {"split": 1}]}),
            r"no row of the feature 'bn' in 1 files",
        ),
        (["agw"], "base/split1/scores.json", "{}", r"of the method 'base', expected one of agw"),
        (["agw"], "agw/one/scores.json", "{}", r"expected a path that ends in <method>/split<N>/scores.json"),
        (["agw", "base"], "agw/split1/scores.json", '{"rows": []}', r"no scores.json of base is given"),
    ],
)
def test_unusable_scores_are_named(
    tmp_path: Path, methods: list[str], path: str, content: str | None, message: str
) -> None:
    if content is not None:
        write(tmp_path / path, content)
    with pytest.raises(DataError, match=message):
        plot_cmc(frame("regdb", "RegDB", methods, tmp_path / "cmc.svg"), 20, [tmp_path / path])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"metrics.jsonl: no such file; .*train it first"),
        ('{"kind": "epoch"\n', r"metrics.jsonl, line 1: .*; expected JSON with kind and time"),
        ('{"kind": "start", "time": 1}\n', r"no epoch that all trainings of its method have"),
        (
            '{"kind": "start", "time": 1}\n{"kind": "epoch", "time": 2, "epoch": 1, "step": 1, "total": 1}\n',
            r"metrics.jsonl: not the record of a training \(KeyError",
        ),
    ],
)
def test_unusable_records_are_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "agw/split1/metrics.jsonl"
    if content is not None:
        write(path, content)
    with pytest.raises(DataError, match=message):
        plot_losses(frame("regdb", "RegDB", ["agw"], tmp_path / "losses.svg"), [path])


def test_another_format_is_refused(tmp_path: Path, regdb: list[Path]) -> None:
    with pytest.raises(DataError, match=r"cmc.pdf: figures are written as .svg or .png"):
        plot_cmc(frame("regdb", "RegDB", METHODS, tmp_path / "cmc.pdf"), 20, regdb)
    assert not (tmp_path / "cmc.csv").exists()


def test_the_script_draws(
    tmp_path: Path, regdb: list[Path], records: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["plot.py", *arguments])
        runpy.run_path(str(ROOT / "workflow/scripts/plot.py"), run_name="__main__")

    common = ["--set", "regdb", "--data", "stand-in", "--out"]
    cmc, losses = tmp_path / "out/cmc.svg", tmp_path / "out/losses.png"
    run("cmc", *common, str(cmc), "--methods", *METHODS, "--ranks", "3", "--inputs", *map(str, regdb))
    run("losses", *common, str(losses), "--methods", "base", "agw", "--inputs", *map(str, records))
    assert cmc.read_text().startswith("<?xml")
    assert losses.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match=r"^error: no metrics.jsonl of untrained is given"):
        run("losses", *common, str(losses), "--methods", "untrained", "agw", "--inputs", str(records[1]))
