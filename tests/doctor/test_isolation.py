"""A check that raises, dies or hangs is a line that fails; what it found before stays."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from msclnet.doctor.isolation import Check, descendants, run
from msclnet.doctor.line import Line
from msclnet.doctor.place import Place
from tests.doctor.faults import STARTED
from tests.patience import PATIENCE, until


def lines_of(name: str, folder: Path, seconds: float = PATIENCE) -> list[Line]:
    place = Place(folder, folder, 0, 1, 1)
    return list(run(Check("a check", f"tests.doctor.faults:{name}", seconds), place))


def test_the_lines_are_those_of_the_check_and_it_sees_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIVEN", "a value")
    one, two = lines_of("right", tmp_path)
    assert one == Line("one", "pass", f"in {tmp_path.name}", "", {"number": 1})
    assert two.found == "a value"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raise_error", "its process ended with status 1; its last words: ValueError: a number was wrong"),
        ("user_error", "its process ended with status 1; its last words: error: /full: 9 MiB are needed there"),
        ("die", "its process was ended by SIGKILL"),
        ("absent", "its process ended with status 1; its last words: AttributeError: module 'tests.doctor.faults' has"),
    ],
)
def test_what_ends_a_check_is_said(tmp_path: Path, name: str, said: str) -> None:
    *before, last = lines_of(name, tmp_path)
    assert [line.check for line in before] == (["one"] if name in ("raise_error", "die") else [])
    assert (last.check, last.status) == ("a check", "fail")
    assert last.found.startswith(said)
    assert last.remedy


def test_a_check_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Its child is in a session of its own, as torchrun's are. A slow machine gets the time to begin."""
    seconds = 5
    while not (tmp_path / STARTED).exists():
        lines = lines_of("hang", tmp_path, seconds)
        assert seconds < PATIENCE, "it does not begin"
        seconds *= 2
    assert [line.found for line in lines] == [
        "before it",
        f"not at its end after {seconds / 2:.0f} s, and ended; its last words: waiting for nobody",
    ]
    assert "--patience 2" in lines[1].remedy
    child = int((tmp_path / STARTED).read_text())
    until(lambda: not lives(child), lambda: "its child lives")


def lives(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_descendants_of_a_process_are_found() -> None:
    assert os.getpid() in descendants(os.getppid())
    assert os.getppid() not in descendants(os.getpid())
