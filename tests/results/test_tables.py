"""The tables: values recomputed by hand, exact text, order, and what is refused."""

from __future__ import annotations

import json
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from msclnet.core.errors import DataError
from msclnet.report.summary_page import write_page
from msclnet.results.captions import paired_words
from msclnet.results.in_print import in_print
from msclnet.results.tables import condensed, differences, readable, summary, trials, write_csv
from tests.conftest import ROOT

SCRIPT = str(ROOT / "workflow/scripts/aggregate.py")
DIRECTIONS = ("visible-to-infrared", "infrared-to-visible")


def row(rank1: float, **where: object) -> dict[str, Any]:
    """A row of scores.json; its other scores follow from Rank-1."""
    scores = {"rank1": rank1, "rank5": rank1 + 1, "rank10": rank1 + 2, "rank20": rank1 + 3}
    counts = {"queries": 20, "queries_without_match": 2, "gallery": 30}
    return {**where, **scores, "mAP": rank1 / 2, "mINP": rank1 / 3, **counts, "cmc": [rank1]}


HOW = {"flip": "no", "rerank": "no", "protocol": "standard"}


def write(folder: Path, method: str, split: int, rows: list[dict[str, Any]]) -> Path:
    path = folder / method / f"split{split}" / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"split": split, "rows": rows}))
    return path


@pytest.fixture
def regdb(tmp_path: Path) -> list[Path]:
    """Splits 2 and 10 of two methods. Rank-1 of agw, bn, visible-to-infrared: 10 and 13; each other row 20 more."""
    return [
        write(
            tmp_path,
            method,
            split,
            [
                row(base + 20 * i + 3 * (split == 10), **HOW, feature=feature, direction=direction, split=split)
                for i, (feature, direction) in enumerate((f, d) for f in ("bn", "pooled") for d in DIRECTIONS)
            ],
        )
        for method, base in (("agw", 10), ("base", 0.125))
        for split in (2, 10)
    ]


def sysu_rows(rank1s: list[float], feature: str = "bn") -> list[dict[str, Any]]:
    """Every mode and shot with the same Rank-1 in each draw."""
    return [
        row(rank1, **HOW | {"protocol": "community"}, feature=feature, mode=mode, shots=shots, draw=draw, split=1)
        for mode in ("all", "indoor")
        for shots in (1, 10)
        for draw, rank1 in enumerate(rank1s)
    ]


def test_regdb_tables_to_the_letter(tmp_path: Path, regdb: list[Path]) -> None:
    """Mean of 10 and 13 is 11.5, their sample standard deviation 3 / sqrt(2) = 2.12; mAP half, mINP a third of it."""
    rows = trials("regdb", "RegDB", ["base", "agw"], regdb)
    write_csv(tmp_path / "trials.csv", rows)
    lines = (tmp_path / "trials.csv").read_bytes().decode().split("\n")
    assert lines[0] == (
        "data,method,feature,flip,rerank,protocol,direction,split,rank1,rank5,rank10,rank20,mAP,mINP,queries,queries_without_match,gallery"
    )
    assert lines[1] == "RegDB,base,bn,no,no,standard,visible-to-infrared,2,0.12,1.12,2.12,3.12,0.06,0.04,20,2,30"
    assert lines[9] == "RegDB,agw,bn,no,no,standard,visible-to-infrared,2,10.00,11.00,12.00,13.00,5.00,3.33,20,2,30"
    assert lines[10] == "RegDB,agw,bn,no,no,standard,visible-to-infrared,10,13.00,14.00,15.00,16.00,6.50,4.33,20,2,30"
    assert len(lines) == 1 + 2 * 2 * 2 * 2 + 1

    write_csv(tmp_path / "summary.csv", summary("regdb", rows))
    lines = (tmp_path / "summary.csv").read_bytes().decode().split("\n")
    assert lines[0] == (
        "data,method,feature,flip,rerank,protocol,direction,trials,rank1,rank1_std,rank5,rank10,rank20,mAP,mAP_std,mINP,mINP_std,"
        "paper_rank1,paper_mAP"
    )
    assert lines[5] == (
        "RegDB,agw,bn,no,no,standard,visible-to-infrared,2,11.50,2.12,12.50,13.50,14.50,5.75,1.06,3.83,0.71,,"
    )
    assert lines[7] == (
        "RegDB,agw,pooled,no,no,standard,visible-to-infrared,2,51.50,2.12,52.50,53.50,54.50,25.75,1.06,17.17,0.71,,"
    )
    assert [line.split(",")[1:3] + line.split(",")[6:7] for line in lines[1:-1]] == [
        [method, feature, direction]
        for method in ("base", "agw")
        for feature in ("bn", "pooled")
        for direction in DIRECTIONS
    ]


