"""A training killed at any moment and started again leaves the bits of an undisturbed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from msclnet.config import TrainJob
from tests.faults.conftest import Left
from tests.faults.victim import Fault, finish, run, start

MOMENTS = [
    ("msclnet.train.train_step", 1),  # before anything was computed
    ("msclnet.train.train_step", 2),
    ("msclnet.train.train_step", 6),  # between two logged steps of an epoch
    ("msclnet.train.train_step", 12),
    ("msclnet.record.Record.end_epoch", 2),  # the epoch's steps are done, its line is not written
    ("msclnet.record.Record._append", 9),
    ("msclnet.checkpoint._sha256", 5),  # the content of a checkpoint is written in part, its checksum is not
    ("os.fsync", 7),
    ("pathlib.Path.replace", 4),  # written, not renamed
    ("pathlib.Path.unlink", 2),  # renamed, the third one not dropped
    ("msclnet.train.save_model", 1),  # after the last step
    ("shutil.copyfile", 1),
    ("msclnet.train.drop", 1),
]


@pytest.mark.parametrize(("call", "nth"), MOMENTS)
def test_killed_and_started_again_it_gives_the_same_bits(
    job: TrainJob, pack: Path, tmp_path: Path, alone: Left, call: str, nth: int
) -> None:
    out = tmp_path / "out"
    fault = Fault("kill", call, nth)
    assert finish(start(run, job, pack, out, fault, checkpoint_every=0)) == -9
    assert finish(start(run, job, pack, out, checkpoint_every=0)) == 0
    Left.by(out).assert_equals(alone)
