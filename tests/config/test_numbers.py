"""What one reader writes every other reads: numbers in every way of writing them, by our reader and by Snakemake's."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.common.configfile import load_configfile

from msclnet import config as settings
from msclnet.config import Config, TrainJob, build, plain, read_yaml, train_job
from msclnet.core import yaml_text
from msclnet.core.errors import ConfigError
from tests.conftest import ROOT

WRITTEN = ("0.00005", "5e-05", "5E-5", "0.5e-4", "1e-3", "1.0e-3", "1E-3", ".5", "+.5", "2.", "7", "1e+2", "1_0.5")


@pytest.mark.parametrize("written", WRITTEN)
def test_a_number_is_read_however_it_is_written(written: str) -> None:
    value = read_yaml(f"{{rate: {written}}}")["rate"]
    assert (type(value), value) == (int if written == "7" else float, float(written))


def test_a_method_without_channels_is_written_as_before(default: Config) -> None:
    """Its trainings keep their names; a method with them names them."""
    assert "channels" not in plain(train_job(default, "regdb", "msclnet", 1))["method"]
    assert plain(train_job(default, "regdb", "agw_ca", 1))["method"]["channels"] == "joint"
    for name in default.methods:
        job = train_job(default, "regdb", name, 1)
        assert build(TrainJob, plain(job)) == job


@pytest.mark.parametrize("word", ["e5", "1e", "1.2.3", "-", ".", "1e-3x", "v1e-3"])
def test_a_word_stays_one(word: str) -> None:
    assert read_yaml(f"{{rate: {word}}}")["rate"] == word


@pytest.mark.parametrize("written", [w for w in WRITTEN if w != "1_0.5"])
def test_snakemakes_reader_may_hand_over_a_word(default: Config, tmp_path: Path, written: str) -> None:
    file = tmp_path / "mine.yaml"
    weight = f"losses: {{wrt: {written}}}"
    file.write_text(
        f"train: {{rate: {written}, factors: [{written}, 1]}}\nmethods: {{agw: {{{weight}}}}}\n"
        f"objective: {{divergence_ceiling: {written}}}\n"
    )
    values: dict[str, Any] = copy.deepcopy(plain(default))
    found = load_configfile(str(file))
    values["train"] |= found["train"]
    values["objective"] |= found["objective"]
    values["methods"]["agw"]["losses"] |= found["methods"]["agw"]["losses"]
    config = build(Config, values)
    assert config.train.rate == config.train.factors[0] == float(written)
    assert config.methods["agw"].losses["wrt"] == config.objective.divergence_ceiling == float(written)


def test_a_word_is_no_whole_number(default: Config) -> None:
    with pytest.raises(ConfigError, match=r"train\.identities: expected a whole number of at least 1, found '8'"):
        build(Config, plain(default) | {"train": plain(default.train) | {"identities": "8"}})


@pytest.mark.parametrize("rate", [5e-05, 1e-3, 1e-12, 123456789.0, 1e22, 0.1 + 0.2])
def test_what_is_written_is_read_again(default: Config, rate: float, tmp_path: Path) -> None:
    values = plain(default) | {"train": plain(default.train) | {"rate": rate}}
    config = build(Config, values)
    for section in (config, train_job(config, "regdb", "msclnet", 3)):
        for text in (yaml_text.write(plain(section)), json.dumps(plain(section))):
            (tmp_path / "written.yaml").write_text(text)
            for values in (read_yaml(str(tmp_path / "written.yaml")), yaml.safe_load(text)):
                assert build(type(section), values) == section
    assert yaml_text.read(str(rate)) == rate, "a parameter on the tracking server"


def test_a_training_of_before_still_builds(default: Config) -> None:
    """Its ``config.yaml`` names all ten weights, zeros included."""
    job = train_job(default, "regdb", "agw", 1)
    zeros = dict.fromkeys(("triplet", "div", "t", "local", "global", "sub", "intra", "inter"), 0.0)
    old = plain(job)
    old["method"]["losses"] = {"identity": 1.0, "wrt": 1.0} | zeros
    assert build(TrainJob, old) == job
    assert plain(build(TrainJob, old)) == plain(job)


@pytest.mark.parametrize("word", ["1e-3", "5e-05", ".5", "2.", "1_0.5", "true", "null", "7", "a", "é", "no: x", ""])
def test_a_word_is_written_as_one(word: str) -> None:
    values = {"name": word, word: [word]}
    for text in (yaml_text.write(values), yaml_text.write([values])[2:].replace("\n  ", "\n")):
        assert yaml_text.read(text) == yaml.safe_load(text) == values


@pytest.mark.parametrize("written", WRITTEN)
def test_a_value_of_the_command_line_gets_its_type(default: Config, written: str) -> None:
    """Snakemake reads ``--config train={...}`` as words alone."""
    told = yaml_text.words(
        f"{{train: {{rate: {written}, log_every: 10, nesterov: true, precision: float16, factors: [{written}, .5]}}, "
        f"run: {{gpus_per_training: 1}}, methods: {{agw: {{losses: {{wrt: {written}}}}}}}, "
        f"data: {{regdb: {{splits: [1, 3], processes: auto}}}}}}"
    )
    assert told["train"]["log_every"] == "10"
    told["train"] = {key: value for key, value in told["train"].items() if key in type(default.train).key_names()}
    config = build(Config, settings.merge(plain(default), yaml_text.untyped(told)))
    assert config.train.rate == config.train.factors[0] == config.methods["agw"].losses["wrt"] == float(written)
    assert config.train.log_every == 10
    assert config.run.gpus_per_training == 1
    assert config.data.of("regdb").splits == (1, 3)
    assert config.data.of("regdb").processes == "auto"


def test_a_word_of_the_command_line_stays_one(default: Config) -> None:
    told = yaml_text.untyped(yaml_text.words("{run: {name: 1e3}, data: {regdb: {root: 007}}}"))
    config = build(Config, settings.merge(plain(default), told))
    assert (config.run.name, config.data.of("regdb").root) == ("1e3", "007")


def test_one_reader_reads_all_yaml() -> None:
    """Another one would take 1e-3 for a word."""
    files = [*(ROOT / "msclnet").rglob("*.py"), *(ROOT / "workflow").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    own = ROOT / "msclnet/core/yaml_text.py"
    assert own in files
    readers = re.compile(r"yaml\.(safe_load|load|full_load|safe_dump|dump)\b")
    assert [str(file) for file in files if readers.search(file.read_text()) and file != own] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run: {name: a}\ntrain: {}\nrun: {name: b}", "the key 'run' stands twice, first in line 1: join the two"),
        ("{losses: {div: 0, t: 1, div: 9}}", "the key 'div' stands twice, first in line 1"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n  y: 3\n", "the key 'y' stands twice, first in line 4"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Of two the first would be lost: the name of an experiment, say, and with it the tables of another."""
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as error:
        read_yaml(str(tmp_path / "mine.yaml"))
    assert str(error.value).startswith(f"{tmp_path / 'mine.yaml'}: not valid YAML: ")


def test_a_key_may_stand_beside_one_that_is_merged_in() -> None:
    assert yaml_text.read("a: &a {x: 1}\nb: {<<: *a, x: 2}")["b"] == {"x": 2}
