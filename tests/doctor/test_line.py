"""A line fits a terminal, says what to do, and moves no cursor."""

from __future__ import annotations

from msclnet.doctor.line import Line, failed, passed, warned


def test_a_line_is_wrapped_and_its_remedy_stands_below() -> None:
    text = warned("disk", "little " * 20, "free some " * 12).text(100)
    first, *more = text.splitlines()
    assert first.startswith("warn  disk ")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert {len(line) - len(line.lstrip()) for line in more} == {44, 47}
    assert sum("-> free some" in line for line in more) == 1


def test_a_line_without_words_is_a_line() -> None:
    assert Line("torch", "pass", "").text(80).split() == ["pass", "torch"]


def test_what_a_driver_says_moves_no_cursor() -> None:
    assert "\x1b" not in failed("driver", "\x1b[2J", "mend it").text(80)


def test_a_narrow_terminal_gets_words_all_the_same() -> None:
    assert "built for CUDA 13.2" in " ".join(passed("torch", "2.15.0, built for CUDA 13.2").text(10).split())
