"""The schema for editors and the reference of keys are the models'."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import ROOT
from tools import configuration

FILES = ("config/config.yaml", "config/paper.yaml", "config/gpu.yaml", "tests/workflow/tiny.yaml")
STALE = "run `make schema`"


def test_the_schema_is_the_models() -> None:
    assert json.loads(configuration.SCHEMA.read_text()) == configuration.schema(), STALE


def test_the_reference_is_the_models() -> None:
    assert configuration.TABLE.findall(configuration.PAGE.read_text()) == [configuration.table()], STALE


@pytest.mark.parametrize("name", FILES)
def test_an_editor_takes_our_files_also_those_that_state_little(name: str) -> None:
    jsonschema.validate(yaml.safe_load((ROOT / name).read_text()), configuration.schema())


@pytest.mark.parametrize("name", FILES[:3])
def test_our_files_name_their_schema(name: str) -> None:
    first = (ROOT / name).read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={configuration.SCHEMA.name}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"train": {"flip": 3}},
        {"train": {"filp": 0.5}},
        {"methods": {"mine": {"pooling": "gmp"}}},
        {"methods": {"mine": {"losses": {"div": -1}}}},
        {"data": {"regdb": {"splits": [11]}}},
        {"data": {"regdb": {"rot": "x"}}},
        {"run": {"gpus_per_training": "all"}},
        {"trian": {}},
    ],
)
def test_an_editor_marks_what_is_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, configuration.schema())


@pytest.mark.parametrize("right", [{}, {"methods": {"mine": {"like": "agw", "losses": {"of_a_plugin": 1}}}}])
def test_an_editor_takes_what_is_right(right: dict[str, Any]) -> None:
    jsonschema.validate(right, configuration.schema())


def test_every_key_of_the_defaults_is_explained() -> None:
    text = configuration.PAGE.read_text()
    default = yaml.safe_load((ROOT / "config/config.yaml").read_text())

    def leaves(values: Any) -> set[str]:
        return set().union(
            *({k} | (leaves(v) if isinstance(v, dict) and k != "vary" else set()) for k, v in values.items())
        )

    missing = sorted(key for key in leaves(default) if f"`{key}`" not in text and f".{key}`" not in text)
    assert not missing
    assert all("| |\n" not in line for line in configuration.table().splitlines()), "a key without its meaning"
