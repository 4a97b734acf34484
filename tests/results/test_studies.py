"""Studies: which variants there are, what their tables hold, and what is refused."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msclnet.config import Config, Study, build, plain, replace
from msclnet.core.errors import ConfigError, DataError
from msclnet.report.figures.studies import plot_study
from msclnet.report.figures.style import Frame
from msclnet.results import shared, studies
from msclnet.results.tables import write_csv

BASELINE = {"identity", "triplet", "wrt"}
SMALL = {"set": "regdb", "splits": (1,), "method": "msclnet", "epochs": 14, "seeds": (0,)}


def study(default: Config, **keys: Any) -> Config:
    """The default configuration with a study ``mine`` besides."""
    return replace(default, studies={**default.studies, "mine": build(Study, SMALL | keys)})


def losses(plan: studies.StudyPlan, variant: str) -> dict[str, float]:
    return plan.variant(variant).config.methods["msclnet"].losses


def test_the_variants_are_the_rows_of_table_1(default: Config) -> None:
    plan = studies.plan(default, "ablation")
    assert len(plan.variants) == 15
    complete = default.methods["msclnet"].losses
    on = {variant.name: set(losses(plan, variant.name)) - BASELINE for variant in plan.variants}
    assert on["B"] == set()
    assert on["B+t"] == {"t"}
    assert on["B+MS"] == {"div", "t"}
    assert on["B+MC+CA"] == {"local", "global", "sub", "intra", "inter", "separation"}
    assert losses(plan, "B+MS+MC+CA") == complete
    assert losses(plan, "B+t")["t"] == complete["t"]
    assert all(losses(plan, variant.name)["wrt"] == 1 for variant in plan.variants)
    assert [variant.printed for variant in plan.variants] == list(studies.PRINTED.values())


def test_figure_6_varies_one_weight_and_shares_the_complete_method(default: Config) -> None:
    plan = studies.plan(default, "sensitivity")
    assert [variant.name for variant in plan.variants][:4] == ["configured", "div=0", "div=3", "div=9"]
    complete = default.methods["msclnet"].losses
    assert losses(plan, "configured") == complete
    assert losses(plan, "global=9") == complete | {"global": 9.0}
    found = studies.trainings([studies.plan(default, "ablation"), plan])
    one, other = (found[key][1] for key in (("ablation", "B+MS+MC+CA", 1, 2), ("sensitivity", "configured", 1, 2)))
    assert one == other
    assert one.method_name == "studies/B+MS+MC+CA/seed2"
    assert len({shared.training(*of) for of in found.values()}) == 81
    table = plan.described()
    rows = [table["variants"][variant]["rows"][row] for variant, row in table["order"]]
    assert [(row["key"], row["value"]) for row in rows][:5] == [
        ("div", 0), ("div", 0.5), ("div", 3), ("div", 9), ("t", 0)
    ]  # fmt: skip
    assert [row["key"] for row in rows if row["configured"]] == ["div", "t", "local", "global"]


def test_the_papers_configuration_has_figure_6s_own_grid(paper: Config) -> None:
    """Read off the figure; three of the four weights of Eq. 17 lie on it. With Table 1's fifteen, times three seeds."""
    grid = (0.1, 0.8, 1.25, 1.5, 1.75, 2, 4, 6, 9)
    plan = studies.plan(paper, "sensitivity")
    described = plan.described()
    rows = [described["variants"][variant]["rows"][row] for variant, row in described["order"]]
    assert tuple(row["value"] for row in rows if row["key"] == "global") == grid
    assert [row["value"] for row in rows if row["key"] == "div"] == sorted((*grid, 0.5))
    found = studies.trainings([studies.plan(paper, "ablation"), plan])
    assert len({shared.training(*of) for of in found.values()}) == 144


def test_the_papers_studies_train_where_they_did_before_studies_had_names(default: Config) -> None:
    """Folders of trainings made by earlier versions, from their digests: nothing finished is trained again."""
    plans, wrong = studies.plans(default)
    assert not wrong
    folders = {Path(shared.training(*of)).name for of in studies.trainings(list(plans.values())).values()}
    assert {
        "regdb-studies-B-seed0-split1-894a6fc177",
        "regdb-studies-B+MS+MC+CA-seed0-split1-89c359ec95",
        "regdb-studies-t=9-seed0-split1-2327c8152f",
    } <= folders


