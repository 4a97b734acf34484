"""Work divided among processes: it ends when one of them dies, and the error says how it died, and at what."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from multiprocessing.sharedctypes import RawArray
from typing import Any, Literal, TypeVar

from msclnet.core.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 3  # chunks handed out for each process: none waits for the next
DONE = -1


class WorkerDied(UserError):
    """A process of a pool has died; the message says of what, and at what it was at work."""


def divided(
    function: Callable[[Iterator[Item]], Result],
    items: Sequence[Item],
    workers: int,
    *,
    chunk: int,
    name: Callable[[Item], str],
    start: Literal["forkserver", "spawn"] = "forkserver",
    preload: Sequence[str] = (),
    prepare: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Calls a function with each chunk of some items, in processes of their own where there is more than one.

    The processes end with the one that called this, however that one ends.

    Args:
        function: takes the items of a chunk one by one; a module must hold it by name.
        items: all there is to do.
        workers: the most processes; 1 or fewer: it is done here.
        chunk: items handed to a process at once, 1 or more.
        name: what an item is called in the message about a process that died at it.
        start: how processes are started.
        preload: modules that processes of ``forkserver`` share the memory of.
        prepare: called first in every process.

    Yields:
        What the function returns for each chunk, in no order.

    Raises:
        WorkerDied: a process was killed, or has ended itself.
        Exception: the first that the function raises; what is not begun by then is not done.
    """
    chunks = range(0, len(items), chunk)
    workers = min(workers, len(chunks))
    if workers <= 1:
        for number in chunks:
            yield function(iter(items[number : number + chunk]))
        return
    context = multiprocessing.get_context(start)
    if preload:
        context.set_forkserver_preload(list(preload))
    at = RawArray("q", len(items))  # of each item: 0, then who is at work at it, then DONE
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, _begin, (at, prepare)) as pool:
        rest = iter(chunks)
        running: set[Future[Result]] = set()
        own: set[Any] = set()  # the processes: the pool forgets them when it breaks
        try:
            while True:
                while len(running) < workers * AHEAD and (first := next(rest, None)) is not None:
                    running.add(pool.submit(_chunk, function, first, items[first : first + chunk]))
                own |= set(multiprocessing.active_children()) - before
                if not running:
                    return
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        except BrokenProcessPool:
            pool.shutdown()  # every process has ended then
            raise WorkerDied(_fate(own, at, [name(item) for item in items])) from None
        finally:
            for future in running:
                future.cancel()


_at: Any = None  # in a process of a pool: what each item is at


def _begin(at: Any, prepare: Callable[[], None] | None) -> None:
    global _at
    _at = at
    parent = multiprocessing.parent_process()
    assert parent
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    if prepare:
        prepare()


def _end_with(parent: int) -> None:
    """A process whose caller was killed would wait for its next chunk for ever."""
    wait_for([parent])
    os._exit(1)


def _chunk(function: Callable[[Iterator[Item]], Result], begin: int, items: Sequence[Item]) -> Result:
    return function(_noted(begin, items))


def _noted(begin: int, items: Sequence[Item]) -> Iterator[Item]:
    for number, item in enumerate(items, begin):
        _at[number] = os.getpid()
        yield item
        _at[number] = DONE


def _fate(processes: set[Any], at: Any, names: Sequence[str]) -> str:
    """How the process died that broke the pool; the pool itself ends the others by SIGTERM."""
    ended = {process.pid: process.exitcode for process in processes if process.exitcode}
    dead = {pid: code for pid, code in ended.items() if code != -signal.SIGTERM} or ended
    code = next(iter(dead.values()), None)
    how = "has ended" if code is None else f"was ended by {_signal(-code)}" if code < 0 else f"ended itself ({code})"
    busy = [names[number] for number, who in enumerate(at) if (who in dead if dead else who not in (0, DONE))]
    where = f" at {' and '.join(busy)}" if busy else " before it began"
    remedy = (
        "most likely for want of memory: use fewer workers (--workers, or --cores of snakemake), or free memory"
        if code == -signal.SIGKILL
        else "see that the file is in order; with one worker (--workers 1) the error may say more"
    )
    return f"a worker{where} {how}: nothing was finished; {remedy}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
