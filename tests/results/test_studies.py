"""Table 1 and Figure 6: which variants there are, what their tables hold, and what is refused."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

import pytest

from msclnet.config import Config, replace
from msclnet.core.errors import ConfigError, DataError
from msclnet.report.figures.studies import plot_ablation, plot_sensitivity
from msclnet.report.figures.style import Frame
from msclnet.results import studies
from msclnet.results.tables import write_csv

BASELINE = {"identity", "triplet", "wrt"}


def test_the_variants_are_the_rows_of_table_1(default: Config) -> None:
    losses = default.methods["msclnet"].losses
    variants = studies.variants(default.studies, losses)
    assert len(studies.ablation_variants()) == 15
    on = {name: set(variants[name]) - BASELINE for name in variants}
    assert on["B"] == set()
    assert on["B+t"] == {"t"}
    assert on["B+MS"] == {"div", "t"}
    assert on["B+MC+CA"] == {"local", "global", "sub", "intra", "inter", "separation"}
    assert variants["B+MS+MC+CA"] == losses
    assert variants["B+t"]["t"] == losses["t"]
    assert all(variants[name]["wrt"] == 1 for name in variants)


def test_figure_6_varies_one_weight_and_shares_the_complete_method(default: Config) -> None:
    chosen = replace(default.studies, weights=(0, 1.25, 9))
    losses = default.methods["msclnet"].losses
    points = studies.sensitivity_points(chosen, losses)
    assert [(p.weight, p.variant) for p in points if p.term == "t"] == [(0, "t=0"), (1.25, "B+MS+MC+CA"), (9, "t=9")]
    assert [p.weight for p in points if p.term == "div"] == [0, 0.5, 1.25, 9]
    assert [p.term for p in points if p.configured] == ["div", "t", "local", "global"]
    changed = studies.variants(chosen, losses)["global=9"]
    assert changed == losses | {"global": 9.0}


def test_the_papers_configuration_has_figure_6s_own_grid(paper: Config) -> None:
    """Read off the figure; three of the four weights of Eq. 17 lie on it. With Table 1's fifteen, times three seeds."""
    losses = paper.methods["msclnet"].losses
    grid = (0.1, 0.8, 1.25, 1.5, 1.75, 2, 4, 6, 9)
    points = studies.sensitivity_points(paper.studies, losses)
    assert tuple(p.weight for p in points if p.term == "global") == grid
    assert [p.weight for p in points if p.term == "div"] == sorted((*grid, 0.5))
    assert len(studies.variants(paper.studies, losses)) * len(paper.studies.seeds) == 144


