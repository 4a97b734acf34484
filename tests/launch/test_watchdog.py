"""Who stands still is killed; who works slowly, has ended, or is somebody else is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
LIMIT = 4.0  # seconds: who takes a step every now and then is not so long without one, however busy the machine is
LONGER = 6  # seconds, in which a child that is watched and takes no step is killed
LAUNCHER = f"""
import subprocess, sys
from msclnet.launch.watchdog import watch
watch(1, {LIMIT})
print(subprocess.run([sys.executable, "-c", sys.argv[1], *sys.argv[2:]]).returncode)
"""
CHILD = "import os, signal, struct, sys, time; from msclnet.launch.watchdog import Heartbeat, SLOT\n"


def ended(child: str, *arguments: str) -> tuple[int, str]:
    """How a child of a watched launcher ended, and what was said of it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOCAL_RANK": "0"}
    command = [sys.executable, "-c", LAUNCHER, CHILD + child, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    return int(done.stdout), done.stderr


@pytest.mark.parametrize("stands", ["os.kill(os.getpid(), signal.SIGSTOP)", f"time.sleep({PATIENCE})"])
def test_a_child_that_stands_still_is_killed_by_name(stands: str) -> None:
    status, said = ended(f"with Heartbeat() as heart: heart.beat(); {stands}")
    assert status == -signal.SIGKILL
    assert "error: process 0 here" in said
    assert "took no step in 4 s and is killed" in said
    assert "survival.timeout" in said


def test_a_child_that_takes_its_steps_is_left_alone() -> None:
    steps = f"end = time.monotonic() + {LONGER}\n while time.monotonic() < end: time.sleep(0.05); heart.beat()"
    status, said = ended(f"with Heartbeat() as heart:\n {steps}")
    assert (status, said) == (0, "")


def test_a_child_that_has_taken_its_last_step_may_end_as_slowly_as_it_likes() -> None:
    assert ended(f"with Heartbeat(): pass\ntime.sleep({LONGER})") == (0, "")


def test_what_is_no_step_takes_as_long_as_it_likes() -> None:
    child = f"with Heartbeat() as heart:\n with heart.rest(): time.sleep({LONGER})"
    assert ended(child) == (0, "")
    assert ended(f"{child}\n time.sleep({PATIENCE})")[0] == -signal.SIGKILL, "it is watched again"


def test_nobody_is_killed_who_is_no_child() -> None:
    """The number of a process that has ended may be another's by now."""
    other = subprocess.Popen(["sleep", str(2 * PATIENCE)])
    try:
        writes = "Heartbeat().__enter__(); f = os.open(os.environ['MSCLNET_HEARTBEATS'], os.O_WRONLY)\n"
        writes += f"os.pwrite(f, SLOT.pack(int(sys.argv[1]), 7), 0); time.sleep({LONGER})"
        assert ended(writes, str(other.pid)) == (0, "")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_without_a_launcher_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from msclnet.launch.watchdog import BEATS, Heartbeat

    monkeypatch.delenv(BEATS, raising=False)
    with Heartbeat() as heart:
        heart.beat()
