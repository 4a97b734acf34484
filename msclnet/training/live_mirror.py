"""The mirror of a running training on the tracking server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from msclnet.core.address import VARIABLE


class LiveMirror:
    """Mirrors a running training to the tracking server, at most once in ``every`` seconds, by a process of its own.

    Whatever becomes of that process, the training goes on; the record is the file.
    """

    def __init__(self, folder: Path, uri: str, every: float, experiment: str) -> None:
        """Of the training in ``folder``, to the server at ``uri``, under the name of its ``experiment``."""
        self.command = [sys.executable, "-m", "msclnet.tracking.mirror", "--experiment", experiment, "--", str(folder)]
        self.environment = os.environ | {VARIABLE: uri}
        self.every, self.last = every, time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None

    def upload(self) -> None:
        """Starts an upload, where one is due and the one before has ended."""
        busy = self.process is not None and self.process.poll() is None
        if busy or time.monotonic() - self.last < self.every:
            return
        self.last = time.monotonic()
        try:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            print(f"warning: no live curves for now: {error}", file=sys.stderr, flush=True)