def test_sysu_tables_to_the_letter(tmp_path: Path) -> None:
    """Draws 3, 6 and 9: mean 6, sample standard deviation 3."""
    path = write(tmp_path, "msclnet", 1, sysu_rows([3, 6, 9]))
    rows = trials("sysu", "stand-in", ["msclnet"], [path])
    write_csv(tmp_path / "trials.csv", rows)
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    assert lines[0] == (
        "data,method,feature,flip,rerank,protocol,mode,shots,draw,rank1,rank5,rank10,rank20,mAP,mINP,"
        "queries,queries_without_match,gallery"
    )
    assert lines[2] == "stand-in,msclnet,bn,no,no,community,all,1,1,6.00,7.00,8.00,9.00,3.00,2.00,20,2,30"

    write_csv(tmp_path / "summary.csv", summary("sysu", rows))
    assert (tmp_path / "summary.csv").read_text().splitlines() == [
        "data,method,feature,flip,rerank,protocol,mode,shots,trials,rank1,rank1_std,rank5,rank10,rank20,mAP,mAP_std,mINP,mINP_std,"
        "paper_rank1,paper_mAP",
        "stand-in,msclnet,bn,no,no,community,all,1,3,6.00,3.00,7.00,8.00,9.00,3.00,1.50,2.00,1.00,76.99,71.64",
        "stand-in,msclnet,bn,no,no,community,all,10,3,6.00,3.00,7.00,8.00,9.00,3.00,1.50,2.00,1.00,,",
        "stand-in,msclnet,bn,no,no,community,indoor,1,3,6.00,3.00,7.00,8.00,9.00,3.00,1.50,2.00,1.00,78.49,81.17",
        "stand-in,msclnet,bn,no,no,community,indoor,10,3,6.00,3.00,7.00,8.00,9.00,3.00,1.50,2.00,1.00,,",
    ]


def test_one_trial_has_no_standard_deviation(tmp_path: Path) -> None:
    rows = trials("sysu", "stand-in", ["base"], [write(tmp_path, "base", 1, sysu_rows([3]))])
    for line in summary("sysu", rows):
        assert (line["trials"], line["rank1_std"], line["mAP_std"], line["mINP_std"]) == (1, None, None, None)


def test_the_papers_numbers_stand_beside_bn_alone(tmp_path: Path) -> None:
    methods = ["untrained", "base", "agw", "msclnet"]
    paths = [write(tmp_path, method, 1, sysu_rows([3]) + sysu_rows([3], "pooled")) for method in methods]
    table = summary("sysu", trials("sysu", "SYSU-MM01", methods, paths))
    printed = {
        (line["method"], line["mode"]): (line["paper_rank1"], line["paper_mAP"])
        for line in table
        if line["paper_rank1"] is not None
    }
    assert printed == {
        ("agw", "all"): (59.82, 56.07),
        ("msclnet", "all"): (76.99, 71.64),
        ("msclnet", "indoor"): (78.49, 81.17),
    }
    assert {(line["feature"], line["shots"]) for line in table if line["paper_rank1"] is not None} == {("bn", 1)}


