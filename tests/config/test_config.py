"""The configuration is strict, and its messages say what would be right."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import yaml

from msclnet import config as settings
from msclnet.config import Config, TrainJob, build, load, merge, plain, train_job
from msclnet.core.errors import ConfigError
from tests.conftest import ROOT


@pytest.fixture
def values(default: Config) -> dict[str, Any]:
    return copy.deepcopy(plain(default))


def test_plain_and_build_are_inverse(default: Config) -> None:
    assert build(Config, plain(default)) == default
    job = train_job(default, "regdb", "msclnet", 3)
    assert build(TrainJob, yaml.safe_load(yaml.safe_dump(plain(job)))) == job


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.identites", 8, r"train\.identites: unknown key; did you mean 'identities'"),
        ("methods.msclnet.losses.golbal", 1, r"methods\.msclnet\.losses\.golbal: unknown key; did you mean 'global'"),
        ("train.epochs_total", 1, r"train\.epochs_total: unknown key; did you mean"),
        ("train.rate", "fast", r"train\.rate: expected float, found 'fast' \(str\)"),
        ("train.identities", 8.5, r"train\.identities: expected int, found 8\.5 \(float\)"),
        ("train.identities", True, r"train\.identities: expected int, found True \(bool\)"),
        ("train.nesterov", 1, r"train\.nesterov: expected bool, found 1 \(int\)"),
        ("model.backbone", "vgg", r"model\.backbone: expected 'small' or 'resnet18' or 'resnet50', found 'vgg'"),
        ("data.regdb.processes", "all", r"data\.regdb\.processes: expected int or 'auto', found 'all'"),
        ("objective.divergence_ceiling", "no", r"objective\.divergence_ceiling: expected float or null, found 'no'"),
        ("train.erasing_area", [0.1], r"train\.erasing_area: expected a list \(2\) of float"),
        ("run.methods", ["mscl"], r"run\.methods: 'mscl' is not under methods \(base, agw, msclnet\)"),
        ("run.methods", [], r"run\.sets and run\.methods must each name at least one"),
        ("data.regdb.splits", [0, 11], r"data\.regdb\.splits: \[0, 11\]; name some of 1\.\.10"),
        ("train.factors", [0.1], r"train\.milestones and train\.factors must have the same number"),
        ("run.gpus_per_training", -1, r"run\.gpus_per_training: -1; use auto or a number from 1 \(GPUs: from 0"),
        ("data.sysu.processes", 0, r"data\.sysu\.processes: 0; use auto or a number from 1"),
        ("run.nodes_per_training", 0, r"run\.nodes_per_training: 0; a training needs a node"),
        ("run.nodes_per_training", 3, r"data\.sysu\.processes: 2 cannot be spread evenly over 3 nodes .*; use 3$"),
        ("train", None, r"train: expected a mapping, found None"),
    ],
)
def test_a_wrong_value_is_named_with_the_right_ones(
    values: dict[str, Any], path: str, value: object, message: str
) -> None:
    *folders, key = path.split(".")
    section = values
    for folder in folders:
        section = section[folder]
    section[key] = value
    with pytest.raises(ConfigError, match=message):
        build(Config, values)


def test_a_missing_key_is_named(values: dict[str, Any]) -> None:
    del values["train"]["rate"], values["train"]["flip"]
    with pytest.raises(ConfigError, match=r"train\.rate, train\.flip: missing; config/README\.md"):
        build(Config, values)


def test_reserved_and_unusable_method_names_are_refused(values: dict[str, Any]) -> None:
    for name, message in (("untrained", "reserved"), ("a/b", "becomes a folder")):
        wrong = merge(values, {"methods": {name: values["methods"]["agw"]}})
        with pytest.raises(ConfigError, match=message):
            build(Config, wrong)


def test_absent_and_malformed_files_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such configuration file"):
        load(str(tmp_path / "nowhere.yaml"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("run: [regdb")
    with pytest.raises(ConfigError, match=r"broken\.yaml: not valid YAML"):
        load(str(broken))


def test_a_training_reads_its_own_section_only(default: Config) -> None:
    """A plot's setting, another method's weight or another set's folder leave a training's section as it is."""
    job = train_job(default, "regdb", "agw", 1)
    losses = dataclasses.replace(default.methods["msclnet"].losses, div=9.0)
    methods = default.methods | {"msclnet": dataclasses.replace(default.methods["msclnet"], losses=losses)}
    changed = dataclasses.replace(
        default,
        methods=methods,
        figures=dataclasses.replace(default.figures, ranks=3),
        data=dataclasses.replace(default.data, sysu=dataclasses.replace(default.data.sysu, epochs=99)),
    )
    assert train_job(changed, "regdb", "agw", 1) == job
    assert train_job(changed, "regdb", "msclnet", 1) != train_job(default, "regdb", "msclnet", 1)
    assert train_job(changed, "sysu", "agw", 1) != train_job(default, "sysu", "agw", 1)


def test_untrained_is_the_last_method_before_its_first_step(default: Config) -> None:
    job = train_job(default, "sysu", settings.UNTRAINED, 1)
    assert (job.epochs, job.processes, job.method) == (0, 1, default.methods[default.run.methods[-1]])


def test_the_papers_configuration_states_every_key_itself() -> None:
    """Nothing of the paper's recipe may slip in from the default, whose network and images are small."""
    default = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    paper = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    del default["stand_in"]

    def keys(values: Any, where: str = "") -> set[str]:
        if not isinstance(values, dict):
            return {where}
        return set().union(*(keys(v, f"{where}.{k}") for k, v in values.items()))

    assert keys(default) == keys(paper)


def test_every_key_is_explained() -> None:
    text = (ROOT / "config/README.md").read_text()
    default = yaml.safe_load((ROOT / "config/config.yaml").read_text())

    def leaves(values: Any) -> set[str]:
        return set().union(*({k} | (leaves(v) if isinstance(v, dict) else set()) for k, v in values.items()))

    missing = sorted(key for key in leaves(default) if f"`{key}`" not in text)
    assert not missing, f"config/README.md does not explain {missing}"


def test_the_papers_rates(paper: Config) -> None:
    from msclnet.training.schedule import rate

    expected = {1: 0.01, 10: 0.1, 20: 0.1, 21: 0.05, 50: 0.05, 51: 0.01, 100: 0.01, 101: 0.001, 200: 0.001}
    assert {epoch: rate(epoch, paper.train) for epoch in expected} == pytest.approx(expected)
