"""The table of terms: its order, what each row reads, and what is refused in a row or in a method's weights."""

from __future__ import annotations

import subprocess
import sys

import pytest

from msclnet.config import Config, replace
from msclnet.core.errors import ConfigError
from msclnet.losses.needs import OUTPUTS, needed
from msclnet.losses.readings import Readings
from msclnet.losses.table import INPUTS, TERMS, Term

LOGITS = {"labels", "visible_logits", "infrared_logits"}
HAT = {"visible_normalised", "infrared_normalised"}
CAMERAS = {"visible_cameras", "infrared_cameras"}


@pytest.fixture
def terms(monkeypatch: pytest.MonkeyPatch):
    """The table, to which a test may add; what it added is gone afterwards."""
    monkeypatch.setattr(TERMS, "_entries", dict(TERMS._entries))
    return TERMS


def test_the_order_of_the_terms_is_that_of_eq_17() -> None:
    """In it they are summed: another order would change the last bits of every result."""
    eq_17 = ("identity", "triplet", "wrt", "squared_difference", "div", "t", "local", "global", "sub", "intra", "inter")
    assert TERMS.names() == (*eq_17, "separation")


def test_no_name_has_two_meanings() -> None:
    names = [*OUTPUTS, *INPUTS.names(), *Readings.model_fields]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("module", ["table", "readings", "needs"])
def test_planning_reads_the_table_without_torch(module: str) -> None:
    code = f"import sys, msclnet.losses.{module}; print(sorted({{'torch', 'numpy', 'mlflow'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("weights", "readings", "expected"),
    [
        ({"identity": 1}, {}, LOGITS),
        ({"identity": 1, "wrt": 0}, {}, LOGITS),
        ({"wrt": 1}, {}, {"labels", "visible", "infrared"}),
        ({"squared_difference": 1}, {}, {"labels", "visible", "infrared"}),
        ({"div": 1}, {}, {f"{name}_logits" for name in HAT}),
        ({"div": 1}, {"divergence_of": "channels"}, HAT),
        ({"separation": 1}, {}, {"visible_masks", "infrared_masks"}),
        ({"local": 1}, {}, {"visible_blocks", "synergy_blocks"}),
        ({"global": 1}, {}, {"labels", "synergy_neck", "infrared_neck"}),
        ({"global": 1}, {"centre_space": "raw"}, {"labels", "synergy_blocks", "infrared"}),
        ({"inter": 1}, {"cascade_on": ("visible",)}, {"labels", "visible_neck"}),
        ({"sub": 1}, {"cascade_on": ("infrared",), "centre_space": "raw"}, {"labels", "infrared", *CAMERAS}),
        ({"inter": 1}, {"centre_space": "normalised"}, {"labels", "visible", "infrared", "synergy_blocks"}),
    ],
)
def test_what_the_network_is_asked_for(default: Config, weights: dict, readings: dict, expected: set[str]) -> None:
    assert needed(weights, replace(default.objective, **readings)) == expected


def test_the_default_methods_ask_for_their_own(default: Config) -> None:
    asked = {name: needed(method.losses, default.objective) for name, method in default.methods.items()}
    assert asked["base"] == asked["agw"] == LOGITS | {"visible", "infrared"}
    assert asked["msclnet"] == OUTPUTS - HAT - {"second", "second_logits"}, (
        "given where a batch has them, never asked for"
    )
    assert (asked["agw_ca"], asked["msclnet_ca"]) == (asked["agw"], asked["msclnet"])


def test_an_unknown_term_is_named_with_the_nearest(default: Config) -> None:
    with pytest.raises(ConfigError, match="'golbal' is no loss; did you mean 'global'"):
        needed({"golbal": 1.0}, default.objective)


def test_a_term_that_reads_what_there_is_not_is_named(default: Config, terms) -> None:
    terms.register(Term("hetero", lambda a: a, ("visible_centered",)))
    with pytest.raises(ConfigError, match=r"losses\.hetero: 'hetero' reads 'visible_centered', .*'visible_centred'"):
        needed({"hetero": 1.0}, default.objective)


@pytest.mark.parametrize("name", ["total", "step", "My term", "2d", ""])
def test_a_name_that_is_no_key_or_that_the_log_uses_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"not usable as a term's name; expected small letters"):
        Term(name, "m:f", ())


def test_a_term_of_a_known_name_from_another_file_is_refused(terms) -> None:
    with pytest.raises(ConfigError, match="loss 'div': there is one of this name already"):
        terms.register(Term("div", lambda a: a, ("visible",)))
    assert terms.get("div").origin == "msclnet.losses.synergy"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"margin": -0.1}, "margin"),
        ({"divergence_ceiling": 0.0}, "divergence_ceiling"),
        ({"local_form": "other"}, "local_form"),
        ({"centre_space": "sphere"}, "centre_space"),
        ({"cascade_on": ()}, "cascade_on"),
        ({"cascade_on": ("audible",)}, "cascade_on"),
    ],
)
def test_readings_out_of_range_are_refused(default: Config, changes: dict, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        Readings.model_validate({**dict(default.objective), **changes})