def test_a_variants_training_is_the_methods_with_its_own_losses_and_seed(default: Config) -> None:
    changed = replace(
        default, studies={"mine": build(Study, SMALL | {"seeds": (0, 7), "terms": ((), ("MC",), ("MS", "CA"))})}
    )
    plan = studies.plan(changed, "mine")
    job = plan.jobs(plan.variant("B+MC"), 1)[1]
    assert (job.seed, job.set, job.method_name) == (7, "regdb", "studies/B+MC/seed7")
    assert job.method == replace(default.methods["msclnet"], losses=job.method.losses)
    assert (job.method.losses["local"], job.method.losses.get("t", 0), job.epochs) == (0.8, 0, 14)


@pytest.mark.parametrize(
    ("key", "values", "read"),
    [
        ("train.rate", (0.01, 0.1), lambda config: config.train.rate),
        ("model.parts", (2, 6), lambda config: config.model.parts),
        ("objective.cascade_on", (("synergy",),), lambda config: config.objective.cascade_on),
        ("methods.msclnet.pooling", ("average",), lambda config: config.methods["msclnet"].pooling),
        ("data.height", (48, 96), lambda config: config.data.height),
        ("evaluate.flip", (True,), lambda config: config.evaluate.flip),
        ("stand_in.regdb.images", (4,), lambda config: config.stand_in.of("regdb").images),
    ],
)
def test_any_key_that_decides_a_score_can_be_varied(
    default: Config, key: str, values: tuple[Any, ...], read: Callable[[Config], Any]
) -> None:
    plan = studies.plan(study(default, vary={key: values}), "mine")
    assert [read(variant.config) for variant in plan.variants] == [read(default), *values]
    packs = {shared.pack(variant.config, "regdb") for variant in plan.variants}
    assert (len(packs) > 1) == key.startswith(("data", "stand_in"))
    names = [variant.name for variant in plan.variants]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz_0123456789.=+-") for name in names), names


def test_keys_together_are_every_combination(default: Config) -> None:
    plan = studies.plan(
        study(default, vary={"train.rate": (0.03, 0.1), "train.momentum": (0.8, 0.9)}, together=True), "mine"
    )
    assert [variant.name for variant in plan.variants] == [
        "configured",
        "train.rate=0.03,train.momentum=0.8",
        "train.rate=0.1,train.momentum=0.8",
        "train.rate=0.1,train.momentum=0.9",
    ]
    assert [variant.rows[0]["train.momentum"] for variant in plan.variants] == ["0.9", "0.8", "0.8", "0.9"]


def test_a_split_that_is_not_run_needs_no_pack_of_its_own(default: Config) -> None:
    few = replace(default, data=build(type(default.data), _only_split_1(default)))
    plan = studies.plan(study(few, splits=(2, 3), terms=((), ("t",))), "mine")
    assert shared.pack(plan.variants[0].config, "regdb") == shared.pack(default, "regdb")


