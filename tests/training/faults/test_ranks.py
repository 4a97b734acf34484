"""Two real gloo processes under torchrun's agent: one dies, errs, hangs or is told to stop."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from msclnet.config import TrainJob, plain, replace
from msclnet.core import torch_file
from msclnet.launch import elastic
from tests.patience import PATIENCE, until
from tests.servers import free_port
from tests.training.faults.conftest import Left
from tests.training.faults.victim import Fault, finish, launch, start

ROOT = Path(__file__).parents[3]
STEP = "msclnet.training.trainer.train_step"
NEVER = 1e9  # seconds between two checkpoints
TIME_OUT = 15.0  # seconds, in which no healthy process keeps another waiting, however busy the machine is
STEP_LIMIT = 5.0  # seconds, to which the launcher adds its margin


def launched(
    job: TrainJob, pack: Path, out: Path, fault: Fault | None, restarts: int = 0, processes: int = 2, **options
) -> tuple[int, str]:
    """The exit status of torchrun, and what all processes printed."""
    log = out.parent / "log"
    status = finish(start(launch, processes, restarts, log, job, pack, out, fault, options))
    return status, log.read_text()


def test_a_dead_process_is_restarted_and_the_training_goes_on(
    job: TrainJob, pack: Path, tmp_path: Path, pair: Left
) -> None:
    out = tmp_path / "out"
    status, log = launched(job, pack, out, Fault("kill", STEP, 6, rank=1), restarts=1, checkpoint_every=0)
    assert status == 0, log
    assert (out / "metrics.jsonl").read_text().count('"kind": "start"') == 2
    Left.by(out).assert_equals(pair)


def test_anew_is_once_a_launch(job: TrainJob, pack: Path, tmp_path: Path, pair: Left) -> None:
    """A restart of its processes goes on from its own checkpoint; the next launch begins anew."""
    out, fault = tmp_path / "out", Fault("kill", STEP, 6, rank=1)
    written = set()
    for _ in range(2):
        status, log = launched(job, pack, out, fault, restarts=1, checkpoint_every=0, anew=True)
        assert status == 0, log
        assert (out / "metrics.jsonl").read_text().count('"kind": "start"') == 2
        Left.by(out).assert_equals(pair)
        written.add((out / "model.pt").stat().st_mtime_ns)
    assert len(written) == 2


def test_four_processes_resume_to_the_same_bits(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    """Of more than two the sum of the gradients depends on its order."""
    eight = replace(job, train=replace(job.train, images=4))
    for name in ("whole", "halves"):
        (tmp_path / name).mkdir()
        fault = Fault("kill", STEP, 3, rank=1) if name == "halves" else None
        out = tmp_path / name / "out"
        status, log = launched(eight, pack, out, fault, restarts=1, processes=4, checkpoint_every=0)
        assert status == 0, log
    whole, halves = (Left.by(tmp_path / name / "out", steps=4) for name in ("whole", "halves"))
    assert (tmp_path / "halves/out/metrics.jsonl").read_text().count('"kind": "start"') == 2
    halves.assert_equals(whole)


def test_a_process_that_dies_on_another_node_is_restarted_with_all(
    job: TrainJob, pack: Path, tmp_path: Path, pair: Left
) -> None:
    """Two agents of torchrun meet at one address, as on the two nodes of a Slurm job."""
    out, port = tmp_path / "out", free_port()
    fault = Fault("kill", STEP, 6, rank=1)
    agents = [
        start(
            *(launch, 1, 1, tmp_path / f"log{node}", job, pack, out, fault, {"checkpoint_every": 0}),
            **{"nodes": 2, "node": node, "port": port},
        )
        for node in (0, 1)
    ]
    status = [finish(agent) for agent in agents]
    assert status == [0, 0], "".join((tmp_path / f"log{node}").read_text() for node in (0, 1))
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
    assert torch_file.load(written)["step"] >= 5
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
    time_out = TIME_OUT if fault.what == "hang" else 2 * PATIENCE
    status, log = launched(job, pack, tmp_path / "out", fault, restarts, timeout=time_out)
    assert status == 1
    assert "forcefully" not in log, "none is left for torchrun to kill when its own patience ends"
    assert log.count(cause) == 1, log
    assert log.count("error: ") == 1, log


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_that_all_stand_still_are_ended_by_their_launcher(
    job: TrainJob, pack: Path, tmp_path: Path, alone: Left, pair: Left, processes: int
) -> None:
    """As by SIGSTOP, or a disk that answers no more: nobody else would miss them."""
    out, log = tmp_path / "out", tmp_path / "log"
    options = {"checkpoint_every": 0}
    fault = Fault("stop", STEP, 6, rank=None)
    status = finish(start(launch, processes, 1, log, job, pack, out, fault, options, timeout=STEP_LIMIT))
    assert status == 0, log.read_text()
    assert f"took no step in {STEP_LIMIT + elastic.MARGIN:.0f} s and is killed" in log.read_text()
    assert (out / "metrics.jsonl").read_text().count('"kind": "start"') == 2
    Left.by(out).assert_equals(alone if processes == 1 else pair)


def test_a_training_listens_where_no_other_machine_reaches_it(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    """The command itself, whatever interface the environment names for a cluster."""
    long = replace(job, epochs=10_000)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(plain(long)))
    script = [
        ROOT / "workflow/scripts/train.py",
        "--job",
        tmp_path / "job.yaml",
        "--pack",
        pack,
        "--out",
        tmp_path / "out",
    ]
    command = [sys.executable, ROOT / "workflow/scripts/launch.py", "--device", "cpu", "--processes", "2", *script]
    names = dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), "eth0")
    environment = os.environ | {"PYTHONPATH": str(ROOT), **names}
    log = tmp_path / "log"
    with log.open("w") as told:
        agent = subprocess.Popen(list(map(str, command)), env=environment, stdout=told, stderr=told)
    try:
        metrics = tmp_path / "out/work/metrics.jsonl"
        until(
            lambda: (metrics.exists() and '"kind": "epoch"' in metrics.read_text()) or agent.poll() is not None,
            log.read_text,
        )
        assert agent.poll() is None, log.read_text()
        family = [psutil.Process(agent.pid), *psutil.Process(agent.pid).children(recursive=True)]
        listening = {
            (member.pid, found.laddr.ip)
            for member in family
            for found in member.net_connections("inet")
            if found.status == psutil.CONN_LISTEN
        }
        for variable in names:
            assert {member.environ()[variable].lstrip("=") for member in family[1:]} == {"lo"}
    finally:
        agent.terminate()
        agent.wait(PATIENCE)
    assert len({process for process, _ in listening}) == 3, "the agent's store and gloo in both processes"
    assert {address for _, address in listening} == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["infrared.npy", "index.csv", "splits.json", "pack.json"])
def test_a_corrupt_pack_is_named_before_anything_is_trained(
    job: TrainJob, pack: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(pack, tmp_path / "pack")
    content = bytearray((tmp_path / "pack" / name).read_bytes())
    content[-3] ^= 0x80
    (tmp_path / "pack" / name).write_bytes(content)
    status, log = launched(job, tmp_path / "pack", tmp_path / "out", None, restarts=3)
    assert status == 1
    assert len(re.findall(rf"error: .*/{name}: .*corrupt.*; make it with .*pack\.py, or let snakemake again", log)) == 1
    assert log.count("error: ") == 1, log
    assert not list((tmp_path / "out/work").glob("checkpoint-*"))