def test_neither_the_order_of_paths_nor_of_rows_matters(tmp_path: Path, regdb: list[Path]) -> None:
    one = trials("regdb", "RegDB", ["agw", "base"], regdb)
    for path in regdb:
        content = json.loads(path.read_text())
        random.Random(0).shuffle(content["rows"])
        path.write_text(json.dumps(content))
    assert trials("regdb", "RegDB", ["agw", "base"], regdb[::-1]) == one


def test_readable_tables_are_aligned() -> None:
    rows = [
        {"method": "agw", "trials": 10, "rank1": 7.125, "rank1_std": None, "paper_rank1": 70.05},
        {"method": "msclnet", "trials": 1, "rank1": 17.0, "rank1_std": 1.5, "paper_rank1": None},
    ]
    assert readable(rows).split("\n") == [
        "method   trials  rank1    +-  paper_rank1",
        "agw          10   7.12     -        70.05",
        "msclnet       1  17.00  1.50            -",
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("scores.json", "scores.json: expected a path that ends in <method>/split<N>/scores.json"),
        ("agw/splitA/scores.json", "agw/splitA/scores.json: expected a path that ends in"),
        ("agw/split1/metrics.json", "agw/split1/metrics.json: expected a path that ends in"),
        ("agv/split1/scores.json", "agv/split1/scores.json: of the method 'agv', expected one of agw; name it, too"),
        ("agw/split1/scores.json", "agw/split1/scores.json: no such file; expected the scores of a training"),
    ],
)
def test_paths_that_do_not_fit_are_named(path: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        trials("regdb", "RegDB", ["agw"], [Path(path)])


def test_every_method_needs_the_same_splits(regdb: list[Path]) -> None:
    message = "base: no scores.json of split 10 is given; expected the same splits of agw, base"
    with pytest.raises(DataError, match=re.escape(message)):
        trials("regdb", "RegDB", ["agw", "base"], regdb[:3])
    with pytest.raises(
        DataError, match=re.escape("no scores.json of untrained is given; give one, or leave the method out")
    ):
        trials("regdb", "RegDB", ["untrained", "agw", "base"], regdb)
    with pytest.raises(DataError, match=re.escape("no scores.json of agw is given")):
        trials("regdb", "RegDB", ["agw"], [])


def test_a_training_given_twice_is_refused(regdb: list[Path]) -> None:
    with pytest.raises(DataError, match=re.escape("a second file of agw, split 2; expected one")):
        trials("regdb", "RegDB", ["agw", "base"], [*regdb, regdb[0]])


def test_a_second_training_of_sysu_is_refused(tmp_path: Path) -> None:
    """Its draws are the trials of one training: two would be mixed into one mean."""
    paths = [write(tmp_path, "agw", split, sysu_rows([3])) for split in (1, 2)]
    what = "feature bn, flip no, rerank no, protocol community, mode all, shots 1, draw 0"
    message = f"split2/scores.json: agw has a second row of {what}"
    with pytest.raises(DataError, match=re.escape(message)):
        trials("sysu", "SYSU-MM01", ["agw"], paths)


REGDB_ROW = row(3, **HOW, feature="bn", direction=DIRECTIONS[0], split=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"split": 1, "rows"', "not a scores.json (JSONDecodeError"),
        ('{"rows": []}', "not a scores.json (KeyError('split')); evaluate the training again"),
        ("[]", "not a scores.json (TypeError"),
        ('{"split": 1, "rows": [3]}', "not a scores.json (TypeError('rows: expected a list of mappings"),
        ('{"split": 2, "rows": []}', "scores of split 2, expected split 1 as its training says"),
        ('{"split": 1, "rows": []}', "0 rows, without any score; expected rows of regdb"),
        (json.dumps({"split": 1, "rows": sysu_rows([3])}), "4 rows, without direction; expected rows of regdb"),
        (
            json.dumps({"split": 1, "rows": [{**REGDB_ROW, "feature": "raw"}]}),
            "feature is 'raw', expected bn or pooled; evaluate the training again",
        ),
        (
            json.dumps({"split": 1, "rows": [{**REGDB_ROW, "direction": "forth"}]}),
            "direction is 'forth', expected visible-to-infrared or infrared-to-visible",
        ),
    ],
)
def test_a_file_that_is_amiss_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = write(tmp_path, "agw", 1, [])
    path.write_text(content)
    with pytest.raises(DataError, match=re.escape(f"{path}: {message}")):
        trials("regdb", "RegDB", ["agw"], [path])


