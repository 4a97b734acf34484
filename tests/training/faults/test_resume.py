"""A training killed at any moment and started again leaves the bits of an undisturbed one."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from msclnet.config import TrainJob, replace
from tests.training.faults.conftest import Left
from tests.training.faults.victim import Fault, finish, run, start

STEP = "msclnet.training.trainer.train_step"
NEVER = 1e9  # seconds between two checkpoints
NOBODY = 65534

MOMENTS = [
    (STEP, 1),  # before anything was computed
    (STEP, 2),
    (STEP, 6),  # between two logged steps of an epoch
    (STEP, 12),
    ("msclnet.training.metrics_log.MetricsLog.end_epoch", 2),  # the epoch's steps are done, its line is not written
    ("msclnet.training.metrics_log.MetricsLog._append", 9),
    ("msclnet.core.torch_file._sha256", 5),  # the content of a checkpoint is written in part, its checksum is not
    ("os.fsync", 7),
    ("pathlib.Path.replace", 4),  # written, not renamed
    ("pathlib.Path.unlink", 4),  # renamed, the third one not dropped
    ("msclnet.training.trainer.save_model", 1),  # after the last step
    ("os.link", 1),  # the configuration, at the beginning
    ("msclnet.training.outputs.OutputFiles.finish", 1),  # all is written, and not noted
    ("msclnet.training.outputs.OutputFiles._publish", 1),  # noted, and not in its place
    ("os.link", 2),
    ("os.link", 3),
    ("msclnet.training.outputs.drop", 1),
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


def test_what_the_workflow_deletes_of_a_finished_training_is_put_back(
    job: TrainJob, pack: Path, tmp_path: Path, alone: Left
) -> None:
    """As when it is killed before it has noted the job's end. Other code, or another configuration, trains anew."""
    out = tmp_path / "out"
    assert finish(start(run, job, pack, out, code="a")) == 0
    for name in ("model.pt", "metrics.jsonl", "config.yaml"):
        (out / name).unlink()
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 1), code="a")) == 0, "no step is taken again"
    assert (out / "config.yaml").exists()
    Left.by(out).assert_equals(alone)
    assert (out / "model.pt").stat().st_nlink == 2, "no space is taken twice"
    for changed, code in ((job, "b"), (replace(job, seed=1), "a")):
        assert finish(start(run, changed, pack, out, Fault("kill", STEP, 1), code=code)) == -9
    with (out / "model.pt").open("rb+") as damaged:
        damaged.truncate(1000)
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 1), code="a")) == -9, (
        "it is one file with the kept one"
    )


def test_anew_is_from_the_first_step_whatever_lies_there(
    job: TrainJob, pack: Path, tmp_path: Path, alone: Left
) -> None:
    """A kill of it is gone on from: without the word, at its own checkpoint."""
    out = tmp_path / "out"
    assert finish(start(run, job, pack, out)) == 0
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 6), checkpoint_every=0, anew=True)) == -9
    assert (out / "work/checkpoint-5.pt").exists(), "the steps are taken again"
    Left.by(out, ended=False).assert_equals(alone)
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 1), checkpoint_every=0, anew=True)) == -9
    assert not list((out / "work").glob("checkpoint-*")), "of the same training, unfinished"
    assert finish(start(run, job, pack, out)) == 0
    Left.by(out).assert_equals(alone)


@pytest.mark.parametrize("call", ["msclnet.training.outputs.drop", "pathlib.Path.unlink"])
def test_a_kill_while_it_discards_leaves_nothing_half(
    job: TrainJob, pack: Path, tmp_path: Path, alone: Left, call: str
) -> None:
    out = tmp_path / "out"
    assert finish(start(run, job, pack, out)) == 0
    assert finish(start(run, job, pack, out, Fault("kill", call, 3 if "unlink" in call else 1), anew=True)) == -9
    assert finish(start(run, job, pack, out)) == 0
    Left.by(out).assert_equals(alone)


