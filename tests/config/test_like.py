"""A method may take another's keys, its own laid over them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from msclnet.config import Config, build, merge, plain, read_yaml
from msclnet.core.errors import ConfigError
from tests.conftest import ROOT


@pytest.fixture
def values(default: Config) -> dict[str, Any]:
    return copy.deepcopy(plain(default))


def with_methods(values: dict[str, Any], methods: dict[str, Any]) -> Config:
    return build(Config, merge(values, {"methods": methods}))


def test_a_method_takes_the_keys_of_the_one_it_is_like(values: dict[str, Any]) -> None:
    config = with_methods(values, {"mine": {"like": "agw", "erasing": 0.1, "losses": {"triplet": 0.5, "wrt": 0}}})
    mine, agw = config.methods["mine"], config.methods["agw"]
    assert (mine.pooling, mine.nonlocal_, mine.erasing) == (agw.pooling, agw.nonlocal_, 0.1)
    assert mine.losses == {"identity": 1.0, "triplet": 0.5}, "a weight of 0 is none"
    assert "like" not in plain(mine)


def test_chains_are_followed_and_the_order_of_the_file_does_not_matter(values: dict[str, Any]) -> None:
    methods = {"c": {"like": "b", "erasing": 0.3}, "b": {"like": "msclnet", "losses": {"div": 9}}}
    config = with_methods(values, methods)
    assert config.methods["c"].losses == config.methods["msclnet"].losses | {"div": 9.0}
    assert config == with_methods(values, dict(reversed(methods.items())))


def test_what_the_other_becomes_by_a_file_above_counts(values: dict[str, Any]) -> None:
    """Files are laid over one another first, then methods."""
    written = read_yaml(str(ROOT / "config/config.yaml"))
    config = with_methods(written, {"agw": {"erasing": 0.9}})
    assert config.methods["msclnet"].erasing == 0.9


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (
            {"x": {"like": "awg"}},
            r"methods\.x\.like: expected another name under methods, found 'awg'; did you mean 'agw'\?",
        ),
        ({"x": {"like": 3}}, r"methods\.x\.like: expected another name under methods, found 3"),
        (
            {"x": {"like": "x"}},
            r"methods\.x\.like: goes in a circle, x -> x; let one of them state its own keys",
        ),
        ({"x": {"like": "y"}, "y": {"like": "x"}}, r"methods\.[xy]\.like: goes in a circle, [xy] -> [xy] -> [xy]"),
        ({"x": {"like": "agw", "poling": "gem"}}, r"methods\.x\.poling: unknown key; did you mean 'pooling'\?"),
        ({"x": {"like": "agw", "losses": 3}}, r"methods\.x\.losses: expected a mapping of terms .*, found 3"),
        ({"x": {"erasing": 0.1}}, r"methods\.x\.pooling: missing; expected 'average' or 'gem'"),
        ({"x": {"like": []}, "agw": {"erasing": 2}}, r"methods\.x\.like: .*, found \[\].*\n  methods\.agw\.erasing: "),
        ({"x": 3}, r"methods\.x: expected a mapping, found 3"),
        ({"x": {"like": "y"}, "y": 3}, r"methods\.y: expected a mapping, found 3"),
    ],
)
def test_a_wrong_like_is_named(values: dict[str, Any], methods: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_methods(values, methods)


def test_a_wrong_like_is_told_once_and_hides_nothing(values: dict[str, Any]) -> None:
    """Of a chain the method whose own ``like`` is wrong, beside what is wrong elsewhere."""
    methods = {"a": {"like": "b"}, "b": {"like": "c"}, "c": {"like": "nobody"}, "agw": {"erasing": 2}}
    with pytest.raises(ConfigError) as error:
        with_methods(values, methods)
    _, *lines = str(error.value).split("\n")
    assert [line.split(":")[0].strip() for line in lines] == ["methods.c.like", "methods.agw.erasing"]


def test_a_wrong_value_is_told_where_it_stands_not_where_it_is_taken_over() -> None:
    written = read_yaml(str(ROOT / "config/config.yaml"))
    with pytest.raises(ConfigError, match=r"^methods\.agw\.losses\.div: expected a number of at least 0, found -1$"):
        with_methods(merge(written, {"methods": {"msclnet": {"losses": {"t": 1}}}}), {"agw": {"losses": {"div": -1}}})