def test_the_script(
    tmp_path: Path, regdb: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice: the same bytes, nothing else left in the folder, and a readable summary on the terminal."""
    written = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        command = [SCRIPT, "--set", "regdb", "--data", "stand-in", "--methods", "base", "agw"]
        command += ["--trials", f"{folder}/trials.csv", "--summary", f"{folder}/summary.csv"]
        command += ["--differences", f"{folder}/differences.csv", "--scores"]
        monkeypatch.setattr(sys, "argv", [*command, *map(str, regdb)])
        runpy.run_path(SCRIPT, run_name="__main__")
        written.append({file.name: file.read_bytes() for file in sorted(folder.iterdir())})
    assert written[0] == written[1]
    assert list(written[0]) == ["differences.csv", "summary.csv", "trials.csv"]
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2 * (2 + 8 + 3 + 4), (
        "two heads, a row a summary's; an empty line, two heads, a row a difference"
    )
    figures = "2 1.62 2.12 2.62 3.62 4.62 0.81 1.06 0.54 0.71 - -"
    assert " ".join(shown[2].split()) == f"stand-in base bn no no standard visible-to-infrared {figures}"


def test_the_script_imports_no_torch_and_ends_with_a_message(tmp_path: Path) -> None:
    """A process of its own: what a shell and Snakemake see."""
    options = ["--set", "regdb", "--data", "RegDB", "--methods", "agw", "--scores", "agw/split1/scores.json"]
    options += ["--trials", str(tmp_path / "trials.csv"), "--summary", str(tmp_path / "summary.csv")]
    run = subprocess.run([sys.executable, "-X", "importtime", SCRIPT, *options], capture_output=True, text=True)
    assert run.returncode == 1
    assert "error: agw/split1/scores.json: no such file" in run.stderr
    assert "Traceback" not in run.stderr
    loaded = {line.split("|")[-1].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "msclnet.results.tables" in loaded
    assert not loaded & {"torch", "mlflow", "matplotlib"}
    assert list(tmp_path.iterdir()) == []


def test_help() -> None:
    run = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
    assert run.returncode == 0
    assert "--summary" in run.stdout


@pytest.mark.parametrize("switched", ["flip", "rerank"])
def test_numbers_with_flip_averaging_or_reranking_stand_alone(tmp_path: Path, switched: str) -> None:
    """They are rows of their own, and no number in print stands beside them."""
    rows = sysu_rows([3]) + [row | {switched: "yes", "rank1": 50.0} for row in sysu_rows([3])]
    path = write(tmp_path, "msclnet", 1, rows)
    table = summary("sysu", trials("sysu", "SYSU-MM01", ["msclnet"], [path]))
    found = [
        (line[switched], line["rank1"], line["paper_rank1"])
        for line in table
        if (line["mode"], line["shots"]) == ("all", 1)
    ]
    assert found == [("no", 3, 76.99), ("yes", 50, None)]


def test_what_was_printed_with_flip_averaging_stands_beside_it(tmp_path: Path) -> None:
    """CAJ's test has it; the default has not, and its rows show the number all the same."""
    rows = sysu_rows([3]) + [row | {"flip": "yes"} for row in sysu_rows([3])]
    table = summary("sysu", trials("sysu", "SYSU-MM01", ["agw_ca"], [write(tmp_path, "agw_ca", 1, rows)]))
    found = {line["flip"]: line["paper_rank1"] for line in table if (line["mode"], line["shots"]) == ("all", 1)}
    assert found == {"no": 69.88, "yes": 69.88}


def test_llcm_has_directions_and_draws(tmp_path: Path) -> None:
    rows = [
        row(10 * draw, **HOW, feature="bn", direction=direction, draw=draw, split=1)
        for direction in DIRECTIONS
        for draw in (0, 1)
    ]
    table = summary("llcm", trials("llcm", "LLCM", ["agw"], [write(tmp_path, "agw", 1, rows)]))
    assert [(line["direction"], line["trials"], line["rank1"]) for line in table] == [(d, 2, 5) for d in DIRECTIONS]


def test_a_summary_is_a_page_for_the_report(tmp_path: Path, regdb: list[Path]) -> None:
    """A table a feature, the headline's first; a mean and its deviation in one cell, the paper's numbers beside."""
    scored = trials("regdb", "RegDB", ["agw", "base"], regdb)
    table = summary("regdb", [row | {"method": row["method"].replace("agw", "msclnet")} for row in scored])
    write_page(tmp_path / "summary.html", "regdb", table)
    text = (tmp_path / "summary.html").read_text()
    assert "<h1>RegDB: summary</h1>" in text
    assert "mean and standard deviation over 2 splits, a training each" in text
    assert "baselines select the best epoch by the test set; ours is the last epoch" in text
    bn, pooled, others = (table_of(part) for part in re.findall(r"<table>(.*?)</table>", text, re.DOTALL))
    assert bn[0] == ["measured here, on RegDB", "in print, real RegDB"]
    assert bn[1] == ["method", "direction", "Rank-1", "Rank-5", "Rank-10", "Rank-20", "mAP", "mINP", "Rank-1", "mAP"]
    assert bn[2] == [
        "msclnet", "visible → infrared", "11.50 (2.12)", "12.50", "13.50", "14.50", "5.75 (1.06)", "3.83 (0.71)",
        "84.17", "80.99",
    ]  # fmt: skip
    assert bn[4][-2:] == ["-", "-"], "nothing in print of base"
    assert pooled[0] == ["measured here, on RegDB"], "the paper has no such feature"
    assert {line[0] for line in (*bn[2:], *pooled[2:])} == {"msclnet", "base"}, "none of print among ours"
    titles = ["Feature bn", "Feature pooled", "In print, on the real RegDB"]
    assert re.findall(r"<h2>(.*?)</h2>", text) == titles
    assert others[0] == ["method", "direction", "Rank-1", "mAP", "mINP", "source"]
    assert others[1] == ["AGW", "visible → infrared", "70.05", "66.37", "50.19", "Ye et al., TPAMI 2021"]
    assert len(others) - 1 == len(in_print("regdb")) == 2 * 7 + 1, "CAJ is in print one way alone"


def table_of(text: str) -> list[list[str]]:
    """The cells of a table in HTML, by line."""
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in re.findall(r"<tr>(.*?)</tr>", text)]


