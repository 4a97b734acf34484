"""Checkpoints are whole or not there, and execute nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from msclnet import checkpoint
from msclnet.types import DataError


def test_saved_is_loaded(tmp_path: Path) -> None:
    state = {"network": {"w": torch.arange(3.0)}, "epoch": 2, "job": {"seed": 0, "names": ["a"]}}
    checkpoint.save(tmp_path / "c.pt", state)
    loaded = checkpoint.load(tmp_path / "c.pt")
    assert torch.equal(loaded["network"]["w"], state["network"]["w"])
    assert (loaded["epoch"], loaded["job"]) == (2, state["job"])
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_a_failing_write_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c.pt", {"epoch": 1})
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        checkpoint.save(tmp_path / "c.pt", {"epoch": lambda: 2})
    assert checkpoint.load(tmp_path / "c.pt") == {"epoch": 1}


def test_absent_and_damaged_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pt: no such checkpoint; train it first"):
        checkpoint.load(tmp_path / "none.pt")
    checkpoint.save(tmp_path / "c.pt", {"w": torch.zeros(1000)})
    (tmp_path / "c.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:500])
    with pytest.raises(DataError, match=r"c\.pt: not a readable checkpoint .*delete it and train again"):
        checkpoint.load(tmp_path / "c.pt")


class Planted:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("planted"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Planted()}, tmp_path / "c.pt")
    with pytest.raises(DataError, match="not a readable checkpoint"):
        checkpoint.load(tmp_path / "c.pt")
    assert not (tmp_path / "planted").exists()


def test_differing_names_each_key_with_both_values() -> None:
    ours, theirs = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "d": [1], "e": 0}
    assert checkpoint.differing(ours, theirs) == ["a.c: 3 in the checkpoint, 2 now", "e: 0 in the checkpoint, None now"]