def _only_split_1(default: Config) -> dict[str, Any]:
    values = plain(default.data)
    values["regdb"]["splits"] = [1]
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mscl"}, r"studies\.mine\.method: 'mscl' is not under methods"),
        ({"set": "sysu", "splits": (2,)}, r"studies\.mine\.splits: 2, expected some of sysu's: 1"),
        ({"splits": (1, 11)}, r"studies\.mine\.splits: 11, expected some of regdb's: 1, 2, 3"),
        ({"seeds": ()}, r"seeds: expected a list of one or more, each a whole number .*, found \[\]"),
        ({"seeds": (1, 1)}, r"seeds: names 1 twice; name each once"),
        ({"terms": ((), ("tt",))}, r"'tt' is no term of a loss; did you mean 't'"),
        ({"terms": (("MS", "t"), ("t", "MS"))}, r"terms: lists \['t', 'MS'\] twice; list each once"),
        ({"terms": ((),)}, r"terms: found 1 variant, expected two or more"),
        ({"terms": ((), ("triplet",))}, r"mine\.terms: triplet: no weight in methods\.msclnet\.losses; give one"),
        ({"terms": None}, r"found neither of terms and vary; write one of the two"),
        ({"vary": {"train.rate": (1,)}}, r"found both of terms and vary; write one of the two"),
        ({"beside": "figure-6"}, r"beside: figure-6 stands beside vary; leave it out"),
        ({"together": True}, r"together: true needs vary"),
        ({"terms": None, "vary": {}}, r"found no key; expected one or more"),
        ({"terms": None, "vary": {"train.rte": (1,)}}, r"train\.rte: train has no key 'rte'; did you mean 'rate'"),
        ({"terms": None, "vary": {"train.rate.x": (1,)}}, r"train\.rate\.x: train\.rate is a value"),
        (
            {"terms": None, "vary": {"figures.ranks": (1,)}},
            r"figures\.ranks decides no score of a training; vary a key",
        ),
        (
            {"terms": None, "vary": {"methods.agw.erasing": (1,)}},
            r"mine\.vary\.methods\.agw\.erasing: of another method",
        ),
    ],
)
def test_a_wrong_study_is_named(default: Config, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study(default, **({"terms": ((), ("t",))} | changes))


@pytest.mark.parametrize("name", ["regdb", "regdb_cmc", "sysu_summary", "a-b", "../x"])
def test_a_study_is_called_as_nothing_else(default: Config, name: str) -> None:
    with pytest.raises(ConfigError, match=r"choose another name|use letters, digits and '_'"):
        replace(default, studies={name: build(Study, SMALL | {"terms": ((), ("t",))})})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"vary": {"train.rate": (0.1, -1)}}, r"studies\.mine: train\.rate=-1: train\.rate: expected a number above 0"),
        (
            {"vary": {"data.sysu.epochs": (3,)}},
            r"studies\.mine: data\.sysu\.epochs=3 changes no score of msclnet on reg",
        ),
        ({"vary": {"train.rate": ("0.1", 0.1)}}, r"studies\.mine: two variants are called train\.rate=0\.1"),
        ({"epochs": 5, "terms": ((), ("t",))}, r"studies\.mine: B: train\.milestones: 8, 12 not before the end of"),
    ],
)
def test_a_study_that_cannot_be_run_hinders_no_other(default: Config, keys: dict, message: str) -> None:
    sound, wrong = studies.plans(study(default, **keys))
    assert list(sound) == ["ablation", "sensitivity"]
    with pytest.raises(ConfigError, match=message):
        raise wrong["mine"]


def frame(out: Path, data: str = "stand-in") -> Frame:
    return Frame("sysu", data, ("msclnet",), out)


HOW = {"flip": "no", "rerank": "no", "protocol": "community"}


def write(folder: Path, variant: str, seed: int, rank1: tuple[float, float], split: int = 1) -> Path:
    """Scores of two draws; the other settings and feature must not count."""
    path = folder / f"sysu/studies/mine/{variant}/seed{seed}/split{split}/scores.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = {"queries": 9, "queries_without_match": 0, "gallery": 9, "cmc": [1.0]}
    rows = []
    for feature, mode, shots, add in (("bn", "all", 1, 0), ("pooled", "all", 1, 7), ("bn", "indoor", 1, 12)):
        for draw, value in enumerate(rank1):
            metrics = dict.fromkeys(("rank1", "rank5", "rank10", "rank20", "mINP"), value + add) | {
                "mAP": value + 10 + add
            }
            where = {"feature": feature, "mode": mode, "shots": shots, "draw": draw} | HOW
            rows.append({**where, **metrics, **counts})
    path.write_text(json.dumps({"split": split, "rows": rows}))
    return path


def on_sysu(config: Config, name: str) -> studies.StudyPlan:
    moved = replace(config.studies[name], set="sysu", seeds=(0, 4))
    return studies.plan(replace(config, studies={name: moved}), name)


def scores(plan: studies.StudyPlan, folder: Path) -> list[Path]:
    return [
        write(folder, variant.name, seed, (place * (1 + seed) + seed, place * (1 + seed) + seed + 2))
        for place, variant in enumerate(plan.variants)
        for seed in (0, 4)
    ]


def test_table_1_by_hand(default: Config, tmp_path: Path) -> None:
    """The third row, B + t: seeds 0 and 4 average 3 and 15, the baseline 1 and 5: apart by 2 and 10.

    Their mean is 6, their standard deviation 8 / sqrt 2, so that the interval is 6 -+ 12.706 x 4.
    """
    plan = on_sysu(default, "ablation")
    rows = studies.table(plan.described(), scores(plan, tmp_path))
    assert len(rows) == 15
    row = rows[2]
    assert (row["losses"], row["t"], row["div"], row["data"]) == ("B + t", 1, 0, "stand-in")
    assert (row["seeds"], row["splits"], row["rank1"], row["mAP"]) == (2, 1, 9, 19)
    assert row["rank1_std"] == pytest.approx(statistics.stdev([3, 15]))
    assert (row["rank1_diff"], row["mAP_diff"]) == (6, 6)
    assert (row["rank1_low"], row["rank1_high"]) == pytest.approx((6 - 12.7062 * 4, 6 + 12.7062 * 4), abs=1e-3)
    assert [rows[0][f"rank1_{part}"] for part in ("diff", "low", "high")] == [None] * 3
    assert (row["paper_rank1"], row["paper_mAP"]) == (60.67, 58.12)
    write_csv(tmp_path / "ablation.csv", rows)
    with (tmp_path / "ablation.csv").open() as file:
        assert [line["losses"] for line in csv.DictReader(file)][-1] == "B + MS + MC + CA"
    for ending in ("svg", "png"):
        plot_study(frame(tmp_path / f"a.{ending}"), tmp_path / "ablation.csv", "table-1")
    text = (tmp_path / "a.svg").read_text()
    assert "SYSU-MM01 (stand-in)" in text
    assert "the paper, on the real SYSU-MM01" in text
    assert "less B" in text
    plot_study(frame(tmp_path / "again.svg"), tmp_path / "ablation.csv", "table-1")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()


