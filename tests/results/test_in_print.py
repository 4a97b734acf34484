"""The numbers in print: as their sources have them, each a row of its own, the same in docs/reference/in_print.md."""

from __future__ import annotations

import pytest

from msclnet.datasets.table import SETS
from msclnet.results.in_print import SELECTION, in_print
from msclnet.results.tables import shown
from tests.conftest import ROOT

# A second copy from the sources: all-search, then indoor search, as Rank-1 / 10 / 20 / mAP.
SYSU = """
AGW 47.50 84.39 92.14 47.65 54.17 91.14 95.98 62.97
NFS 56.91 91.34 96.52 55.45 62.79 96.53 99.07 69.79
CM-NAS 61.99 92.87 97.25 60.02 67.01 97.02 99.32 72.95
MCLNet 65.40 93.33 97.14 61.98 72.56 96.88 99.20 76.58
SMCL 67.39 92.87 96.76 61.78 68.84 96.55 98.77 75.56
MPANet 70.58 96.21 98.80 68.24 76.74 98.21 99.57 80.95
MSCLNet 76.99 97.63 99.18 71.64 78.49 99.32 99.91 81.17
"""
# Visible to infrared, then infrared to visible, as Rank-1 / mAP.
REGDB = """
AGW 70.05 66.37 70.49 65.90
DDAG 69.34 63.46 68.06 61.80
HAT 71.83 67.56 70.02 66.30
NFS 80.54 72.10 77.95 69.97
MCLNet 80.31 73.07 75.93 69.49
MPANet 83.70 80.90 82.80 80.70
MSCLNet 84.17 80.99 83.86 78.31
"""
PAGE = (ROOT / "docs/reference/in_print.md").read_text()


@pytest.mark.parametrize(
    ("name", "text", "metrics"),
    [("sysu", SYSU, ("rank1", "rank10", "rank20", "mAP")), ("regdb", REGDB, ("rank1", "mAP"))],
)
def test_the_rows_are_those_of_the_sources(name: str, text: str, metrics: tuple[str, ...]) -> None:
    found: dict[str, list[float]] = {}
    for row in in_print(name):
        found.setdefault(row["method"], []).extend(row[metric] for metric in metrics)
    found.pop("AGW*", None)
    found.pop("CAJ")
    assert found == {line.split()[0]: [float(value) for value in line.split()[1:]] for line in text.split("\n") if line}


def test_cajs_numbers_stand_beside_the_baseline_with_channels() -> None:
    (sysu,), (regdb,) = ([row for row in in_print(name) if row["method"] == "CAJ"] for name in ("sysu", "regdb"))
    assert [sysu[key] for key in ("mode", "shots", "rank1", "mAP", "mINP")] == ["all", 1, 69.88, 66.89, 53.61]
    assert [regdb[key] for key in ("direction", "rank1", "mAP", "mINP")] == ["visible-to-infrared", 85.03, 79.14, 65.33]
    assert ("agw_ca", ("all", 1)) in SETS.get("sysu").printed
    page = (ROOT / "docs/how-to/channel-augmentation.md").read_text()
    for row, setting in ((sysu, "all-search, single-shot"), (regdb, "visible → infrared")):
        assert f"{setting} | {row['rank1']} | {row['mAP']} | {row['mINP']} |" in page


def test_the_baselines_own_numbers_are_in_print_for_all_search_alone() -> None:
    """59.82 and 56.07: AGW with random erasing, which stands beside our ``agw``; AGW itself is another method."""
    (row,) = (row for name in SETS.names() for row in in_print(name) if row["method"] == "AGW*")
    assert (row["mode"], row["shots"], row["rank1"], row["mAP"], row["rank10"]) == ("all", 1, 59.82, 56.07, None)
    printed = SETS.get("sysu").printed
    assert {method for method, setting in printed if setting == ("all", 1)} >= {"agw", "AGW"}
    assert in_print("llcm") == []


@pytest.mark.parametrize("name", ["sysu", "regdb"])
def test_the_page_has_the_same_rows(name: str) -> None:
    """Without the two columns that its text states."""
    rows = in_print(name)
    sources = {row["source"] for row in rows}
    rows = [{key: value for key, value in row.items() if key not in ("shots", "source")} for row in rows]
    cells = [list(rows[0]), ["---"] * len(rows[0]), *([shown(value) or "-" for value in row.values()] for row in rows)]
    assert "\n".join(f"| {' | '.join(line)} |" for line in cells) in PAGE
    text = " ".join(PAGE.split())
    assert all(source in text for source in sources)
    assert SELECTION in text
