"""What one reader writes every other reads: numbers in every way of writing them, by our reader and by Snakemake's."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.common.configfile import load_configfile

from msclnet.config import Config, TrainJob, build, plain, read_yaml, train_job
from msclnet.core.errors import ConfigError

WRITTEN = ("0.00005", "5e-05", "5E-5", "0.5e-4", "1e-3", "1.0e-3", "1E-3", ".5", "+.5", "2.", "7", "1e+2", "1_0.5")


@pytest.mark.parametrize("written", WRITTEN)
def test_a_number_is_read_however_it_is_written(written: str) -> None:
    value = read_yaml(f"{{rate: {written}}}")["rate"]
    assert (type(value), value) == (int if written == "7" else float, float(written))


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
        for text in (yaml.safe_dump(plain(section)), json.dumps(plain(section))):
            (tmp_path / "written.yaml").write_text(text)
            for values in (read_yaml(str(tmp_path / "written.yaml")), yaml.safe_load(text)):
                assert build(type(section), values) == section


def test_a_training_of_before_still_builds(default: Config) -> None:
    """Its ``config.yaml`` names all ten weights, zeros included."""
    job = train_job(default, "regdb", "agw", 1)
    zeros = dict.fromkeys(("triplet", "div", "t", "local", "global", "sub", "intra", "inter"), 0.0)
    old = plain(job)
    old["method"]["losses"] = {"identity": 1.0, "wrt": 1.0} | zeros
    assert build(TrainJob, old) == job
    assert plain(build(TrainJob, old)) == plain(job)
