"""Where the checks work, on what, and by which configurations: the same words for every check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msclnet.config import Config, TrainJob, load, replace, train_job
from msclnet.core.errors import ConfigError
from msclnet.launch.gpu_lease import lease

if TYPE_CHECKING:  # torch is imported by the processes of the checks alone
    from msclnet.training.process_group import Processes

REPOSITORY = Path(__file__).parents[2]
DEFAULT, PAPER = (str(REPOSITORY / f"config/{name}.yaml") for name in ("config", "paper"))
ALL, BATCH = 1, 2  # splits of the drawn pack: every image, and as few as one batch takes


@dataclass(frozen=True)
class Place:
    """What every check is told.

    Attributes:
        folder: for temporary files.
        results: the folder whose disk a run would fill.
        gpus: how many there are to use; 0: the CPU.
        processes: the most that share a step.
        cores: threads of the CPU.
        recipe: files laid over the default configuration, of the recipe that is timed beside it.
    """

    folder: Path
    results: Path
    gpus: int
    processes: int
    cores: int
    recipe: tuple[str, ...] = (PAPER,)

    @property
    def device(self) -> str:
        """``GPU`` or ``CPU``, as people read it."""
        return "GPU" if self.gpus else "CPU"

    @contextmanager
    def at_work(self, threads: int = 1) -> Iterator[Processes]:
        """This process on a leased GPU, or on the CPU with so many threads, as a training of one process is."""
        from msclnet.training.process_group import processes

        if self.gpus:
            lease(1)
        with processes(min(threads, self.cores)) as process:
            yield process

    def default(self) -> Config:
        """The default configuration.

        Raises:
            ConfigError: the package does not lie in a clone of its repository.
        """
        return _configuration()

    def timed(self) -> Config:
        """The configuration of the recipe."""
        return _configuration(*self.recipe)

    @property
    def name(self) -> str:
        """What the recipe is called: the name of its last file."""
        last = self.recipe[-1]
        return "given" if last.lstrip().startswith("{") else Path(last).stem

    def pack(self, config: Config) -> Path:
        """Where the drawn images lie in the size of a configuration."""
        return self.folder / f"pack-{config.data.height}x{config.data.width}"


def job_of(config: Config, method: str, split: int = ALL) -> TrainJob:
    """A training of a method on the drawn pack. Its backbone's weights are random: as fast, and no download."""
    job = train_job(config, config.run.sets[0], method, split)
    return replace(job, model=replace(job.model, weights="none"), processes=1)


def _configuration(*over: str) -> Config:
    if not Path(DEFAULT).is_file():
        raise ConfigError(
            f"{DEFAULT}: no such file; the checks train by the repository's configuration: install the package from a "
            "clone of it (pip install -e .)"
        )
    return load(DEFAULT, *over)
