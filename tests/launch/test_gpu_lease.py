"""Real jobs on a declared number of devices: none is taken twice, and each comes back when its job is gone."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from msclnet.launch import gpu_lease, gpu_list
from msclnet.launch.gpu_list import DeviceError, visible
from tests.conftest import ROOT
from tests.patience import PATIENCE, until

LAUNCH = [sys.executable, str(ROOT / "workflow/scripts/launch.py")]
JOB = """
import json, os, sys, time
from pathlib import Path
folder, end = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RANK")
said = {name: os.environ.get(name) for name in names} | {"pid": os.getpid()}
def say(**more):
    said.update(more)
    part = folder / f"job-{os.getpid()}.part"
    part.write_text(json.dumps(said))
    part.rename(part.with_suffix(".json"))
say(began=time.monotonic())
while time.monotonic() < end and not (folder / f"end-{os.getpid()}").exists():
    time.sleep(0.05)
say(ended=time.monotonic())
"""
LONG = PATIENCE  # seconds of a job that is told when to end


class Machine:
    """Starts jobs that write what they were given, and when they had it, to a folder, and end when they are told."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.started: list[subprocess.Popen[str]] = []
        (folder / "job.py").write_text(JOB)

    def start(self, *options: str, seconds: float = 0.3, **environment: str) -> subprocess.Popen[str]:
        command = [*LAUNCH, *options, str(self.folder / "job.py"), str(self.folder), str(seconds)]
        process = subprocess.Popen(command, env=self.environment | environment, stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        return process

    def said(self) -> list[dict]:
        return sorted((json.loads(p.read_text()) for p in self.folder.glob("job-*.json")), key=lambda job: job["began"])

    def wait_for(self, jobs: int) -> list[dict]:
        """What ``jobs`` jobs say once so many have begun."""
        until(lambda: len(self.said()) >= jobs, lambda: "the jobs do not begin")
        return self.said()

    def end(self, job: dict) -> None:
        """Tells a job that its time is over."""
        (self.folder / f"end-{job['pid']}").touch()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Two declared devices."""
    hidden = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    leases = str(tmp_path / "leases")
    machine = Machine(tmp_path, environment | {"MSCLNET_GPUS": "2", "MSCLNET_LEASES": leases, "PYTHONPATH": str(ROOT)})
    yield machine
    for process in machine.started:
        process.kill()
        process.wait()
    for job in machine.said():
        if "ended" not in job:
            try:
                os.kill(job["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue


def heard(job: subprocess.Popen[str], words: str) -> str:
    """The line in which a job says something."""
    assert job.stderr is not None
    before = []
    for line in job.stderr:
        if words in line:
            return line
        before.append(line)
    raise AssertionError(f"{words} is not among {before}")


def test_jobs_that_do_not_know_each_other_never_share_a_device(machine: Machine) -> None:
    """Six at once for two devices, as two Snakemakes of three jobs each start them."""
    jobs = [machine.start("--device", "gpu", seconds=LONG) for _ in range(6)]
    for number in range(6):
        said = machine.wait_for(min(number + 2, 6))  # two run at a time
        machine.end(said[number])
    for job in jobs:
        assert job.wait(PATIENCE) == 0, job.communicate()
    said = machine.said()
    assert {job["CUDA_VISIBLE_DEVICES"] for job in said} == {"0", "1"}
    for device in "01":
        mine = [job for job in said if job["CUDA_VISIBLE_DEVICES"] == device]
        assert len(mine) == 3
        assert all(earlier["ended"] <= later["began"] for earlier, later in pairwise(mine))


def test_a_job_of_two_processes_takes_both_devices_and_waits_for_them(machine: Machine) -> None:
    machine.start("--device", "gpu", seconds=LONG)
    (one,) = machine.wait_for(1)
    both = machine.start("--device", "gpu", "--processes", "2", "--threads", "6")
    assert f"2 of 2 GPUs, held by the jobs {one['pid']}" in heard(both, "waiting for")
    machine.end(one)
    _, printed = both.communicate(timeout=PATIENCE)
    assert both.returncode == 0, printed
    ranks = [job for job in machine.said() if job["RANK"] is not None]
    assert sorted(job["RANK"] for job in ranks) == ["0", "1"]
    assert {job["CUDA_VISIBLE_DEVICES"] for job in ranks} == {"0,1"}
    assert (
        min(job["began"] for job in ranks)
        >= json.loads((machine.folder / f"job-{one['pid']}.json").read_text())["ended"]
    )


def test_jobs_share_a_device_as_each_of_them_allows(machine: Machine) -> None:
    """Two a GPU: one on each first. A job that shares with nobody, or of both, waits for them."""
    for number in (1, 2, 3):
        machine.start("--device", "gpu", "--share", "2", seconds=LONG)
        machine.wait_for(number)
    first, second, third = (job["CUDA_VISIBLE_DEVICES"] for job in machine.said())
    assert {first, second} == {"0", "1"}, "an idle one before one that is shared"
    assert third in {"0", "1"}
    alone = machine.start("--device", "gpu")
    heard(alone, "waiting for 1 of 2 GPUs")
    both = machine.start("--device", "gpu", "--share", "2", "--processes", "2")
    heard(both, "waiting for 2 of 2 GPUs")  # a training of several shares none
    fourth = machine.start("--device", "gpu", "--share", "3")
    assert fourth.wait(PATIENCE) == 0, "there is place for one more"
    *_, fourth_said = machine.wait_for(4)
    assert fourth_said["CUDA_VISIBLE_DEVICES"] != third
    for job in machine.started[:3]:
        job.kill()
    assert both.wait(PATIENCE) == alone.wait(PATIENCE) == 0


def test_a_killed_job_gives_its_device_back(machine: Machine) -> None:
    for number in (1, 2):
        machine.start("--device", "gpu", seconds=LONG)
        machine.wait_for(number)
    killed = machine.started[0]
    killed.kill()
    machine.start("--device", "gpu")
    first, _, third = machine.wait_for(3)
    assert first["pid"] == killed.pid, "the launcher has become its job"
    assert third["CUDA_VISIBLE_DEVICES"] == first["CUDA_VISIBLE_DEVICES"]


def test_ranks_that_outlive_a_killed_torchrun_keep_their_devices(machine: Machine) -> None:
    torchrun = machine.start("--device", "gpu", "--processes", "2", seconds=LONG)
    ranks = machine.wait_for(2)
    torchrun.kill()
    torchrun.wait()
    os.kill(ranks[0]["pid"], signal.SIGKILL)
    waiting = machine.start("--device", "gpu")
    heard(waiting, "waiting for 1 of 2 GPUs")  # one rank still has the lease of both
    assert waiting.poll() is None
    os.kill(ranks[1]["pid"], signal.SIGKILL)
    assert waiting.wait(PATIENCE) == 0


def test_a_job_whose_standard_input_is_closed_keeps_its_device(machine: Machine) -> None:
    """As ``snakemake <&-`` over ssh closes it: the lease takes its place."""
    job = ["--device", "gpu", str(machine.folder / "job.py"), str(machine.folder), str(LONG)]
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *LAUNCH, *job]
    environment = machine.environment | {"MSCLNET_GPUS": "1"}
    machine.started += [subprocess.Popen(closed, env=environment, stderr=subprocess.PIPE, text=True)]
    (first,) = machine.wait_for(1)
    second = machine.start("--device", "gpu", MSCLNET_GPUS="1")
    assert "waiting for 1 of 1 GPUs, held by the jobs" in heard(second, "waiting for")
    machine.end(first)
    first, second = machine.wait_for(2)
    assert second["began"] >= first["ended"]


def test_leases_are_every_users_to_read_whatever_the_umask(machine: Machine) -> None:
    before = os.umask(0o077)
    try:
        machine.start("--device", "gpu", seconds=LONG)
    finally:
        os.umask(before)
    machine.wait_for(1)
    for path in (machine.folder / "leases").iterdir():
        assert path.stat().st_mode & 0o777 == 0o644, path


NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("name", ["lease-1-1", "mutex"])
def test_another_users_file_that_cannot_be_read_is_named(name: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # a test's own folder is its user's alone
        folder = Path(place)
        folder.chmod(0o1777)
        (folder / name).write_text("{}")
        (folder / name).chmod(0o600)
        code = f"import os; from msclnet.launch import gpu_lease\nos.setuid({NOBODY}); gpu_lease.lease(1)"
        environment = os.environ | {"MSCLNET_GPUS": "2", "MSCLNET_LEASES": place, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert re.search(rf"DeviceError: {folder}/{name}: Permission denied; .*name another in MSCLNET_LEASES", done.stderr)


def test_what_is_no_lease_is_neither_waited_for_nor_a_traceback(machine: Machine) -> None:
    folder = machine.folder / "leases"
    folder.mkdir()
    os.mkfifo(folder / "lease-pipe")
    (folder / "lease-link").symlink_to("/dev/zero")
    (folder / "lease-0-0").write_text("not of this project")
    with (folder / "lease-0-0").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        job = machine.start("--device", "gpu")
        said = job.communicate(timeout=PATIENCE)[1]
        assert re.search(r"^error: .*/lease-0-0: no lease of this project, and held by .*delete it$", said, re.M)
        assert job.returncode == 1
    assert machine.start("--device", "gpu").wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "content",
    [
        {"job": 1, "devices": "01", "share": 1},
        {"job": 1, "devices": [0], "share": 1},
        {"job": 1, "devices": [None], "share": 1},
        {"job": True, "devices": ["0"], "share": 1},
        {"job": -1, "devices": ["0"], "share": 1},
        {"job": 1.5, "devices": ["0"], "share": 1},
        {"job": 1, "devices": ["0"], "share": 0},
        {"job": 1, "devices": ["0"]},
        ["job", "devices"],
    ],
)
def test_a_lease_that_names_no_device_is_not_believed(content: object, tmp_path: Path) -> None:
    """The names of two devices in one word were two devices, and None was one."""
    (tmp_path / "lease-1-1").write_text(json.dumps(content))
    with (tmp_path / "lease-1-1").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DeviceError, match="lease-1-1: no lease of this project, and held by a process"):
            list(gpu_lease._taken(tmp_path))


def test_a_mutex_that_somebody_holds_is_not_waited_for_without_a_word(machine: Machine) -> None:
    mutex = machine.folder / "leases/mutex"
    mutex.parent.mkdir()
    mutex.touch()
    with mutex.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        job = machine.start("--device", "gpu")
        heard(job, f"waiting for {mutex}, which another process holds")
    assert job.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("smi", "environment", "reason"),
    [
        (
            "echo 'Failed to initialize NVML: mismatch'; exit 18",
            {},
            "status 18: Failed to initialize NVML",
        ),
        ("echo GPU-aaaa; echo GPU-bbbb", {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES= hides its 2 GPUs"),
        ("echo GPU-aaaa", {"CUDA_VISIBLE_DEVICES": "7"}, "CUDA_VISIBLE_DEVICES=7 hides its 1 GPUs"),
        ("echo GPU-aaaa", {}, ""),
        ("echo GPU-aaaa; echo GPU-bbbb", {"CUDA_VISIBLE_DEVICES": "1"}, ""),
        ("exit 9", {"MSCLNET_GPUS": "0"}, ""),
        ("echo 'No devices were found'", {}, "nvidia-smi names no GPU: No devices were found"),
        ("echo '[Unknown Error], [N/A]'", {}, r"nvidia-smi names no GPU: \[Unknown Error\]"),
        ("exec /bin/sleep 60", {}, "nvidia-smi has not answered in 1 s: the driver hangs"),
        ("", {}, "it has .*/nvidia0, and nvidia-smi does not run"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_not_passed_over_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smi: str, environment: dict[str, str], reason: str
) -> None:
    if smi:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{smi}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    (tmp_path / "nvidia0").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu_list, "DEVICES", tmp_path)
    if "sleep" in smi:  # else it answers, however late
        monkeypatch.setattr(gpu_list, "PATIENCE", 1.0)
    found = gpu_list.obstacle(environment)
    assert re.search(reason, found) if reason else not found


WHOLE = "GPU-11111111-2222", "GPU-33333333-4444"
DIVIDED = f"""GPU 0: NVIDIA A100-SXM4-40GB (UUID: {WHOLE[0]})
  MIG 3g.20gb     Device  0: (UUID: MIG-aaaa-1)
  MIG 3g.20gb     Device  1: (UUID: MIG-bbbb-2)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {WHOLE[1]})"""


def smi(folder: Path, query: str, listed: str = "") -> None:
    """A false nvidia-smi: what it answers to --query-gpu, and to -L."""
    (folder / "query").write_text(query + "\n")
    (folder / "listed").write_text(listed + "\n")
    script = f'#!/bin/sh\n[ "$1" = -L ] && exec /bin/cat {folder}/listed\nexec /bin/cat {folder}/query\n'
    (folder / "nvidia-smi").write_text(script)
    (folder / "nvidia-smi").chmod(0o755)


def test_a_line_that_names_no_gpu_is_said_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    smi(tmp_path, f"{WHOLE[0]}, Disabled\n[Unknown Error], [N/A]\n{WHOLE[1]}, [N/A]")
    assert visible({}) == WHOLE
    assert "nvidia-smi: [Unknown Error], [N/A]: passed over" in capsys.readouterr().err


def test_the_instances_of_a_divided_gpu_stand_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    smi(tmp_path, f"{WHOLE[0]}, Enabled\n{WHOLE[1]}, Disabled", DIVIDED)
    assert visible({}) == ("MIG-aaaa-1", "MIG-bbbb-2", WHOLE[1])


def test_no_training_gets_two_parts_of_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They could not exchange gradients."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MSCLNET_LEASES", str(tmp_path / "leases"))
    smi(tmp_path, f"{WHOLE[0]}, Enabled\n{WHOLE[1]}, Disabled", DIVIDED)
    with pytest.raises(DeviceError, match="2 GPUs wanted, and this machine has 1"):
        gpu_lease.lease(2)


def test_an_amd_gpu_is_not_passed_over_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu_list, "DEVICES", tmp_path)
    (tmp_path / "kfd").touch()
    assert "kfd, an AMD GPU, which nvidia-smi does not list: MSCLNET_GPUS=1" in gpu_list.obstacle({})


def test_a_leased_gpu_that_torch_does_not_see_ends_the_job(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho GPU-aaaa\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    del machine.environment["MSCLNET_GPUS"]
    machine.environment["PATH"] = f"{tmp_path}:{machine.environment['PATH']}"
    job = machine.start("--device", "gpu", "--processes", "1")
    said = job.communicate(timeout=PATIENCE)[1]
    assert "error: the GPUs GPU-aaaa are this job's, and torch sees none" in said
    assert (job.returncode, machine.said()) == (1, [])


@pytest.mark.parametrize(("device", "leased"), [("nvidia0", "0"), ("kfd", "0"), ("null", "None")])
def test_declared_gpus_are_real_where_the_machine_has_some(tmp_path: Path, device: str, leased: str) -> None:
    """There torch is held to them; elsewhere the CPU stands in for them."""
    (tmp_path / device).touch()
    code = (
        "import os, pathlib; from msclnet.launch import gpu_lease, gpu_list;"
        f"gpu_list.DEVICES = pathlib.Path({str(tmp_path)!r}); gpu_lease.lease(1);"
        "print(os.environ.get('MSCLNET_LEASED'))"
    )
    environment = {**os.environ, "MSCLNET_GPUS": "1", "MSCLNET_LEASES": str(tmp_path / "leases")}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.stdout.splitlines() == ["on the GPUs 0", leased], run.stderr


def test_the_visible_devices_are_respected_by_index_and_by_uuid(machine: Machine, tmp_path: Path) -> None:
    """The second device by its index and by the beginning of its UUID: one and the same."""
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho GPU-aaaa-1111\necho GPU-bbbb-2222\n")
    smi.chmod(0o755)
    del machine.environment["MSCLNET_GPUS"]
    machine.environment["PATH"] = f"{smi.parent}:{machine.environment['PATH']}"
    machine.start("--device", "gpu", seconds=LONG, CUDA_VISIBLE_DEVICES="1")
    (one,) = machine.wait_for(1)
    other = machine.start("--device", "gpu", CUDA_VISIBLE_DEVICES="GPU-bbbb")
    heard(other, "waiting for 1 of 1 GPUs")
    machine.end(one)
    assert other.wait(PATIENCE) == 0
    first, second = machine.said()
    assert first["CUDA_VISIBLE_DEVICES"] == second["CUDA_VISIBLE_DEVICES"] == "GPU-bbbb-2222"
    assert first["ended"] <= second["began"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("0", "1", "2", "3")),
        ({"CUDA_VISIBLE_DEVICES": "3,1"}, ("3", "1")),
        ({"CUDA_VISIBLE_DEVICES": "2,-1,0"}, ("2",)),
        ({"CUDA_VISIBLE_DEVICES": "0,7"}, ("0",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "MIG-c0ffee"}, ("MIG-c0ffee",)),
    ],
)
def test_what_cuda_would_not_see_is_not_visible(given: dict[str, str], expected: tuple[str, ...]) -> None:
    assert visible({"MSCLNET_GPUS": "4", **given}) == expected


def test_a_device_number_that_makes_no_sense_is_refused() -> None:
    for wrong in ("all", "1" + "0" * 15):
        with pytest.raises(
            DeviceError, match=rf"MSCLNET_GPUS={wrong}: expected the number of GPUs of this machine, 1024"
        ):
            visible({"MSCLNET_GPUS": wrong})


def test_more_devices_than_there_are_is_an_error_and_no_wait(machine: Machine) -> None:
    job = machine.start("--device", "gpu", "--processes", "3", CUDA_VISIBLE_DEVICES="1")
    _, printed = job.communicate(timeout=PATIENCE)
    assert job.returncode == 1
    assert printed.startswith(
        "error: 3 GPUs wanted, and this machine has 1 in CUDA_VISIBLE_DEVICES=1; lower run.gpus_per"
    )


def test_a_job_on_the_cpu_sees_no_device_and_its_processes_divide_its_cores(machine: Machine) -> None:
    job = machine.start("--device", "cpu", "--processes", "2", "--threads", "5", OMP_NUM_THREADS="5")
    assert job.wait(PATIENCE) == 0
    for rank in machine.said():
        assert rank["CUDA_VISIBLE_DEVICES"] == ""
        assert {rank[f"{pool}_NUM_THREADS"] for pool in ("OMP", "MKL", "OPENBLAS")} == {"2"}


def test_several_nodes_outside_slurm_are_refused(machine: Machine) -> None:
    environment = {"SLURM_JOB_ID": ""} if "SLURM_JOB_ID" in os.environ else {}
    job = machine.start("--device", "cpu", "--processes", "4", "--nodes", "2", **environment)
    _, printed = job.communicate(timeout=PATIENCE)
    assert (job.returncode, printed.startswith("error: run.nodes_per_training: 2 nodes need a Slurm job")) == (1, True)
    uneven = machine.start("--device", "cpu", "--processes", "4", "--nodes", "3")
    assert "4 processes cannot be spread over 3 nodes; use 1, 2, 4" in uneven.communicate(timeout=PATIENCE)[1]