@pytest.mark.parametrize(
    ("spread", "cell"),
    [(10.0, "50.00 (10.00)"), ("100.00", "50.00 (100.00)"), (0.004, "50.00 (equal)"), ("0.00", "50.00 (equal)"),
     (0.0, "50.00 (equal)"), (None, "50.00"), ("", "50.00")],
)  # fmt: skip
def test_a_mean_has_its_spread_beside_it(spread: float | str | None, cell: str) -> None:
    heads, body = condensed(
        [{"data": "d", "method": "m", "feature": "bn", "trials": 3, "rank1": 50.0, "rank1_std": spread}]
    )
    assert dict(zip(heads, body[0], strict=True))["rank1"] == cell


def test_a_spread_of_equal_draws_is_no_deviation_of_nothing(tmp_path: Path) -> None:
    """All draws of a gallery that takes every image are one: that is said, in the table and of the difference."""
    paths = [write(tmp_path, method, 1, sysu_rows([rank1] * 3)) for method, rank1 in (("agw", 10), ("msclnet", 12))]
    rows = trials("sysu", "stand-in", ["agw", "msclnet"], paths)
    write_page(tmp_path / "summary.html", "sysu", summary("sysu", rows), differences(rows))
    text = (tmp_path / "summary.html").read_text()
    tables = [table_of(part) for part in re.findall(r"<table>(.*?)</table>", text, re.DOTALL)]
    assert tables[0][0][0] == "measured here, on drawn people, community protocol"
    assert tables[0][2][:4] == ["agw", "all", "1", "10.00 (equal)"]
    assert tables[1][1][-3] == "+2.00 (equal)"
    assert (
        "every gallery draw gave the same number, to two decimals, as draws do that take every image there is." in text
    )
    assert "(0.00)" not in text


