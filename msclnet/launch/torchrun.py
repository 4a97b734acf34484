"""Starts a script where it is to run: on devices of its own, by torchrun's agent, on each node of a Slurm job."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from msclnet.core.errors import UserError
from msclnet.launch.gpu_lease import LEASED, lease
from msclnet.launch.gpu_list import VISIBLE
from msclnet.launch.interface import GLOO, address_of

PORTS = range(20000, 30000)  # below those the kernel hands out
THREAD_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Layout:
    """What a job runs on. ``processes`` are those of all nodes together; None is the script alone, without torchrun."""

    device: Literal["gpu", "cpu"]  # with "gpu" each process has one of its own
    processes: int | None
    nodes: int
    threads: int  # the job's cores on each node; its processes there share them
    restarts: int = 0  # how often torchrun starts the processes again after one has died
    timeout: float = 600.0  # seconds that one of them may wait for another, or take for a step
    share: int = 1  # jobs of one GPU that may be on it at once

    @property
    def local(self) -> int:
        """Processes on each node.

        Raises:
            UserError: they do not come out even.
        """
        processes = self.processes or 1
        if processes % self.nodes:
            fitting = ", ".join(str(n) for n in range(1, processes + 1) if processes % n == 0)
            raise UserError(
                f"run.nodes_per_training: {processes} processes cannot be spread over {self.nodes} nodes; use {fitting}"
            )
        return processes // self.nodes


def launch(script: Sequence[str], layout: Layout, rendezvous: str | None = None) -> NoReturn:
    """Becomes a script, or torchrun on it; never returns.

    On several nodes it becomes ``srun``, which calls this on each node with a rendezvous.

    Args:
        script: a file and its arguments.
        layout: what it runs on.
        rendezvous: ``host:port`` of the first node, on a node of several.

    Raises:
        DeviceError: the machine has fewer GPUs than are wanted.
        UserError: several nodes are asked for outside a Slurm job, or the processes do not come out even on them.
    """
    local = layout.local
    if layout.nodes > 1 and rendezvous is None:
        _become(_srun(script, layout))
    if layout.device == "gpu":
        lease(local, layout.share)
    else:
        os.environ[VISIBLE] = ""
        os.environ.pop(LEASED, None)
    os.environ.update(dict.fromkeys(THREAD_POOLS, str(max(1, layout.threads // local))))
    if layout.processes is None:
        _become([sys.executable, *script])
    if layout.device == "cpu":  # where DDP warns of what it is asked to do for the sake of the order of sums
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    where = [] if rendezvous is None else _join(rendezvous, layout.nodes)
    again = [f"--processes={local}", f"--restarts={layout.restarts}", f"--timeout={layout.timeout}"]
    _become([sys.executable, "-m", "msclnet.launch.elastic", *where, *again, *script])


def _srun(script: Sequence[str], layout: Layout) -> list[str]:
    """This launch once on each node of the job this runs in, the first node of which keeps the rendezvous."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job or shutil.which("srun") is None:
        raise UserError(
            f"run.nodes_per_training: {layout.nodes} nodes need a Slurm job; run snakemake with "
            "--profile profiles/slurm, or set it to 1"
        )
    port = PORTS[int(job) % len(PORTS)]
    spread = ["--nodes", str(layout.nodes), "--ntasks", str(layout.nodes), "--ntasks-per-node", "1"]
    options: dict[str, object] = {"device": layout.device, "processes": layout.processes, "nodes": layout.nodes}
    options |= {"threads": layout.threads, "restarts": layout.restarts, "timeout": layout.timeout}
    options |= {"share": layout.share}
    again = [f"--{name}={value}" for name, value in options.items()]
    return [
        *("srun", *spread, f"--cpus-per-task={layout.threads}", "--kill-on-bad-exit=1", "--label"),
        *(sys.executable, sys.argv[0], *again, f"--rendezvous={_first_node()}:{port}", *script),
    ]


def _first_node() -> str:
    """This node as the others are to reach it: by its name, or its address on the interface that gloo is to use."""
    if interface := os.environ.get(GLOO):
        if (address := address_of(interface)) is None:
            raise UserError(
                f"{GLOO}={interface}: no interface of {socket.gethostname()} with an IPv4 address; "
                "`ip -brief address` lists them"
            )
        return address
    name = socket.gethostname()
    try:
        found = socket.gethostbyname(name)
    except OSError:
        found = "nowhere"
    if found == "nowhere" or found.startswith("127."):
        print(
            f"warning: the name {name} leads to {found} on this node, where other machines would wait for it in vain; "
            f"name the interface between the nodes in {GLOO}",
            file=sys.stderr,
            flush=True,
        )
    return name


def _join(rendezvous: str, nodes: int) -> list[str]:
    place = os.environ.get("SLURMD_NODENAME", socket.gethostname())
    print(f"node {place}: joins the {nodes} nodes that meet at {rendezvous}", flush=True)
    host, port = rendezvous.rsplit(":", 1)
    node = os.environ["SLURM_PROCID"]  # srun starts one task a node, the first on the job's first
    return [f"--host={host}", f"--port={port}", f"--nodes={nodes}", f"--node={node}"]


def _become(command: Sequence[str]) -> NoReturn:
    """Signals then reach torchrun itself, and no launcher is left that could be killed without it."""
    sys.stdout.flush()
    os.execvp(command[0], list(command))
