"""The configuration is strict, and its messages say what would be right."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from msclnet import config as settings
from msclnet.config import Config, Train, TrainJob, build, load, merge, plain, replace, train_job
from msclnet.core.errors import ConfigError
from msclnet.results import shared
from tests.conftest import ROOT


@pytest.fixture
def values(default: Config) -> dict[str, Any]:
    return copy.deepcopy(plain(default))


def test_plain_and_build_are_inverse(default: Config) -> None:
    assert build(Config, plain(default)) == default
    job = train_job(default, "regdb", "msclnet", 3)
    assert build(TrainJob, yaml.safe_load(yaml.safe_dump(plain(job)))) == job


def put(values: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *folders, key = path.split(".")
    section = values
    for folder in folders:
        section = section[folder]
    section[key] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.identites", 8, r"train\.identites: unknown key; did you mean 'identities'"),
        ("methods.msclnet.losses.golbal", 1, r"methods\.msclnet\.losses\.golbal: unknown key; did you mean 'global'"),
        ("train.epochs_total", 1, r"train\.epochs_total: unknown key; did you mean"),
        ("data.llmc", {}, r"data\.llmc: unknown key; did you mean 'llcm'"),
        ("5", 1, r"5: unknown key; did you mean"),
        ("data.regdb.epoch", 1, r"data\.regdb\.epoch: unknown key; did you mean 'epochs'"),
        ("trian", {}, r"trian: unknown key; did you mean 'train'"),
        ("seed", -1, r"seed: expected a whole number from 0 to 4294967295, found -1"),
        ("train.rate", "fast", r"train\.rate: expected a number above 0, found 'fast'"),
        ("train.rate", float("nan"), r"train\.rate: expected a number above 0, found nan"),
        ("train.identities", 8.5, r"train\.identities: expected a whole number of at least 1, found 8\.5"),
        ("train.identities", True, r"train\.identities: expected a whole number of at least 1, found true"),
        ("train.identities", -2, r"train\.identities: expected a whole number of at least 1, found -2"),
        ("train.nesterov", 1, r"train\.nesterov: expected true or false, found 1"),
        ("train.flip", 3, r"train\.flip: expected a number from 0 to 1, found 3"),
        ("train.momentum", -5, r"train\.momentum: expected a number from 0 to below 1, found -5"),
        ("train.capture", True, r"train\.capture: true needs train\.compile: true, found false; set one of them"),
        ("train.momentum", 0, r"train\.nesterov: true needs a train\.momentum above 0, found 0"),
        ("train.erasing_area", [5, 0.5], r"train\.erasing_area\[0\]: expected a number above 0, at most 1, found 5"),
        (
            "train.erasing_area",
            [0.4, 0.02],
            r"train\.erasing_area: expected the smaller fraction first, found \[0\.4, 0",
        ),
        ("train.erasing_area", [0.1], r"train\.erasing_area: expected a list of 2, each a number .*, found \[0\.1\]"),
        ("train.milestones", [8, 8], r"train\.milestones: expected ascending epochs, each once, found \[8, 8\]"),
        ("train.factors", [0.1], r"train\.factors: found 1, expected one for each of the 2 train\.milestones"),
        ("train.log_every", 0, r"train\.log_every: expected a whole number of at least 1, found 0"),
        ("train.padding", -1, r"train\.padding: expected a whole number of at least 0, found -1"),
        ("train", None, r"train: expected a mapping, found null"),
        (
            "model.backbone",
            "vgg",
            r"model\.backbone: expected 'small' or 'resnet18' or 'resnet50' or 'timm:NAME', found 'vgg'",
        ),
        ("model.parts", 0, r"model\.parts: expected a whole number of at least 1, found 0"),
        ("data.height", -72, r"data\.height: expected a whole number from 16 to 2048, found -72"),
        ("data.regdb.processes", "all", r"data\.regdb\.processes: expected .* at least 1 or 'auto', found 'all'"),
        ("data.sysu.processes", 0, r"data\.sysu\.processes: expected a whole number of at least 1 or 'auto', found 0"),
        ("data.regdb.splits", [0, 2], r"data\.regdb\.splits\[0\]: expected a whole number from 1 to 10, found 0"),
        ("data.regdb.splits", [], r"data\.regdb\.splits: expected a list of one or more"),
        ("data.regdb.splits", [1, 1], r"data\.regdb\.splits: names 1 twice"),
        ("data.regdb.root", "", r"data\.regdb\.root: expected a path, found ''"),
        ("data.regdb", [], r"data\.regdb: expected a mapping, found \[\]"),
        ("stand_in.regdb.identities", 7, r"stand_in\.regdb\.identities: expected .* a multiple of 2, found 7"),
        (
            "objective.divergence_ceiling",
            "no",
            r"objective\.divergence_ceiling: expected a number above 0 or null, found",
        ),
        ("methods.agw.losses.div", -1, r"methods\.agw\.losses\.div: expected a number of at least 0, found -1"),
        ("methods.agw.erasing", 1.5, r"methods\.agw\.erasing: expected a number from 0 to 1, found 1\.5"),
        ("methods.agw.losses", {}, r"methods\.agw\.losses: every weight is 0"),
        ("run.sets", ["regbd"], r"run\.sets\[0\]: 'regbd' is no data set .*did you mean 'regdb'"),
        ("run.sets", [], r"run\.sets: expected a list of one or more, each a data set's name, found \[\]"),
        ("run.sets", ["sysu", "sysu"], r"run\.sets: names 'sysu' twice"),
        ("run.methods", [], r"run\.methods: expected a list of one or more, each the name of a method, found \[\]"),
        ("run.name", "a/b", r"run\.name: 'a/b' becomes a folder; use letters"),
        ("run.name", "..", r"run\.name: '\.\.' becomes a folder"),
        ("run.gpus_per_training", -1, r"run\.gpus_per_training: expected .* of at least 0 or 'auto', found -1"),
        ("run.nodes_per_training", 0, r"run\.nodes_per_training: expected a whole number of at least 1, found 0"),
        ("evaluate.sysu.draws", 0, r"evaluate\.sysu\.draws: expected a whole number of at least 1, found 0"),
        ("evaluate.sysu.shots", [5], r"evaluate\.sysu\.shots\[0\]: expected 1 or 10, found 5"),
        ("evaluate.batch", 0, r"evaluate\.batch: expected a whole number of at least 1, found 0"),
        ("tracking.uri", "localhost:5000", r"tracking\.uri: expected http://<host>:<port>.*, found 'localhost:5000'"),
        ("figures.identities", 50, r"figures\.identities: expected a whole number from 1 to 7, found 50"),
        ("plugins", "mine.py", r"plugins: expected a list of any number, each a path, found 'mine\.py'"),
        ("plugins", ["nowhere.py"], r"plugins: nowhere\.py: no such file"),
    ],
)
def test_a_wrong_value_is_named_with_the_right_ones(
    values: dict[str, Any], path: str, value: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{message}") as error:
        build(Config, put(values, path, value))
    assert "\n" not in str(error.value), "one problem, one line"


def test_a_missing_key_is_named(values: dict[str, Any]) -> None:
    del values["train"]["rate"], values["train"]["flip"], values["data"]["regdb"]["root"]
    with pytest.raises(ConfigError, match=r"3 problems .*\n  data\.regdb\.root: missing; expected a path\n  ") as error:
        build(Config, values)
    assert "train.rate: missing; expected a number above 0\n  train.flip: missing; expected a number from" in str(
        error.value
    )


def test_all_problems_are_told_at_once_also_those_between_keys(values: dict[str, Any]) -> None:
    wrong = {"train.flip": 3, "train.momentum": -5, "evaluate.sysu.shots": [5, 1], "methods.agw.losses.dvi": 1}
    for path, value in (wrong | {"run.nodes_per_training": 3, "model.weights": "nowhere.pth"}).items():
        put(values, path, value)
    with pytest.raises(ConfigError) as error:
        build(Config, values)
    head, *lines = str(error.value).split("\n")
    assert head == "6 problems (config/README.md explains every key)"
    expected = {*wrong, "evaluate.sysu.shots[0]", "data.sysu.processes", "model.weights"} - {"evaluate.sysu.shots"}
    assert {line.strip().split(":")[0] for line in lines} == expected
    assert not {"pydantic", "input_value", "type="} & set(str(error.value).split())


def test_reserved_and_unusable_method_names_are_refused(values: dict[str, Any]) -> None:
    for name, message in (
        ("untrained", "reserved"),
        ("best", "reserved"),
        ("chosen-by-test", "reserved"),
        ("a/b", "becomes a folder"),
    ):
        wrong = merge(values, {"methods": {name: values["methods"]["agw"]}})
        with pytest.raises(ConfigError, match=rf"^methods\.{name}: .*{message}"):
            build(Config, wrong)


def test_a_problem_of_a_file_is_named_with_it() -> None:
    with pytest.raises(ConfigError, match=r"\n  mine/config\.yaml: momentum: missing"):
        build(Train, {}, "mine/config.yaml: ")
    with pytest.raises(ConfigError, match=r"\n  train\.momentum: missing"):
        build(Train, {}, "train")


def test_absent_and_malformed_files_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such configuration file"):
        load(str(tmp_path / "nowhere.yaml"))
    for text, message in (
        (b"run: [regdb", "not valid YAML"),
        (b"- regdb", r"expected a mapping of keys, found \['regdb'\]"),
        (b"seed: \xff", "not readable as a text of UTF-8"),
    ):
        broken = tmp_path / "broken.yaml"
        broken.write_bytes(text)
        with pytest.raises(ConfigError, match=rf"broken\.yaml: {message}"):
            load(str(broken))


def test_a_file_of_comments_changes_nothing(tmp_path, default: Config) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing yet\n")
    assert load(str(ROOT / "config/config.yaml"), str(empty)) == default


def test_a_tilde_is_the_home_folder(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    wanted = {"data": {"regdb": {"root": "~/RegDB"}, "sysu": {"root": "~/SYSU"}}, "stand_in": {"llcm": {"like": "~/l"}}}
    config = build(Config, merge(values, wanted))
    assert (config.data.of("regdb").root, config.stand_in.of("llcm").like) == ("/somewhere/RegDB", "/somewhere/l")


def test_a_section_cannot_be_changed(default: Config) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        default.train.rate = 1.0  # type: ignore[misc]
    with pytest.raises(ConfigError, match=r"^flip: expected a number from 0 to 1, found 2"):
        replace(default.train, flip=2)
    with pytest.raises(ConfigError, match=r"^filp: unknown key; did you mean 'flip'"):
        replace(default.train, filp=0.5)
    with pytest.raises(ConfigError, match=r"^data\.sysu\.processes: 5 processes"):
        replace(default, data=replace(default.data, sysu=replace(default.data.of("sysu"), processes=5)))


def test_a_training_reads_its_own_section_only(default: Config) -> None:
    """A plot's setting, another method's weight or another set's folder leave a training's section as it is."""
    job = train_job(default, "regdb", "agw", 1)
    losses = default.methods["msclnet"].losses | {"div": 9.0}
    methods = default.methods | {"msclnet": replace(default.methods["msclnet"], losses=losses)}
    changed = replace(
        default,
        methods=methods,
        figures=replace(default.figures, ranks=3),
        data=replace(default.data, sysu=replace(default.data.of("sysu"), epochs=99)),
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


def test_the_papers_rates(paper: Config) -> None:
    from msclnet.training.schedule import rate

    expected = {1: 0.01, 10: 0.1, 20: 0.1, 21: 0.05, 50: 0.05, 51: 0.01, 100: 0.01, 101: 0.001, 200: 0.001}
    assert {epoch: rate(epoch, paper.train) for epoch in expected} == pytest.approx(expected)


@pytest.mark.parametrize("deep_range", [[5, 5], [1.0, 0.0]])
def test_black_comes_before_white(default: Config, deep_range: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"data\.deep_range: .*must be less than what is white"):
        build(Config, merge(plain(default), {"data": {"deep_range": deep_range}}))


def test_a_pack_of_before_keeps_its_name_and_another_range_is_another_pack(default: Config) -> None:
    names = [
        shared.pack(build(Config, merge(plain(default), {"data": {"deep_range": value}})), "regdb")
        for value in (None, [0, 16383], [0, 65535])
    ]
    assert len(set(names)) == 3
    assert names[0] == shared.pack(default, "regdb") == "data/packs/regdb-75377faeef"


def test_what_is_for_a_current_card_changes_the_arithmetic_of_the_papers_recipe_alone(paper: Config) -> None:
    files = [str(ROOT / f"config/{name}.yaml") for name in ("config", "paper", "gpu")]
    card = load(*files)
    assert card == replace(paper, train=replace(paper.train, precision="bfloat16", compile=True))
