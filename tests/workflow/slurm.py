"""A real Slurm of two virtual nodes on this machine, for as long as a ``with`` block lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.patience import PATIENCE, until

CONFIGURATION = Path("/etc/slurm/slurm.conf")  # not elsewhere: Snakemake's executor drops SLURM_CONF
NODES = ("n1", "n2")
PROGRAMS = ("slurmctld", "slurmd", "munged", "munge", "srun", "sbatch", "squeue", "sinfo", "runuser")


def missing() -> str | None:
    """Why no Slurm can be started here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: apt-get install slurm-wlm munge util-linux)"
    if os.geteuid() != 0:
        return "only root can start Slurm's daemons"
    if CONFIGURATION.exists():
        return f"this machine has a Slurm of its own: {CONFIGURATION}"
    return None


@contextmanager
def started(folder: Path) -> Iterator[None]:
    """munged, slurmctld and a slurmd a node, all writing to ``folder``; they and the configuration go at the end."""
    with ExitStack() as stack:
        if not _munge_answers():
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            stack.enter_context(_daemon(folder, "runuser", "-u", "munge", "--", "munged", "--foreground", "--force"))
            until(_munge_answers, lambda: "munged does not answer")
        CONFIGURATION.parent.mkdir(exist_ok=True)
        CONFIGURATION.write_text(_configuration(folder))
        stack.callback(CONFIGURATION.unlink)
        stack.enter_context(_daemon(folder, "slurmctld", "-D"))
        for node in NODES:
            stack.enter_context(_daemon(folder, "slurmd", "-D", "-N", node))
        until(_nodes_idle, lambda: "Slurm is not up")
        yield


@contextmanager
def _daemon(folder: Path, *command: str) -> Iterator[None]:
    with (folder / "daemons.out").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PATH": _path()})
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _configuration(folder: Path) -> str:
    """Of nodes with more cores and memory than this machine has, perhaps: nothing here counts on them."""
    host = socket.gethostname()
    nodes = "".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={17000 + i} CPUs=4 RealMemory=64000\n"
        for i, node in enumerate(NODES)
    )
    return f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
{nodes}PartitionName=main Nodes={",".join(NODES)} Default=YES MaxTime=INFINITE State=UP
"""


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin"


def _munge_answers() -> bool:
    return subprocess.run(["munge", "-n"], capture_output=True).returncode == 0


def _nodes_idle() -> bool:
    listed = subprocess.run(["sinfo", "--noheader", "--format=%T %D"], capture_output=True, text=True)
    return listed.stdout.split() == ["idle", str(len(NODES))]
