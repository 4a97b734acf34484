"""Checkpoints are whole or not there, and execute nothing."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from unittest import mock

import pytest
import torch

from msclnet.core import torch_file
from msclnet.core.errors import DataError
from msclnet.training import checkpoint
from msclnet.training.process_group import Processes
from msclnet.training.stop_requests import StopRequests


def test_saved_is_loaded(tmp_path: Path) -> None:
    state = {"network": {"w": torch.arange(3.0)}, "epoch": 2, "job": {"seed": 0, "names": ["a"]}}
    torch_file.save(tmp_path / "c.pt", state)
    loaded = torch_file.load(tmp_path / "c.pt")
    assert torch.equal(loaded["network"]["w"], state["network"]["w"])
    assert (loaded["epoch"], loaded["job"]) == (2, state["job"])
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_a_failing_write_leaves_the_one_before(tmp_path: Path) -> None:
    torch_file.save(tmp_path / "c.pt", {"epoch": 1})
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        torch_file.save(tmp_path / "c.pt", {"epoch": lambda: 2})
    assert torch_file.load(tmp_path / "c.pt") == {"epoch": 1}


def test_absent_and_damaged_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pt: no such checkpoint; see that the name is right"):
        torch_file.load(tmp_path / "none.pt")
    torch_file.save(tmp_path / "c.pt", {"w": torch.zeros(1000)})
    (tmp_path / "c.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:500])
    with pytest.raises(DataError, match=r"c\.pt: a ZIP archive, .* cut off or damaged; expected a checkpoint"):
        torch_file.load(tmp_path / "c.pt")


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    """torch itself reads such a file without a word."""
    torch_file.save(tmp_path / "c.pt", {"w": torch.arange(1000.0)})
    assert torch.equal(torch.load(tmp_path / "c.pt", weights_only=True)["w"], torch.arange(1000.0))
    content = bytearray((tmp_path / "c.pt").read_bytes())
    content[content.find(torch.arange(1000.0).numpy().tobytes()) + 402] ^= 1
    (tmp_path / "c.pt").write_bytes(content)
    assert not torch.equal(torch.load(tmp_path / "c.pt", weights_only=True)["w"], torch.arange(1000.0))
    with pytest.raises(DataError, match=r"c\.pt: a damaged checkpoint \(its sha256 is not the one.*copy it again"):
        torch_file.load(tmp_path / "c.pt")


def write(folder: Path, step: int, code: str = "") -> None:
    """A checkpoint of a training whose whole state is its step."""
    process = Processes(0, 1, torch.device("cpu"))
    checkpoint.Checkpointer(folder, 0, {"seed": 0}, process, StopRequests(process), code).write(lambda: {"step": step})


def steps(folder: Path, **of: str) -> int | None:
    """The step of the newest checkpoint, of which there is nothing else to know."""
    state = checkpoint.newest(folder, {"seed": 0}, **of)
    assert state is None or state.keys() == {"origin", "code", "step"}
    assert state is None or state["origin"] == {"seed": 0}
    return state and state["step"]


def test_the_last_two_are_kept_and_the_newest_whole_one_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (8, 9, 10):
        write(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10.pt", "checkpoint-9.pt"]
    (tmp_path / "checkpoint-11.pt.partial").write_bytes(b"PK")
    assert steps(tmp_path) == 10
    (tmp_path / "checkpoint-10.pt").write_bytes((tmp_path / "checkpoint-10.pt").read_bytes()[:-1])
    assert steps(tmp_path) == 9
    warning = capsys.readouterr().err
    assert f"warning: {tmp_path}/checkpoint-10.pt: damaged (no sha256 at its end: it was cut off" in warning
    assert "going on from checkpoint-9.pt" in warning
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-9.pt"]
    with pytest.raises(DataError, match=r"seed: 0 in the checkpoint, 1 now(.|\n)*or delete"):
        checkpoint.newest(tmp_path, {"seed": 1})
    (tmp_path / "checkpoint-9.pt").write_bytes(b"")
    assert checkpoint.newest(tmp_path, {"seed": 0}) is None
    assert "no other is left: training from the beginning" in capsys.readouterr().err


def test_a_disk_that_is_full_for_a_while_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """/dev/full answers a write as a full disk does."""
    write(tmp_path, 1)
    (tmp_path / "checkpoint-2.pt.partial").symlink_to("/dev/full")
    write(tmp_path, 2)
    warning = capsys.readouterr().err
    assert "cannot be written (No space left on device): " in warning
    assert "MiB are free on its disk; free some there" in warning
    write(tmp_path, 3)
    assert steps(tmp_path) == 3


@pytest.mark.parametrize(
    ("place", "name", "error"),
    [
        (Path, "read_bytes", OSError(errno.ESTALE, "Stale file handle")),
        (Path, "read_bytes", MemoryError()),
        (torch, "load", MemoryError()),
    ],
)
def test_what_cannot_be_read_now_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str, error: Exception
) -> None:
    """A network file system's bad minute, or a machine short of memory, costs no checkpoint."""
    write(tmp_path, 1)
    write(tmp_path, 2)
    with monkeypatch.context() as bad:
        bad.setattr(place, name, mock.Mock(side_effect=error))
        with pytest.raises(type(error)):
            checkpoint.newest(tmp_path, {"seed": 0})
    assert steps(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1.pt", "checkpoint-2.pt"]


def test_a_training_of_changed_code_begins_at_its_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its result is recorded as the new code's: no step of it is the old one's."""
    write(tmp_path, 7, "old")
    assert [steps(tmp_path), steps(tmp_path, code="old")] == [7, 7], "code that is not known is not held against it"
    assert steps(tmp_path, code="new") is None
    assert capsys.readouterr().err == (
        f"{tmp_path}/checkpoint-7.pt: of step 7, by code that has been changed since: training from the beginning\n"
    )
    assert not list(tmp_path.iterdir())


class Planted:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("planted"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Planted()}, tmp_path / "c.pt")
    with pytest.raises(DataError, match=r"c\.pt: a file of torch\.save without this project's sha256"):
        torch_file.load(tmp_path / "c.pt")
    assert not (tmp_path / "planted").exists()


def test_differing_names_each_key_with_both_values() -> None:
    ours, theirs = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "d": [1], "e": 0}
    assert checkpoint.differing(ours, theirs) == ["a.c: 3 in the checkpoint, 2 now", "e: 0 in the checkpoint, None now"]
