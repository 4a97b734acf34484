"""What each training and each embedding asks of the machine, or of the cluster: processes, GPUs, nodes, cores.

Snakemake counts what is asked; gpu_lease.py chooses the GPUs, and locks them against whoever else uses this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from msclnet.core.errors import ConfigError
from msclnet.launch.gpu_list import VISIBLE

Processes = int | Literal["auto"]


@dataclass(frozen=True)
class Plan:
    """The answers to a rule's questions.

    On a cluster a scheduler counts the GPUs of nodes that the planning machine cannot see: there ``gpus`` is 0, and a
    training has those it asks for.
    """

    gpus_wanted: Processes  # for a training: run.gpus_per_training
    nodes: int  # of a training of several processes
    threads: int  # of a process: train.threads
    gpus: int  # of this machine, that may be used
    cores: int | None  # this run's; None: all
    cluster: bool = False
    obstacle: str = ""  # why no GPU of this machine can be used, where it seems to have some
    share: int = 1  # jobs of one GPU that may be on it at once: run.trainings_per_gpu

    @property
    def gpus_each(self) -> int:
        """GPUs of a training, on all its nodes together."""
        return min(1, self.gpus) if self.gpus_wanted == "auto" else self.gpus_wanted

    def processes(self, wanted: Processes) -> int:
        """DDP processes of a training: as configured, or one per GPU of it, or one per node.

        Args:
            wanted: ``processes`` of the data set.

        Returns:
            Their number on all nodes together, 1 or more.

        Raises:
            ConfigError: more GPUs are wanted than this machine has.
        """
        if wanted != "auto":
            return wanted
        if not self.cluster and self.gpus_each > self.gpus:
            visible = os.environ.get(VISIBLE, "not set")
            raise ConfigError(
                f"run.gpus_per_training: {self.gpus_each}, and this machine has {self.gpus} GPUs to use "
                f"({VISIBLE}={visible}){f': {self.obstacle}' if self.obstacle else ''}; lower it, or make "
                "more visible"
            )
        return max(self.nodes, self.gpus_each)

    def device(self, wanted: Processes) -> Literal["gpu", "cpu"]:
        """What a training's processes run on: each on a GPU of its own, or all on the CPU.

        Args:
            wanted: ``processes`` of the data set.

        Returns:
            ``gpu`` or ``cpu``.

        Raises:
            ConfigError: as in ``processes``.
        """
        return "gpu" if self.gpus_each and (self.cluster or self.processes(wanted) <= self.gpus) else "cpu"

    def nodes_of(self, wanted: Processes) -> int:
        """Nodes of a training: those of each, but one for a single process, as the untrained network's.

        Args:
            wanted: ``processes`` of the data set.

        Returns:
            Their number, 1 or more.

        Raises:
            ConfigError: as in ``processes``.
        """
        return min(self.nodes, self.processes(wanted))

    def local_gpus(self, wanted: Processes) -> int:
        """GPUs of a training on each of its nodes.

        Args:
            wanted: ``processes`` of the data set.

        Returns:
            Their number; 0 on the CPU.

        Raises:
            ConfigError: as in ``processes``.
        """
        return self.processes(wanted) // self.nodes_of(wanted) if self.device(wanted) == "gpu" else 0

    def cores_of(self, wanted: Processes) -> int:
        """Cores of a training on each of its nodes: its processes' threads.

        Args:
            wanted: ``processes`` of the data set.

        Returns:
            Their number, 1 or more.

        Raises:
            ConfigError: as in ``processes``.
        """
        local = self.processes(wanted) // self.nodes_of(wanted)
        return self._part(local * self.threads, self._places(local) if self.device(wanted) == "gpu" else self.places)

    @property
    def embedding_gpus(self) -> int:
        """GPUs of a job that embeds, or scores on a GPU."""
        return min(1, self.gpus_each)

    @property
    def embedding_device(self) -> Literal["gpu", "cpu"]:
        return "gpu" if self.embedding_gpus else "cpu"

    @property
    def embedding_cores(self) -> int:
        return self._part(self.threads, self.embedding_gpus or self.places)

    @property
    def places(self) -> int:
        """The resource ``gpu``, of which this machine has so much: a place for each job that may be on a GPU."""
        return self.gpus * self.share

    def counted(self, gpus: int) -> int:
        """How much of the resource ``gpu`` a job takes, which Snakemake counts on this machine.

        Args:
            gpus: those of the job. Of one GPU it takes a place, of several all places.

        Returns:
            The places, or 0 on a cluster.
        """
        return 0 if self.cluster else self._places(gpus)

    def _places(self, gpus: int) -> int:
        return gpus * self.share if gpus > 1 else gpus

    def requested(self, gpus: int) -> str | None:
        """The resource ``gres``, which asks Slurm for GPUs on each node.

        Args:
            gpus: those of the job on each node.

        Returns:
            ``gpu:N``; None on this machine, and for no GPUs.
        """
        return f"gpu:{gpus}" if self.cluster and gpus else None

    def _part(self, wanted: int, places: int) -> int:
        """Cores of a job with so many places on GPUs: at most the same part of them, so that no place is left idle."""
        cores = self.cores or os.cpu_count() or 1
        return max(1, min(wanted, cores * places // self.places)) if self.places else wanted

    def warnings(self, wanted: Mapping[str, Processes]) -> Iterator[str]:
        """What a user may not have meant.

        Args:
            wanted: the ``processes`` of each data set that is run, by its name.

        Yields:
            A warning each.
        """
        if self.cluster and self.gpus_wanted == "auto":
            yield (
                "run.gpus_per_training: auto is no GPU on a cluster, whose nodes this machine cannot see: trainings "
                "run on the CPU. State the number of GPUs a training gets; 0 is the CPU."
            )
        if self.cluster and self.share > 1:
            yield (
                f"run.trainings_per_gpu: {self.share}, and on a cluster its scheduler gives each training GPUs of its "
                "own. Set it to 1."
            )
        if self.obstacle and self.gpus_wanted and not self.cluster:
            yield (
                f"run.gpus_per_training: no GPU of this machine can be used, and trainings run on the CPU: "
                f"{self.obstacle}. Mend that, or set it to 0, which means the CPU."
            )
        for name, processes in wanted.items():
            together = self.threads * (1 if processes == "auto" else processes)
            if not (self.cluster or self.gpus) and self.cores and together > self.cores:
                yield (
                    f"data.{name}.processes x train.threads: {together} threads, and this run has {self.cores} cores "
                    "for them to take turns on. Lower either, or raise --cores."
                )
            if self.gpus and self.gpus_each and processes != "auto" and processes > self.gpus:
                yield (
                    f"data.{name}.processes: {processes} processes and {self.gpus} GPUs on this machine: they run on "
                    f"the CPU. Set it to auto, or to {self.gpus} or less, for GPUs."
                )
