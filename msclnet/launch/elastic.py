"""torchrun's agent, which starts processes, restarts them and ends them, where no stranger can reach it.

    python -m msclnet.launch.elastic --processes 2 workflow/scripts/train.py --job job.yaml --pack PACK --out FOLDER

The rendezvous of the command ``torchrun`` listens on every address of the machine, asks nobody who he is, and unpickles
what it is told. The one here listens on a single address: on one node the loopback's, on several the first node's on
the network between them. It unpickles nothing. gloo and NCCL are bound to the same interface.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from torch.distributed import PrefixStore, TCPStore
from torch.distributed.elastic.agent.server.api import SignalException
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    RendezvousTimeoutError,
    rendezvous_handler_registry,
)
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from msclnet.core.errors import UserError
from msclnet.launch.interface import LOOPBACK, bind
from msclnet.launch.usable import require_usable
from msclnet.launch.watchdog import watch

BACKEND = "msclnet"  # the name of the rendezvous below among torch's
MARGIN = 10.0  # seconds in which the others of a process that stands still can say whom they miss
POLL = 0.1


@dataclass(frozen=True)
class Group:
    """The processes of a job on this node, and where its nodes meet."""

    processes: int  # on this node
    restarts: int = 0  # how often they are started again after one has died
    timeout: float = 600.0  # seconds that nodes wait for each other, and that a process may take for a step
    host: str = LOOPBACK  # of the first node
    port: int = 0  # 0, on one node: any that is free
    nodes: int = 1
    node: int = 0  # this one, from 0


def run(group: Group, script: Callable[..., Any] | str, *args: Any, **options: Any) -> None:
    """Runs the processes of a job on this node to their end.

    Args:
        group: the processes.
        script: a program, or a function.
        args: its arguments.
        options: further ones of torch's ``LaunchConfig``.

    Raises:
        ChildFailedError: a process failed once more than it may be restarted.
        SignalException: this process was told to end; so were those it started.
    """
    bind(group.host, alone=group.nodes == 1)
    watch(group.processes, group.timeout + MARGIN)
    rendezvous_handler_registry.register(BACKEND, OneAddress.of)
    config = LaunchConfig(
        min_nodes=group.nodes,
        max_nodes=group.nodes,
        nproc_per_node=group.processes,
        max_restarts=group.restarts,
        rdzv_backend=BACKEND,
        rdzv_endpoint=f"{group.host}:{group.port}",
        rdzv_configs={"rank": group.node, "timeout": group.timeout},
        run_id=(group.nodes > 1 and os.environ.get("SLURM_JOB_ID")) or uuid.uuid4().hex,  # the same on all nodes
        local_addr=LOOPBACK if group.nodes == 1 else None,  # by number: not every machine finds itself by its name
        monitor_interval=POLL,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # else each agent leaves an empty folder in /tmp
        **options,
    )
    elastic_launch(config, script)(*args)


class OneAddress(RendezvousHandler):
    """Where the agents of a job's nodes meet: a store that the first of them keeps, listening on one address.

    All meet anew, in the next round, when one of them wants to start its processes again.
    """

    def __init__(self, host: str, port: int, node: int, nodes: int, timeout: float, name: str = "") -> None:
        """Opens the store on the first node, and joins it on the others."""
        self._node, self._nodes, self._timeout, self._name, self._round = node, nodes, timeout, name, 0
        limit = timedelta(seconds=timeout)
        try:
            if node == 0:
                family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
                listening = socket.create_server((host, port), family=family, backlog=socket.SOMAXCONN)
                port = listening.getsockname()[1]
                descriptor = listening.detach()  # the store's from here on
                self._store = TCPStore(
                    host, port, is_master=True, timeout=limit, wait_for_workers=False, master_listen_fd=descriptor
                )
            else:
                self._store = TCPStore(host, port, is_master=False, timeout=limit, wait_for_workers=False)
        except (OSError, RuntimeError) as error:
            raise RendezvousConnectionError(f"{host}:{port}: no meeting of the nodes there ({error})") from error
        self._info = RendezvousStoreInfo(host, port)

    @classmethod
    def of(cls, asked: RendezvousParameters) -> OneAddress:
        """As torch's agent asks for it."""
        host, port = asked.endpoint.rsplit(":", 1)
        return cls(host, int(port), asked.config["rank"], asked.max_nodes, asked.config["timeout"], asked.run_id)

    def get_backend(self) -> str:
        return BACKEND

    @property
    def use_agent_store(self) -> bool:
        """The processes use the store, too."""
        return True

    def next_rendezvous(self) -> RendezvousInfo:
        self._round += 1
        self._store.set(self._arrival(self._round, self._node), "")
        end = time.monotonic() + self._timeout
        while not all(self._has_come(self._round, node) for node in range(self._nodes)):
            if self.is_closed():
                raise RendezvousClosedError("another node has ended the job")
            if time.monotonic() > end:
                missing = [node for node in range(self._nodes) if not self._has_come(self._round, node)]
                raise RendezvousTimeoutError(f"no word from the nodes {missing} in {self._timeout:.0f} s")
            time.sleep(POLL)
        store = PrefixStore(f"agents/{self._round}", self._store)
        return RendezvousInfo(store, self._node, self._nodes, self._info)

    def num_nodes_waiting(self) -> int:
        return sum(self._has_come(self._round + 1, node) for node in range(self._nodes))

    def is_closed(self) -> bool:
        return bool(self._store.check(["agents/closed"]))

    def set_closed(self) -> None:
        self._store.set("agents/closed", "")

    def get_run_id(self) -> str:
        return self._name

    def shutdown(self) -> bool:
        try:
            self.set_closed()
        except RuntimeError:  # with the node that kept it
            return False
        return True

    def _has_come(self, number: int, node: int) -> bool:
        return bool(self._store.check([self._arrival(number, node)]))

    @staticmethod
    def _arrival(number: int, node: int) -> str:
        return f"agents/arrived/{number}/{node}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m msclnet.launch.elastic", description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=1, help="on this node (default: 1)")
    parser.add_argument("--restarts", type=int, default=0, help="after a process has died (default: none)")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds of a wait, or a step (default: 600)")
    parser.add_argument("--host", default=LOOPBACK, help=f"the first node (default: {LOOPBACK}, of one node)")
    parser.add_argument("--port", type=int, default=0, help="that it listens on (default, of one node: any)")
    parser.add_argument("--nodes", type=int, default=1, help="of the job (default: 1)")
    parser.add_argument("--node", type=int, default=0, help="this one, from 0")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="the script and its arguments")
    args = parser.parse_args()
    if not args.script:
        parser.error("name a script")
    group = Group(args.processes, args.restarts, args.timeout, args.host, args.port, args.nodes, args.node)
    try:
        require_usable()
        run(group, sys.executable, *args.script)
    except (UserError, RendezvousError) as error:
        sys.exit(f"error: {error}")
    except ChildFailedError as error:
        sys.exit(str(error))
    except SignalException as error:
        sys.exit(f"ended: {error}")


if __name__ == "__main__":
    main()
