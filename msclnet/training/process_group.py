"""The processes of a training: they meet, share what the first one knows, and end together."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from msclnet.core.errors import UserError
from msclnet.core.precision import allow_tf32
from msclnet.launch.usable import require_usable

T = TypeVar("T")

# Of an error: another process did not answer.
LOST = re.compile("gloo|nccl|connection|timed out|pair closure", re.IGNORECASE)
CAUSE = "cause"  # a key of the store all processes share
POLL = 0.5  # seconds between two looks at whether another process has failed
GREETING = 0.05  # seconds between two looks at who has come


@dataclass(frozen=True)
class Processes:
    """This process among those of its training."""

    rank: int
    world: int
    device: torch.device
    store: dist.Store | None = None  # shared by all; None for a single process

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def shared(self, value: T) -> T:
        """The first process's ``value``, in every process."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, device=self.device)
        return box[0]

    def gathered(self, value: T) -> list[T]:
        """Every process's ``value``, by rank, in every process."""
        if self.world == 1:
            return [value]
        values = [value] * self.world
        dist.all_gather_object(values, value)
        return values

    def like_the_first(self, tensors: Iterable[Tensor]) -> None:
        """Gives tensors of this process, in place, the values that they have in the first."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)


@contextmanager
def processes(threads: int, timeout: float = 600.0) -> Iterator[Processes]:
    """Joins the group torchrun describes in the environment (alone without one) and leaves it at the end.

    One GPU per process where there are GPUs (NCCL), else the CPU (gloo) with ``threads`` threads a process. A process
    that waits longer than ``timeout`` seconds for the others fails. When one of several fails, all end at once: the
    first to fail prints the cause, the others nothing.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    require_usable()
    allow_tf32(False)  # unless the training says otherwise
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
        torch.set_num_threads(threads)
    if world == 1:
        yield Processes(rank, world, device)
        return
    limit = timedelta(seconds=timeout)
    try:
        store = _store(rank, world, limit)
    except RuntimeError as error:
        print(
            f"error: process {rank} of {world} did not meet the others ({str(error).splitlines()[0]})", file=sys.stderr
        )
        os._exit(1)
    done = threading.Event()
    threading.Thread(target=_end_with_the_others, args=(store, done), daemon=True).start()
    try:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=limit)
        yield Processes(rank, world, device, store)
    except BaseException as error:
        done.set()
        _fail(error, rank, world, store)
    done.set()
    dist.destroy_process_group()


def _store(rank: int, world: int, limit: timedelta) -> dist.Store:
    """The store of torchrun's agents, under a name that this attempt alone has: they keep it over restarts.

    Agents of several nodes count restarts differently, and what an earlier attempt wrote cannot be told from what a
    process of this one just has. So the first process chooses the name, and answers the others' greetings, each of
    which has been said once only, until all have heard it.
    """
    store, _, _ = next(rendezvous("env://", timeout=limit))
    mine = uuid.uuid4().hex
    if rank:
        store.set(f"msclnet/greeting/{rank}", mine)
        name = store.get(f"msclnet/answer/{mine}").decode()  # waits for it
        store.set(f"msclnet/heard/{name}/{rank}", "")
        return dist.PrefixStore(name, store)
    end = time.monotonic() + limit.total_seconds()
    missing = list(range(1, world))
    while missing := [other for other in missing if not store.check([f"msclnet/heard/{mine}/{other}"])]:
        if time.monotonic() > end:
            raise RuntimeError(f"timed out: no word from the processes {', '.join(map(str, missing))}")
        for other in missing:
            if store.check([f"msclnet/greeting/{other}"]):
                store.set(f"msclnet/answer/{store.get(f'msclnet/greeting/{other}').decode()}", mine)
        time.sleep(GREETING)
    return dist.PrefixStore(mine, store)


def _end_with_the_others(store: dist.Store, done: threading.Event) -> None:
    """Ends this process when another has failed: NCCL would wait for the dead one until its time-out."""
    while not done.wait(POLL):
        try:
            if store.check([CAUSE]):
                os._exit(1)
        except RuntimeError:  # torchrun, which keeps the store, is gone; StopRequests sees to that
            return


def _fail(error: BaseException, rank: int, world: int, store: dist.Store) -> NoReturn:
    """Prints the error unless another process's came first, and ends this process without waiting for any other."""
    try:
        first = store.compare_set(CAUSE, "", str(rank)) == str(rank).encode()
    except RuntimeError:
        first = True
    if first:
        who = f"process {rank} of {world}"
        if isinstance(error, UserError):
            print(f"error: {error} ({who})", file=sys.stderr)
        elif isinstance(error, RuntimeError) and LOST.search(str(error)):
            reason = str(error).splitlines()[0]
            print(
                f"error: {who} lost another one ({reason}); torchrun names it and its signal below. SIGKILL out of "
                "nowhere is most often the kernel's, for want of memory",
                file=sys.stderr,
            )
        else:
            print(f"error in {who}:", file=sys.stderr)
            traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(1)