def test_a_set_of_which_nothing_is_in_print_has_no_table_of_it(tmp_path: Path) -> None:
    rows = [row(10, **HOW, feature="bn", direction=direction, draw=0, split=1) for direction in DIRECTIONS]
    table = summary("llcm", trials("llcm", "LLCM", ["agw"], [write(tmp_path, "agw", 1, rows)]))
    write_page(tmp_path / "summary.html", "llcm", table)
    assert "In print" not in (tmp_path / "summary.html").read_text()


def test_two_methods_over_the_same_splits_are_compared_pair_by_pair(regdb: list[Path], tmp_path: Path) -> None:
    """Split by split `base` less `agw` is the same: no spread of the difference, though either method has one."""
    apart = differences(trials("regdb", "stand-in", ["agw", "base"], regdb))
    assert len(apart) == 4
    first = apart[0]
    assert (first["method"], first["less"], first["feature"], first["direction"], first["pairs"]) == (
        "base", "agw", "bn", DIRECTIONS[0], 2,
    )  # fmt: skip
    assert [first[f"rank1_{part}"] for part in ("diff", "low", "high")] == pytest.approx([0.125 - 10] * 3)
    assert first["mAP_diff"] == pytest.approx((0.125 - 10) / 2)


def test_an_interval_is_students_over_the_splits(tmp_path: Path) -> None:
    """Apart by 1 and 5: mean 3, standard deviation 4 / sqrt 2, and t of one degree of freedom is 12.706."""
    paths = [
        write(tmp_path, method, split, [row(value, **HOW, feature="bn", direction=d, split=split) for d in DIRECTIONS])
        for method, values in (("untrained", (1, 1)), ("agw", (10, 20)), ("msclnet", (11, 25)))
        for split, value in zip((1, 2), values, strict=True)
    ]
    rows = trials("regdb", "stand-in", ["untrained", "agw", "msclnet"], paths)
    apart = differences(rows)
    assert [(line["method"], line["less"]) for line in apart] == [("msclnet", "agw")] * 2
    assert [apart[0][f"rank1_{part}"] for part in ("diff", "low", "high")] == pytest.approx(
        [3, 3 - 12.7062 * 2, 3 + 12.7062 * 2], abs=1e-3
    )
    write_page(tmp_path / "summary.html", "regdb", summary("regdb", rows), apart)
    page = (tmp_path / "summary.html").read_text()
    assert "<td>+3.00 (-22.41 to +28.41)</td>" in page
    assert "mean over 2 splits, pair by pair" in page
    one = trials("regdb", "stand-in", ["untrained", "agw"], paths[:4])
    assert {(line["method"], line["less"]) for line in differences(one)} == {("agw", "untrained")}
    assert differences(trials("regdb", "stand-in", ["agw"], paths[2:4])) == []


def test_draws_of_one_training_say_nothing_of_another() -> None:
    assert "the interval says nothing of another training" in paired_words("sysu", 10)
    assert "share images" in paired_words("regdb", 10)
    assert "a single pair has no interval" in paired_words("regdb", 1)