def test_another_training_in_the_folder_leaves_the_second_names_of_the_outputs_alone(
    job: TrainJob, pack: Path, tmp_path: Path
) -> None:
    """The workflow links them into the folder of an experiment."""
    out = tmp_path / "out"
    assert finish(start(run, job, pack, out)) == 0
    names = ("model.pt", "metrics.jsonl", "config.yaml")
    for name in names:
        os.link(out / name, tmp_path / name)
    before = {name: (tmp_path / name).read_bytes() for name in names}
    assert finish(start(run, replace(job, seed=1), pack, out)) == 0
    for name in names:
        assert (tmp_path / name).read_bytes() == before[name]
        assert (out / name).read_bytes() != before[name]


def test_sigterm_leaves_a_checkpoint(job: TrainJob, pack: Path, tmp_path: Path, alone: Left) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    assert finish(start(run, job, pack, out, Fault("terminate", STEP, 5), log, checkpoint_every=NEVER)) == 1
    assert "stopped after step 5 by SIGTERM; the checkpoint is written" in log.read_text()
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 1), checkpoint_every=NEVER)) == -9
    assert finish(start(run, job, pack, out, checkpoint_every=NEVER)) == 0
    Left.by(out).assert_equals(alone)


def test_a_training_nobody_waits_for_stops(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    """As after a SIGKILL of Snakemake: it would write where the next start does."""
    gone = subprocess.Popen("true")
    gone.wait()
    out, log = tmp_path / "out", tmp_path / "log"
    assert finish(start(run, job, pack, out, None, log, checkpoint_every=NEVER, launcher=gone.pid)) == 1
    assert "stopped after step 1 by the end of the process that started it" in log.read_text()
    assert (out / "work/checkpoint-1.pt").exists()


def test_a_damaged_newest_checkpoint_costs_its_steps_only(
    job: TrainJob, pack: Path, tmp_path: Path, alone: Left
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 9), checkpoint_every=0)) == -9
    newest = out / "work/checkpoint-8.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 1), log)) == -9
    assert f"warning: {newest}: damaged" in log.read_text()
    assert [path.name for path in (out / "work").glob("*.pt")] == ["checkpoint-7.pt"]
    assert finish(start(run, job, pack, out, checkpoint_every=0)) == 0
    Left.by(out).assert_equals(alone)


def run_as_nobody(job: TrainJob, pack: Path, out: Path, log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 2)
    if os.getuid() == 0:  # whom no permission binds
        os.setuid(NOBODY)
    run(job, pack, out)


def test_a_folder_that_cannot_be_written_is_named_at_once(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert finish(start(run_as_nobody, job, pack, tmp_path / "locked/out", tmp_path / "log")) == 1
    log = (tmp_path / "log").read_text()
    assert "cannot be written (Permission denied): make the folder writable for the user who runs this" in log
    assert "/locked/out" in log


def test_a_gradient_that_is_no_number_leaves_the_checkpoint_before(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    """Its loss was finite; the weights are not."""
    out, log = tmp_path / "out", tmp_path / "log"
    fault = Fault("nan in a gradient", "torch.optim.SGD.step", 6)
    assert finish(start(run, job, pack, out, fault, log, checkpoint_every=0)) == 1
    text = log.read_text()
    assert re.search(r"network\.\S+ has a value that is not finite after step 6, of which no checkpoint is", text)
    assert f"Lower train.rate and delete {out}/work" in text
    assert sorted(path.name for path in (out / "work").glob("*.pt")) == ["checkpoint-4.pt", "checkpoint-5.pt"]


def test_a_disk_that_is_full_at_the_end_costs_no_step(job: TrainJob, pack: Path, tmp_path: Path, alone: Left) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    assert (
        finish(start(run, job, pack, out, Fault("fill the disk", "msclnet.training.trainer.save_model", 1), log)) == 1
    )
    assert f"{out}/work/model.pt: cannot be written (No space left on device): " in log.read_text()
    assert finish(start(run, job, pack, out, Fault("kill", STEP, 1))) == 0, "the last checkpoint is of the last step"
    Left.by(out).assert_equals(alone)
