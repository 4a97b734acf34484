"""How far a training is, for whoever watches it."""

from __future__ import annotations

import shutil
import sys
import time


class Progress:
    """How far a training is: a bar on a terminal; in a log a line every half minute."""

    LOG_SECONDS = 30

    def __init__(self, total: int) -> None:
        """``total``: the steps of the whole training."""
        self.total = total
        self.begin(0)

    def begin(self, step: int) -> None:
        """Steps before this one were not taken by this process."""
        self.first, self.began = step, time.monotonic()
        self.shown = self.began

    def show(self, step: int, epoch: int, images: int, terms: dict[str, float]) -> None:
        """After ``step`` steps; ``images`` in each. ``terms`` are the newest one's: the ``total`` and what it is of."""
        now = time.monotonic()
        each = (now - self.began) / max(1, step - self.first)
        parts = ", ".join(f"{name} {value:.3g}" for name, value in terms.items() if name != "total")
        line = (
            f"step {step}/{self.total}, epoch {epoch}, {images / max(each, 1e-9):.0f} images/s, "
            f"{_duration(each * (self.total - step))} left, loss {terms['total']:.3f} ({parts})"
        )
        if sys.stderr.isatty():
            filled = 30 * step // self.total
            bar = f"[{'#' * filled}{'.' * (30 - filled)}] {line}"[: shutil.get_terminal_size().columns - 1]
            print(f"\r{bar}\033[K", end="\n" if step == self.total else "", file=sys.stderr, flush=True)
        elif now - self.shown >= self.LOG_SECONDS or step == self.total:
            self.shown = now
            print(line, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line of its own; on a terminal it takes the bar's place, which comes again below it."""
        print(f"\r{line}\033[K" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds) // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if seconds >= 120 else f"{seconds:.0f} s"
