"""The mirror of a running training on the tracking server."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


class LiveMirror:
    """Mirrors a running training to the tracking server, at most once in ``every`` seconds, by a process of its own.

    Whatever becomes of that process, the training goes on; the record is the file.
    """

    def __init__(self, uri: str, every: float) -> None:
        self.uri, self.every = uri, every
        self.last = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None

    def upload(self, folder: Path) -> None:
        busy = self.process is not None and self.process.poll() is None
        if not self.every or busy or time.monotonic() - self.last < self.every:
            return
        self.last = time.monotonic()
        command = [sys.executable, "-m", "msclnet.tracking.mirror", str(folder), "--uri", self.uri]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