def test_a_variants_training_is_the_methods_with_its_own_losses_and_seed(default: Config) -> None:
    job = studies.train_job(default, studies.method_name("B+MC", 7))
    assert (job.seed, job.set, job.method_name) == (7, "regdb", "studies/B+MC/seed7")
    assert job.method == replace(default.methods["msclnet"], losses=job.method.losses)
    assert (job.method.losses["local"], job.method.losses.get("t", 0), job.epochs) == (0.8, 0, default.studies.epochs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mscl"}, r"studies\.method: 'mscl' is not under methods"),
        ({"set": "sysu", "split": 2}, r"studies\.split: 2, expected one of sysu's: 1"),
        ({"split": 11}, r"studies\.split: 11, expected one of regdb's: 1, 2, 3"),
        ({"seeds": ()}, r"seeds: expected a list of one or more, each a whole number .*, found \[\]"),
        ({"seeds": (1, 1)}, r"seeds: names 1 twice; name each once"),
    ],
)
def test_a_wrong_study_is_named(default: Config, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(default, studies=replace(default.studies, **changes))


def frame(out: Path, data: str = "stand-in") -> Frame:
    return Frame("sysu", data, ("msclnet",), out)


HOW = {"flip": "no", "rerank": "no", "protocol": "community"}


def write(folder: Path, variant: str, seed: int, rank1: tuple[float, float]) -> Path:
    """Scores of two draws; the other settings and feature must not count."""
    path = folder / f"sysu/studies/{variant}/seed{seed}/split1/scores.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = {"queries": 9, "queries_without_match": 0, "gallery": 9, "cmc": [1.0]}
    rows = []
    for feature, mode, shots, add in (("bn", "all", 1, 0), ("pooled", "all", 1, 50), ("bn", "indoor", 1, 60)):
        for draw, value in enumerate(rank1):
            metrics = dict.fromkeys(("rank1", "rank5", "rank10", "rank20", "mINP"), value + add) | {
                "mAP": value + 10 + add
            }
            where = {"feature": feature, "mode": mode, "shots": shots, "draw": draw} | HOW
            rows.append({**where, **metrics, **counts})
    path.write_text(json.dumps({"split": 1, "rows": rows}))
    return path


@pytest.fixture
def scores(default: Config, tmp_path: Path) -> list[Path]:
    names = studies.variants(default.studies, default.methods["msclnet"].losses)
    return [
        write(tmp_path, name, seed, (place + seed, place + seed + 2))
        for place, name in enumerate(names)
        for seed in (0, 4)
    ]


def test_the_ablations_table_by_hand(default: Config, scores: list[Path], tmp_path: Path) -> None:
    """The third row, B + t: seeds 0 and 4 average 2 + 1 = 3 and 7, so mean 5 and standard deviation 4 / sqrt 2."""
    rows = studies.ablation("sysu", "stand-in", scores)
    assert len(rows) == 15
    row = rows[2]
    assert (row["losses"], row["t"], row["div"], row["data"], row["seeds"]) == ("B + t", 1, 0, "stand-in", 2)
    assert (row["rank1"], row["mAP"]) == (5, 15)
    assert row["rank1_std"] == pytest.approx(statistics.stdev([3, 7])) == pytest.approx(8**0.5)
    assert (row["paper_rank1"], row["paper_mAP"]) == (60.67, 58.12)
    write_csv(tmp_path / "ablation.csv", rows)
    with (tmp_path / "ablation.csv").open() as file:
        assert [line["losses"] for line in csv.DictReader(file)][-1] == "B + MS + MC + CA"
    for ending in ("svg", "png"):
        plot_ablation(frame(tmp_path / f"a.{ending}"), tmp_path / "ablation.csv")
    text = (tmp_path / "a.svg").read_text()
    assert "SYSU-MM01 (stand-in)" in text
    assert "the paper, on the real SYSU-MM01" in text
    plot_ablation(frame(tmp_path / "again.svg"), tmp_path / "ablation.csv")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()


def test_the_sensitivitys_table_has_a_row_a_point(default: Config, scores: list[Path], tmp_path: Path) -> None:
    points = studies.sensitivity_points(default.studies, default.methods["msclnet"].losses)
    rows = studies.sensitivity("sysu", "stand-in", points, scores)
    assert [(r["term"], r["weight"]) for r in rows] == [(p.term, f"{p.weight:g}") for p in points]
    complete = next(r for r in studies.ablation("sysu", "stand-in", scores) if r["losses"] == "B + MS + MC + CA")
    assert {r["rank1"] for r in rows if r["configured"]} == {complete["rank1"]}
    write_csv(tmp_path / "sensitivity.csv", rows)
    plot_sensitivity(frame(tmp_path / "s.svg"), tmp_path / "sensitivity.csv")
    assert "Figure 6: SYSU-MM01 (stand-in), mean over 2 seeds" in (tmp_path / "s.svg").read_text()


def test_of_regdb_both_directions_count(default: Config, tmp_path: Path) -> None:
    counts = {"queries": 9, "queries_without_match": 0, "gallery": 9}
    paths = []
    for name in studies.ablation_variants():
        path = tmp_path / f"regdb/studies/{name}/seed0/split3/scores.json"
        path.parent.mkdir(parents=True)
        rows = [
            {"feature": feature, "direction": direction, "split": 3, **HOW, **counts}
            | dict.fromkeys(("rank1", "rank5", "rank10", "rank20", "mAP", "mINP"), value)
            for feature, direction, value in (
                ("bn", "visible-to-infrared", 10.0),
                ("bn", "infrared-to-visible", 14.0),
                ("pooled", "visible-to-infrared", 90.0),
            )
        ]
        path.write_text(json.dumps({"split": 3, "rows": rows}))
        paths.append(path)
    rows = studies.ablation("regdb", "stand-in", paths)
    assert {(row["rank1"], row["rank1_std"], row["direction"], row["seeds"]) for row in rows} == {(12, None, "both", 1)}


def test_what_does_not_fit_is_refused(scores: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"B\+MS: scores of the seeds \[0\], expected those of B: \[0, 4\]"):
        studies.ablation("sysu", "stand-in", [p for p in scores if "B+MS/seed4" not in str(p)])
    with pytest.raises(DataError, match=r"B\+MS: scores of the seeds \[\]"):
        studies.ablation("sysu", "stand-in", [p for p in scores if "/B+MS/" not in str(p)])
    with pytest.raises(DataError, match=r"expected a path that ends in studies/<variant>/seed<n>"):
        studies.ablation("sysu", "stand-in", [tmp_path / "agw/split1/scores.json"])
    (tmp_path / "t.csv").write_text("losses\nB\n")
    with pytest.raises(DataError, match=r"t\.csv: 1 rows without seeds, rank1"):
        plot_ablation(frame(tmp_path / "t.svg"), tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        plot_sensitivity(frame(tmp_path / "t.svg"), tmp_path / "none.csv")
