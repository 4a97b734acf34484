"""What jobs ask for, on machines with and without GPUs, and on a cluster."""

from __future__ import annotations

import dataclasses

import pytest

from msclnet.core.errors import ConfigError
from msclnet.launch.plan import Plan

CPU = Plan("auto", nodes=1, threads=4, gpus=0, cores=4)


def test_without_gpus_a_training_has_the_threads_of_its_processes() -> None:
    assert (CPU.processes("auto"), CPU.device("auto"), CPU.cores_of("auto"), CPU.local_gpus("auto")) == (1, "cpu", 4, 0)
    assert (CPU.processes(2), CPU.cores_of(2)) == (2, 8)
    assert (CPU.embedding_device, CPU.embedding_cores, CPU.counted(0), CPU.requested(0)) == ("cpu", 4, 0, None)


def test_cores_are_shared_so_that_no_gpu_is_idle() -> None:
    """A training of four threads takes two of four cores where two GPUs wait; of several processes, each has a GPU."""
    two = dataclasses.replace(CPU, gpus=2)
    assert (two.device("auto"), two.processes("auto"), two.local_gpus("auto"), two.cores_of("auto")) == ("gpu", 1, 1, 2)
    assert (two.device(2), two.local_gpus(2), two.cores_of(2)) == ("gpu", 2, 4)
    one = dataclasses.replace(CPU, gpus=1)
    assert (one.device(2), one.local_gpus(2), one.cores_of(2)) == ("cpu", 0, 4), "no two processes share a GPU"
    assert (one.embedding_device, one.embedding_cores, one.counted(1)) == ("gpu", 4, 1)


def test_trainings_that_share_a_gpu_have_a_place_and_its_cores_each() -> None:
    """Three a GPU on two GPUs and twelve cores: six places of two cores. A training of both takes all six."""
    plan = dataclasses.replace(CPU, gpus=2, cores=12, share=3)
    assert (plan.places, plan.counted(0), plan.counted(1), plan.counted(2)) == (6, 0, 1, 6)
    assert (plan.cores_of("auto"), plan.embedding_cores, plan.cores_of(2)) == (2, 2, 8)
    cluster = dataclasses.replace(plan, gpus=0, cluster=True, gpus_wanted=1)
    assert (cluster.counted(1), cluster.requested(1), cluster.cores_of("auto")) == (0, "gpu:1", 4)
    (said,) = cluster.warnings({"regdb": "auto"})
    assert "run.trainings_per_gpu: 3, and on a cluster its scheduler gives each training GPUs of its own" in said


@pytest.mark.parametrize("wanted", [0, "auto"])
def test_no_gpu_is_taken_that_is_not_asked_for(wanted: int | str) -> None:
    plan = dataclasses.replace(CPU, gpus=2 if wanted == 0 else 0, gpus_wanted=wanted)
    assert (plan.device("auto"), plan.local_gpus("auto"), plan.embedding_device) == ("cpu", 0, "cpu")


def test_more_gpus_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    plan = dataclasses.replace(CPU, gpus=2, gpus_wanted=4)
    with pytest.raises(ConfigError, match=r"run.gpus_per_training: 4, .* has 2 GPUs .*\(CUDA_VISIBLE_DEVICES=0,1\)"):
        plan.processes("auto")


def test_a_cluster_is_asked_for_what_was_planned_whatever_this_machine_has() -> None:
    plan = Plan(8, nodes=2, threads=1, gpus=0, cores=4, cluster=True)
    assert (plan.processes("auto"), plan.device("auto"), plan.local_gpus("auto"), plan.cores_of("auto")) == (
        8,
        "gpu",
        4,
        4,
    )
    assert (plan.nodes_of("auto"), plan.nodes_of(1), plan.local_gpus(1), plan.cores_of(1)) == (2, 1, 1, 1)
    assert (plan.counted(4), plan.requested(4), plan.embedding_gpus, plan.requested(1)) == (0, "gpu:4", 1, "gpu:1")


def test_what_may_not_be_meant_is_said() -> None:
    assert not list(CPU.warnings({"regdb": 1, "sysu": "auto"}))
    (threads,) = CPU.warnings({"regdb": 2})
    assert "data.regdb.processes x train.threads: 8 threads, and this run has 4 cores" in threads
    (shared,) = dataclasses.replace(CPU, gpus=1).warnings({"sysu": 2})
    assert "data.sysu.processes: 2 processes and 1 GPUs on this machine: they run on the CPU" in shared
    (unseen,) = dataclasses.replace(CPU, cluster=True).warnings({"regdb": "auto"})
    assert "run.gpus_per_training: auto is no GPU on a cluster" in unseen
    broken = dataclasses.replace(CPU, obstacle="nvidia-smi ends with status 18: Failed to initialize NVML")
    (said,) = broken.warnings({"regdb": "auto"})
    assert "trainings run on the CPU: nvidia-smi ends with status 18: Failed to initialize NVML. Mend that, or" in said
    assert not list(dataclasses.replace(broken, gpus_wanted=0).warnings({"regdb": "auto"})), "as was asked for"
    with pytest.raises(ConfigError, match=r"2, and this machine has 0 GPUs .*: nvidia-smi ends with status 18"):
        dataclasses.replace(broken, gpus_wanted=2).processes("auto")
