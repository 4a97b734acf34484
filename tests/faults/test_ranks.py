"""Two real gloo processes under torchrun's agent: one dies, errs, hangs or is told to stop."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from msclnet import checkpoint
from msclnet.config import TrainJob
from tests.faults.conftest import Left
from tests.faults.victim import Fault, finish, launch, start

STEP = "msclnet.train.train_step"
NEVER = 1e9  # seconds between two checkpoints
WITHIN = 25  # seconds from the start to the end of all; torchrun kills what does not end after 30, gloo waits 1800


def launched(
    job: TrainJob, pack: Path, out: Path, fault: Fault | None, restarts: int = 0, **options
) -> tuple[int, str]:
    """The exit status of torchrun, and what all processes printed."""
    log = out.parent / "log"
    status = finish(start(launch, 2, restarts, log, job, pack, out, fault, options))
    return status, log.read_text()


def test_a_dead_process_is_restarted_and_the_training_goes_on(
    job: TrainJob, pack: Path, tmp_path: Path, pair: Left
) -> None:
    out = tmp_path / "out"
    status, log = launched(job, pack, out, Fault("kill", STEP, 6, rank=1), restarts=1, checkpoint_every=0)
    assert status == 0, log
    assert (out / "metrics.jsonl").read_text().count('"kind": "start"') == 2
    Left.by(out).assert_equals(pair)


@pytest.mark.parametrize("fault", [Fault("terminate torchrun", STEP, 5), Fault("terminate", STEP, 5, rank=1)], ids=str)
def test_sigterm_leaves_a_checkpoint_whichever_process_gets_it(
    job: TrainJob, pack: Path, tmp_path: Path, pair: Left, fault: Fault
) -> None:
    out = tmp_path / "out"
    status, log = launched(job, pack, out, fault, checkpoint_every=NEVER)
    assert status != 0
    (written,) = (out / "work").glob("checkpoint-*.pt")
    assert checkpoint.load(written)["step"] >= 5
    assert log.count("stopped after step") == 1, log
    assert launched(job, pack, out, None)[0] == 0
    Left.by(out).assert_equals(pair)


def test_processes_whose_torchrun_is_gone_stop_at_a_checkpoint(
    job: TrainJob, pack: Path, tmp_path: Path, pair: Left
) -> None:
    """They would go on by themselves, beside those of the next start."""
    out = tmp_path / "out"
    assert launched(job, pack, out, Fault("kill torchrun", STEP, 5), checkpoint_every=NEVER)[0] == -9
    status, log = launched(job, pack, out, None)
    assert status == 0, log
    assert "by the end of the process that started it; the checkpoint is written" in log
    Left.by(out).assert_equals(pair)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("nan", STEP, 3, rank=0), "epoch 1, step 3: the loss term 'identity' is nan"),
        (Fault("exhaust memory", STEP, 4, rank=1), "out of memory ("),
        (Fault("hang", STEP, 4, rank=1), "process 0 of 2 lost another one"),
        (Fault("kill", STEP, 4, rank=1), "process 0 of 2 lost another one"),
    ],
    ids=lambda value: getattr(value, "what", ""),
)
def test_all_end_together_and_the_cause_is_printed_once(
    job: TrainJob, pack: Path, tmp_path: Path, fault: Fault, cause: str
) -> None:
    restarts = 0 if fault.what in ("hang", "kill") else 3  # what a restart would only repeat is not repeated
    began = time.monotonic()
    status, log = launched(job, pack, tmp_path / "out", fault, restarts, timeout=4 if fault.what == "hang" else 600)
    assert time.monotonic() - began < WITHIN
    assert status == 1
    assert log.count(cause) == 1, log
    assert log.count("error: ") == 1, log


def test_a_corrupt_pack_is_named_before_anything_is_trained(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    shutil.copytree(pack, tmp_path / "pack")
    with (tmp_path / "pack/infrared.npy").open("rb+") as file:
        file.seek(-1, 2)
        file.write(b"\x00" if file.read(1) else b"\x01")
    status, log = launched(job, tmp_path / "pack", tmp_path / "out", None, restarts=3)
    assert status == 1
    assert log.count("infrared.npy: corrupt, its sha256 is not that in pack.json; make it with") == 1, log
    assert not list((tmp_path / "out/work").glob("checkpoint-*"))
