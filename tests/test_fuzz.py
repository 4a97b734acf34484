"""A few hundred damaged inputs for every reader of a file; tests/fuzz.py takes more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import READERS, Bench
from tests.patience import PATIENCE

SLOW = {  # inputs; of the others more
    "model": 40,
    "what a model says of itself": 40,
    "configuration": 60,
    "foreign checkpoint": 15,
    "names in a foreign checkpoint": 15,
    "weights of a backbone": 60,
    "safetensors": 100,
}
REMADE = ("cache", "checkpoint", "index")  # what is damaged is made anew, or the one before is taken


WEIGHTS = ("foreign checkpoint", "names in a foreign checkpoint", "weights of a backbone")  # whole networks are built


@pytest.mark.parametrize("name", sorted(READERS.keys() - set(WEIGHTS)))
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    look(name, tmp_path)


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_damaged_file_of_weights_is_read_or_refused(name: str, tmp_path: Path) -> None:
    look(name, tmp_path)


def look(name: str, folder: Path) -> None:
    bench = Bench(name, folder)
    outcomes = {number: bench.outcome(number) for number in range(SLOW.get(name, 200))}
    assert {number: found for number, found in outcomes.items() if found[0] not in ("read", "refused")} == {}
    refused = sum(found[0] == "refused" for found in outcomes.values())
    assert refused or name in REMADE


def test_the_harness_sees_a_traceback_a_hang_and_a_wrong_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from tests import fuzz

    def outcome(read: object, sane: object = lambda value: True) -> str:
        bench = Bench("table", tmp_path / str(len(list(tmp_path.iterdir()))))
        bench.reader = fuzz.Reader(bench.reader.make, read, sane)
        return bench.outcome(0)[0]

    def work_for_ever(folder: Path) -> None:
        while True:
            pass

    assert outcome(lambda folder: {}["key"]) == "traceback"
    assert outcome(lambda folder: -1, lambda value: value >= 0) == "wrong"
    monkeypatch.setattr(fuzz, "PATIENCE", 0.2)
    assert outcome(work_for_ever) == "hang"
    monkeypatch.setattr(fuzz, "WAITING", 0.5)
    assert outcome(lambda folder: time.sleep(PATIENCE)) == "hang"
