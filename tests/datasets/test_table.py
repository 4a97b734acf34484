"""What every data set of the table says of itself holds together, and reads as the field writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from msclnet.config.evaluation import evaluation
from msclnet.core.errors import ConfigError
from msclnet.core.types import Modality
from msclnet.datasets.dataset import FIGURES, DataSet, held
from msclnet.datasets.table import SETS
from tests.evaluation.people import made_up

PEOPLE = [(i, c) for i in range(1, 5) for c in (1, 2, 4, 5) for _ in range(2)]
EVERY = pytest.mark.parametrize("data_set", list(SETS), ids=list(SETS.names()))


def test_an_unknown_name_gets_the_nearest() -> None:
    assert SETS.names() == ("regdb", "sysu", "llcm")
    with pytest.raises(ConfigError, match="'regbd' is no data set; did you mean 'regdb'"):
        SETS.get("regbd")


@EVERY
def test_the_comparisons_have_what_tables_and_runs_ask_for(data_set: DataSet) -> None:
    images = made_up(0, PEOPLE, [(i, {1: 3, 2: 6}.get(c, c)) for i, c in PEOPLE])
    comparisons = list(data_set.comparisons(images))
    for comparison in comparisons:
        trial = {data_set.trial} - {"split"}
        assert comparison.setting.keys() == {"protocol", *data_set.columns, *trial}
        assert {Modality(m) for m in images.modality[comparison.query]}.isdisjoint(
            {Modality(m) for m in images.modality[comparison.gallery]}
        )
    settings = [{column: c.setting[column] for column in data_set.columns} for c in comparisons]
    assert all(setting in settings for setting in data_set.headline)
    assert all(dict(zip(data_set.columns, values, strict=True)) in settings for _, values in data_set.printed)
    for column, order in data_set.order.items():
        assert list(dict.fromkeys(setting[column] for setting in settings)) == list(order)
    assert len({data_set.words(s) for s in settings}) == len({data_set.key(s) for s in settings})
    assert set(data_set.figures) <= set(FIGURES)
    listed = list(data_set.comparisons(images, evaluation(data_set, data_set.listed)))
    assert 0 < len(listed) <= 2, "a page of ranked lists each"


@pytest.mark.parametrize(
    ("name", "setting", "words", "key", "heading"),
    [
        (
            "regdb", {"protocol": "standard", "direction": "visible-to-infrared"},
            "visible to infrared", "visible-to-infrared", "visible-to-infrared",
        ),
        (
            "llcm", {"protocol": "standard", "direction": "infrared-to-visible", "draw": 2},
            "infrared to visible", "infrared-to-visible", "infrared-to-visible, gallery draw 2",
        ),
        (
            "sysu", {"protocol": "official", "mode": "indoor", "shots": 10, "draw": 0},
            "indoor search, multi-shot", "indoor/multi-shot",
            "indoor search, multi-shot, infrared queries, official protocol, gallery draw 0",
        ),
        (
            "sysu", {"protocol": "community", "mode": "all", "shots": 1, "draw": 9},
            "all search, single-shot", "all/single-shot",
            "all search, single-shot, infrared queries, community protocol, gallery draw 9",
        ),
    ],
)  # fmt: skip
def test_a_comparison_in_words(name: str, setting: dict[str, str | int], words: str, key: str, heading: str) -> None:
    data_set = SETS.get(name)
    assert (data_set.words(setting), data_set.key(setting), data_set.heading(setting)) == (words, key, heading)


def test_options_that_a_protocol_has_not_are_named() -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.regdb: found \{'draws': 2\}; RegDB has nothing to choose"):
        evaluation(SETS.get("regdb"), "{draws: 2}")
    with pytest.raises(ConfigError, match=r"evaluate\.sysu\.draw: unknown key; did you mean 'draws'"):
        evaluation(SETS.get("sysu"), {"draw": 2})
    with pytest.raises(ConfigError, match=r"evaluate\.sysu\.draws: the official protocol has 10 draws, found 11"):
        evaluation(SETS.get("sysu"), "{protocol: official, draws: 11}")
    assert evaluation(SETS.get("regdb"), {}) is None


def test_the_real_sets_hold_out_as_many_as_the_docs_say(real_lists: Path) -> None:
    """The numbers that planning counts on, from the sets' own lists; no test identity is among them."""
    regdb, sysu, llcm = (SETS.get(name) for name in ("regdb", "sysu", "llcm"))
    for split in range(1, 11):
        lines = (real_lists / f"regdb/idx/train_visible_{split}.txt").read_text().splitlines()
        assert len({line.split("/")[1] for line in lines}) == regdb.training_identities == 206
    lines = (real_lists / "llcm/idx/train_vis.txt").read_text().splitlines()
    assert len({line.split("/")[1] for line in lines}) == llcm.training_identities == 713
    assert [held(data_set.training_identities or 0, 0.1) for data_set in (regdb, llcm)] == [21, 71]
    lists = {
        name: set((real_lists / f"sysu/exp/{name}_id.txt").read_text().strip().split(","))
        for name in ("train", "val", "test")
    }
    assert sysu.validation_list == "exp/val_id.txt"
    assert (len(lists["val"]), len(lists["train"])) == (99, 296)
    assert lists["val"].isdisjoint(lists["train"] | lists["test"])
