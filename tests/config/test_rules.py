"""What binds several keys is held before any job; the arithmetic is the real network's."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from msclnet.config import Config, build, merge, plain, rules
from msclnet.core.errors import ConfigError
from msclnet.core.types import Modality
from msclnet.datasets.sysu import PERMUTATIONS
from msclnet.model.backbone import Backbone
from msclnet.report.figures.style import COLOURS


@pytest.fixture
def values(default: Config) -> dict[str, Any]:
    return copy.deepcopy(plain(default))


def problems(values: dict[str, Any], changes: dict[str, Any]) -> list[str]:
    try:
        build(Config, merge(values, changes))
    except ConfigError as error:
        head, *lines = str(error).split("\n")
        return [line.strip() for line in lines] or [head]
    return []


BIG = {"stand_in": {"regdb": {"identities": 2000}}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"run": {"methods": ["mscl"]}},
            "run.methods: 'mscl' is not under methods (base, agw, msclnet, agw_ca, msclnet_ca); did",
        ),
        (
            {"studies": {"ablation": {"method": "awg"}}},
            "studies.ablation.method: 'awg' is not under methods (base, agw, msclnet, agw_ca, msclnet_ca); did",
        ),
        ({"studies": {"ablation": {"splits": [11]}}}, "studies.ablation.splits: 11, expected some of regdb's: 1, 2, 3"),
        (
            {"studies": {"ablation": {"set": "sysu", "splits": [2]}}},
            "studies.ablation.splits: 2, expected some of sysu's: 1",
        ),
        ({"studies": {"ablation": {"seeds": [0, 0]}}}, "studies.ablation.seeds: names 0 twice; name each once"),
        ({"model": {"weights": "imagenet"}}, "model.weights: 'imagenet', and the backbone small has no published"),
        (
            {"model": {"backbone": "resnet18", "weights": "nowhere.pth", "parts": 5}},
            "model.weights: nowhere.pth: no such file; expected none, imagenet, or a file of torchvision's resnet18",
        ),
        (
            {"model": {"parts": 4, "parts_by": "stripes"}, "methods": {"msclnet": {"losses": {"separation": 0}}}},
            "model.parts: 4 parts do not divide the 9 rows of small's last map at data.height 72 (read by msclnet); "
            "use 1, 3, 9 parts, a height of 64 or 96, or model.parts_by: masks",
        ),
        (
            {"model": {"parts_by": "stripes"}},
            "methods.msclnet.losses.separation: reads the masks of parts, and model.parts_by is stripes; set it to "
            "masks, or the weight to 0",
        ),
        ({"train": {"identities": 121}}, "train.identities: a batch of 121 identities, and stand_in.regdb draws 120"),
        (
            {"train": {"identities": 9, "images": 1}, "run": {"sets": ["sysu"]}},
            "data.sysu.processes: 2 processes cannot share a batch of 9 pairs (train.identities x train.images) "
            "evenly, 2 pairs each at least unless train.sync_batchnorm is true; use 1, 3",
        ),
        (
            {"run": {"nodes_per_training": 3}},
            "data.sysu.processes: 2 cannot be spread evenly over 3 nodes (run.nodes_per_training); use 3",
        ),
        (
            {"train": {"milestones": [8, 14, 20], "factors": [0.5, 0.1, 0.1]}, "run": {"sets": ["regdb"]}},
            "train.milestones: 14, 20 not before the end of data.regdb.epochs, 14; use epochs below 14, or leave them",
        ),
        (
            {"train": {"warmup": 20}, "run": {"sets": ["regdb"]}},
            "train.warmup: 20 epochs, more than data.regdb.epochs, 14; use 14 or fewer",
        ),
        ({"train": {"padding": 36}}, "train.padding: 36 pixels around images of 72 x 36; use fewer than 36"),
        (
            {"stand_in": {"regdb": {"like": "/nowhere"}}},
            "stand_in.regdb.like: /nowhere: no such folder; expected one with the set's own lists, or empty",
        ),
        (
            {"evaluate": {"sysu": {"protocol": "official", "draws": 11}}},
            "evaluate.sysu.draws: the official protocol has 10 draws, found 11; use 10 or fewer",
        ),
        (
            {"train": {"keep": "best_validation"}},
            "train.keep: best_validation needs a train.validate_every above 0, found 0; set one of them",
        ),
        ({"train": {"keep": "best"}}, "train.keep: expected 'last' or 'best_validation', found 'best'"),
        ({"train": {"validation_fraction": 1.0}}, "train.validation_fraction: expected a number "),
        ({"train": {"validation_fraction": 0}}, "train.validation_fraction: expected a number "),
        ({"train": {"validate_every": -1}}, "train.validate_every: expected a whole number of at least 0, found -1"),
        (
            {"train": {"validate_every": 2, "validation_fraction": 0.01}},
            "train.validation_fraction: 0.01 of regdb's 120 training identities is 1; use 0.017 or more, or set "
            "train.validate_every to 0",
        ),
        (
            {"train": {"validate_every": 2, "validation_fraction": 0.95}},
            "train.identities: a batch of 8 identities, and train.validate_every holds out 114 of regdb's 120 training "
            "identities; use 6 or fewer, or hold out fewer",
        ),
        (
            {"train": {"validate_every": 2}, "stand_in": {"sysu": {"val": 1}}},
            "stand_in.sysu: draws 1 into exp/val_id.txt, and train.validate_every holds out those identities; draw 2",
        ),
        (
            {"train": {"validate_every": 2}, "stand_in": {"sysu": {"train": 7, "val": 20}}},
            "train.identities: a batch of 8 identities, and train.validate_every holds out 20 of sysu's 27 training",
        ),
        (
            {
                "train": {"validate_every": 1, "validation_fraction": 0.005},
                "data": {"regdb": {"root": "/a/real/set"}},
            },
            "train.validation_fraction: 0.005 of regdb's 206 training identities is 1; use 0.010 or more",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_named(values: dict[str, Any], changes: dict[str, Any], expected: str) -> None:
    found = problems(values, changes)
    assert found
    assert found[0].startswith(expected), found


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"regdb": {"processes": 16}}},
        {"data": {"regdb": {"processes": 32}}, "train": {"sync_batchnorm": True}},
        {"run": {"gpus_per_training": 0}},
        {"evaluate": {"sysu": {"draws": 40}}},  # the community's draws are as many as one likes
        {"data": {"sysu": {"epochs": 1}}, "run": {"sets": ["regdb"]}},  # not run
        {"train": {"identities": 500}, **BIG, "run": {"sets": ["regdb"]}},
        {"data": {"regdb": {"root": "/a/real/set"}}, "train": {"identities": 200}, "run": {"sets": ["regdb"]}},
        {"train": {"validate_every": 1, "keep": "best_validation"}},
        {"train": {"validate_every": 99}},  # the last epoch is scored
        {"train": {"validate_every": 0, "validation_fraction": 0.001}},  # not read
        {"train": {"validate_every": 1}, "data": {"sysu": {"root": "/a/real/set"}}, "run": {"sets": ["sysu"]}},
        {"tracking": {"uri": "postgresql+psycopg2://me@host/db"}},
        {"tracking": {"uri": "sqlite:///runs.db"}},
    ],
)
def test_what_fits_is_let_through(values: dict[str, Any], changes: dict[str, Any]) -> None:
    assert problems(values, changes) == []


def test_parts_are_held_against_the_map_where_somebody_reads_them(values: dict[str, Any]) -> None:
    without_studies = values | {"studies": {}}
    without_masks = {key: {"losses": {"separation": 0}} for key in ("msclnet", "msclnet_ca")}
    changes = {"model": {"parts": 4, "parts_by": "stripes"}, "methods": without_masks}
    assert problems(without_studies, changes | {"run": {"methods": ["agw"]}}) == []
    found = problems(without_studies, changes | {"run": {"methods": ["agw", "msclnet"]}})
    assert [line.partition(":")[0] for line in found] == ["model.parts"]


def test_processes_that_gpus_decide_are_held_against_the_batch(values: dict[str, Any]) -> None:
    found = problems(values, {"run": {"gpus_per_training": 5, "sets": ["regdb"]}})
    assert found[0].startswith("run.gpus_per_training: 5 processes cannot share a batch of 32 pairs")


def test_a_section_is_wanted_where_its_set_is_run(values: dict[str, Any]) -> None:
    whole = copy.deepcopy(values)
    for section in ("data", "stand_in", "evaluate"):
        del values[section]["llcm"]
    assert build(Config, values).data.has("llcm") is False
    found = problems(values, {"run": {"sets": ["llcm"]}})
    assert [line.split(":")[0] for line in found] == ["data.llcm", "evaluate.llcm"]
    assert found[0].endswith("missing; run.sets names it: write a section with root, epochs, processes")
    data = {"run": {"sets": ["llcm"]}, "data": {"llcm": whole["data"]["llcm"]}}
    evaluate = {"evaluate": {"llcm": {"draws": 10}}}
    found = problems(values, data | evaluate)
    assert found[0].startswith("stand_in.llcm: missing; data.llcm.root is stand-in: write a section with like, train")
    real = {"data": {"llcm": whole["data"]["llcm"] | {"root": "/a/real/set"}}}
    assert problems(values, data | evaluate | real) == []


def test_the_official_draws_must_lie_in_a_real_folder(values: dict[str, Any], tmp_path: Path) -> None:
    wanted = {"data": {"sysu": {"root": str(tmp_path)}}, "evaluate": {"sysu": {"protocol": "official"}}}
    found = problems(values, wanted)
    assert found[0].startswith(f"evaluate.sysu.protocol: official reads {tmp_path / PERMUTATIONS}, which is not there")
    (tmp_path / PERMUTATIONS).parent.mkdir()
    (tmp_path / PERMUTATIONS).touch()
    assert problems(values, wanted) == []
    assert problems(values, {**wanted, "data": {**wanted["data"], "on_bad_image": "skip"}}) == [
        "evaluate.sysu.protocol: official counts on every image of the set, and data.on_bad_image: skip leaves some "
        "out; use stop, or the community protocol"
    ]


def test_weights_in_a_file_are_let_through(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "resnet18.pth").touch()
    model = {"backbone": "resnet18", "weights": str(tmp_path / "resnet18.pth"), "parts": 5}
    assert problems(values, {"model": model}) == []


def test_what_a_backbone_of_timms_cannot_have_is_said_while_planning(values: dict[str, Any]) -> None:
    pytest.importorskip("timm")
    fitting = {"methods": {name: {"nonlocal": "none"} for name in ("agw", "msclnet")}, "model": {"parts_by": "masks"}}
    assert problems(values, merge(fitting, {"model": {"backbone": "timm:vit_tiny_patch16_224.augreg_in21k"}})) == []
    found = problems(values, {"model": {"backbone": "timm:resnet19", "parts_by": "stripes", "weights": "w.pth"}})
    assert {line.split(" ")[0] for line in found if "separation" not in line} == {
        "model.weights:", "model.backbone:", "methods.msclnet.nonlocal:", "methods.agw.nonlocal:", "model.parts_by:",
    }  # fmt: skip
    assert found[0].endswith("no such file; expected none, imagenet, or a file of timm:resnet19 weights")
    assert "timm has no model 'resnet19'; did you mean 'resnet1" in found[1]
    assert found[2].endswith("timm:resnet19 has no place for non-local blocks; set it to none")


def test_a_backbone_of_timms_without_timm_names_the_extra(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "find_spec", lambda name: None)
    found = problems(values, {"model": {"backbone": "timm:resnet18"}})
    assert found[0] == "model.backbone: timm:resnet18 needs timm, which is not installed: pip install -e '.[timm]'"


@pytest.mark.parametrize("backbone", ["small", "resnet18", "resnet50"])
def test_the_rows_of_the_last_map_are_the_real_networks(backbone: str) -> None:
    network = Backbone(backbone, "none", "none").eval()
    for height in (16, 17, 31, 32, 33, 47, 48, 72, 96, 100, 121):
        stem = network.stem(torch.zeros(1, 3, height, 16), Modality.VISIBLE)
        assert network.shared(stem).shape[2] == rules.rows(backbone, height), height


def test_the_numbers_of_processes_are_those_that_share_a_batch() -> None:
    assert rules.process_counts(12, 1) == [1, 2, 3, 4, 6, 12]
    assert rules.process_counts(12, 2) == [1, 2, 3, 4, 6]
    assert rules.process_counts(1, 2) == []


def test_a_figure_has_a_colour_for_each_identity(values: dict[str, Any]) -> None:
    assert problems(values, {"figures": {"identities": len(COLOURS)}}) == []
    assert problems(values, {"figures": {"identities": len(COLOURS) + 1}})