def test_figure_6_has_a_row_a_point(default: Config, tmp_path: Path) -> None:
    plan = on_sysu(default, "sensitivity")
    rows = studies.table(plan.described(), scores(plan, tmp_path))
    assert [(row["key"], str(row["value"])) for row in rows][:4] == [
        ("div", "0"),
        ("div", "0.5"),
        ("div", "3"),
        ("div", "9"),
    ]
    assert {(row["rank1"], row["rank1_diff"]) for row in rows if row["configured"]} == {(3, None)}
    assert "paper_rank1" not in rows[0]
    write_csv(tmp_path / "sensitivity.csv", rows)
    plot_study(frame(tmp_path / "s.svg"), tmp_path / "sensitivity.csv", "figure-6")
    text = (tmp_path / "s.svg").read_text()
    assert "Figure 6: SYSU-MM01 (stand-in), mean over 2 seeds" in text
    assert "paper's choice" in text


def test_words_and_combinations_are_drawn_too(default: Config, tmp_path: Path) -> None:
    for keys, shown in (
        ({"vary": {"methods.msclnet.pooling": ("gem", "average"), "train.rate": (0.1, 0.01)}}, "as configured"),
        ({"vary": {"train.rate": (0.1,), "train.momentum": (0.8,)}, "together": True}, "less configured"),
    ):
        plan = studies.plan(study(default, set="sysu", seeds=(0, 4), **keys), "mine")
        rows = studies.table(plan.described(), scores(plan, tmp_path))
        write_csv(tmp_path / "mine.csv", rows)
        plot_study(frame(tmp_path / "mine.svg"), tmp_path / "mine.csv")
        assert shown in (tmp_path / "mine.svg").read_text()


def test_of_regdb_both_directions_count(default: Config, tmp_path: Path) -> None:
    counts = {"queries": 9, "queries_without_match": 0, "gallery": 9}
    plan = studies.plan(study(default, splits=(3,), terms=((), ("t",))), "mine")
    paths = []
    for variant in plan.variants:
        path = tmp_path / f"regdb/studies/mine/{variant.name}/seed0/split3/scores.json"
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
    rows = studies.table(plan.described(), paths)
    assert {(row["rank1"], row["rank1_std"], row["direction"], row["seeds"]) for row in rows} == {(12, None, "both", 1)}
    assert [(row["rank1_diff"], row["rank1_low"]) for row in rows] == [(None, None), (0, None)]


def test_what_does_not_fit_is_refused(default: Config, tmp_path: Path) -> None:
    plan = on_sysu(default, "ablation")
    given, described = scores(plan, tmp_path), plan.described()
    with pytest.raises(
        DataError, match=r"B\+MS: scores of seed 0 on split 1, expected those of B: seed 0 .*, seed 4 on"
    ):
        studies.table(described, [p for p in given if "B+MS/seed4" not in str(p)])
    with pytest.raises(DataError, match=r"B\+MS: scores of no training"):
        studies.table(described, [p for p in given if "/B+MS/" not in str(p)])
    with pytest.raises(DataError, match=r"expected a path that ends in studies/<study>/<variant>/seed<n>"):
        studies.table(described, [tmp_path / "agw/split1/scores.json"])
    (tmp_path / "t.csv").write_text("losses\nB\n")
    with pytest.raises(DataError, match=r"t\.csv: 1 rows without seeds, splits, rank1"):
        plot_study(frame(tmp_path / "t.svg"), tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        plot_study(frame(tmp_path / "t.svg"), tmp_path / "none.csv")
