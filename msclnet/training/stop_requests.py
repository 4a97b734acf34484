"""What ends a training between two steps: a signal, or the end of whoever started it."""

from __future__ import annotations

import os
import signal
import threading

from msclnet.training.process_group import Processes

STOP = "stop"  # a key of the store all processes share


class StopRequests:
    """Whether a training shall end at its next step: by SIGTERM or SIGINT, or because whoever started it is gone.

    A scheduler's signal reaches the processes at different steps, and one that left early would take the others down
    before the checkpoint is written. So the first process alone decides, at the end of a step of its own; the others
    tell it, and go on until it ends.
    """

    def __init__(self, process: Processes, launcher: int = 0) -> None:
        """``launcher``: the id of a process on this machine without which nobody waits for the training; 0: none."""
        self.process, self.launcher = process, launcher
        self.torchrun = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else 0
        self.received = ""
        self.told = False

    def __enter__(self) -> StopRequests:
        self.former = {}
        if threading.current_thread() is threading.main_thread():
            self.former = {s: signal.signal(s, self._receive) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        self.received = signal.Signals(number).name

    @property
    def orphaned(self) -> bool:
        """Whether torchrun, or the launcher, is gone."""
        unwanted = self.launcher and not _alive(self.launcher)
        return bool(unwanted or (self.torchrun and os.getppid() != self.torchrun))

    def reason(self) -> str:
        """Why to stop now; empty: go on. Always empty in all processes but the first."""
        mine = self.received or ("the end of the process that started it" if self.orphaned else "")
        store = self.process.store
        try:
            if self.process.first:
                return mine or (store.get(STOP).decode() if store and store.check([STOP]) else "")
            if mine and store and not self.told:
                self.told = True
                store.set(STOP, mine)
        except RuntimeError:  # torchrun, which keeps the store, is gone: as seen above
            pass
        return ""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
