"""The digest of what a path holds: the same for the same content, and not read again without need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from msclnet.core import content as module
from msclnet.core.content import content


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in (("a/1.bmp", "one"), ("a/2.bmp", "two"), ("b/1.bmp", "three")):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "set"


def test_content_and_names_decide_the_digest_and_times_do_not(tree: Path, tmp_path: Path) -> None:
    first = content(str(tree), tmp_path / "notes")
    assert len(first) == 64
    (tree / "a/1.bmp").touch()
    os.utime(tree / "a/2.bmp", (0, 0))
    assert content(str(tree), tmp_path / "notes") == first
    (tree / "a/1.bmp").write_text("eno")  # as long
    changed = content(str(tree), tmp_path / "notes")
    assert changed != first
    (tree / "a/1.bmp").write_text("one")
    assert content(str(tree), tmp_path / "notes") == first
    (tree / "a/1.bmp").rename(tree / "a/3.bmp")
    assert content(str(tree), tmp_path / "notes") not in (first, changed)


def test_a_file_is_read_once(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = module.sha256
    monkeypatch.setattr(module, "sha256", lambda path: read.append(path) or real(path))
    first = content(str(tree), tmp_path / "notes")
    assert len(read) == 3
    assert content(str(tree), tmp_path / "notes") == first
    assert len(read) == 3
    for damaged in ("", "[]", '{"seen": 1}', "[" * 10000):
        for note in (tmp_path / "notes").iterdir():
            note.write_text(damaged)
        assert content(str(tree), tmp_path / "notes") == first


def test_a_file_has_a_digest_and_nothing_has_none(tree: Path, tmp_path: Path) -> None:
    weights = tree / "a/1.bmp"
    first = content(str(weights), tmp_path / "notes")
    weights.write_text("other")
    assert content(str(weights), tmp_path / "notes") != first
    assert content(str(tmp_path / "nowhere"), tmp_path / "notes") == ""
    (tree / "gone").symlink_to("nowhere")
    (tree / "caf\udce9").write_text("a name that is not UTF-8")
    assert len(content(str(tree), tmp_path / "notes")) == 64


def test_files_of_other_endings_count_for_nothing(tree: Path, tmp_path: Path) -> None:
    (tree / "list.txt").write_text("1,2")
    first = content(str(tree), tmp_path / "notes", (".txt",))
    (tree / "a/1.bmp").write_text("eno")
    assert content(str(tree), tmp_path / "notes", (".txt",)) == first
    (tree / "list.txt").write_text("2,1")
    assert content(str(tree), tmp_path / "notes", (".txt",)) not in (first, content(str(tree), tmp_path / "notes"))


def test_links_that_lead_back_and_pipes_are_passed_over(tree: Path, tmp_path: Path) -> None:
    first = content(str(tree), tmp_path / "notes")
    os.mkfifo(tree / "a/pipe")
    for name in ("up", "back"):  # of two such links there are more ways than can be walked
        (tree / "b" / name).symlink_to(tree)
    assert content(str(tree), tmp_path / "notes") == first


def test_without_a_place_for_the_note_the_files_are_read_each_time(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a file")
    assert content(str(tree), tmp_path / "notes") == content(str(tree), tmp_path / "elsewhere")
