"""What a data set is to this project: one object says all that is peculiar to it.

A new set is one file like regdb.py: a subclass of ``DataSet`` and one object of it in the table (table.py), or, outside
the package, in a file that the configuration names under ``plugins`` and that calls ``table.SETS.register``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from msclnet.core.section import Section
from msclnet.core.types import Images
from msclnet.datasets.base import Survey
from msclnet.datasets.protocol import Comparison

STAND_IN = "stand-in"  # in place of a root: drawn people


class SetOptions(Section):
    """``data.<set>``: where the images lie, and how long a training on them is."""

    root: str = Field(min_length=1, description="the set's folder, or `stand-in` for drawn people")
    epochs: int = Field(ge=1, description="length of a training")
    processes: int | Literal["auto"] = Field(
        description="DDP processes of a training; `auto`: one per GPU of the training, else one per node"
    )


class StandInOptions(Section):
    """``stand_in.<set>``: how many people are drawn; ``like``, a folder with the real set's own lists, decides it all."""

    like: str = Field(
        description="a folder with the real set's own lists, drawn exactly as they say; or empty"
    )


class Printed(NamedTuple):
    """Numbers in print, in percent; None where the source has none."""

    rank1: float | None
    mAP: float | None
    mINP: float | None = None
    source: str = ""


class DataSet(ABC):
    """Everything the pipeline asks of a data set. The class attributes are facts, the methods do something."""

    name: ClassVar[str]  # in the configuration and in paths
    title: ClassVar[str]  # where people read it
    source: ClassVar[str]  # the paper it comes from
    protocol: ClassVar[str]  # who is compared with whom, in words, for model cards

    # Sections of the configuration.
    Options: ClassVar[type[SetOptions]] = SetOptions
    StandIn: ClassVar[type[StandInOptions]]
    Evaluation: ClassVar[type[Section] | None] = None  # evaluate.<set>; None: nothing to choose

    # Tables and figures.
    columns: ClassVar[tuple[str, ...]]  # the keys of a comparison that tables have a column for, in order
    order: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # of the rows, by column; others are ordered by value
    trial: ClassVar[Literal["split", "draw"]]  # what a mean is over: trainings on splits, or gallery draws
    headline: ClassVar[tuple[Mapping[str, Any], ...]]  # the comparisons whose mean stands for a training
    printed: ClassVar[Mapping[tuple[str, tuple[Any, ...]], Printed]] = {}  # by method and the values of ``columns``
    figures: ClassVar[tuple[str, ...]]  # those that make sense, in the report's order

    def splits(self, options: SetOptions) -> tuple[int, ...]:
        """The trainings of a method: a set's splits, or the one called 1."""
        return (1,)

    @abstractmethod
    def survey(self, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
        """What is found in the set's folder; ``real`` also holds the counts against the real set's.

        ``splits`` empty: all there are. Raises DataError where ``root`` has not the set's layout.
        """

    @abstractmethod
    def draw(self, root: Path, options: Any, seed: int, workers: int) -> None:
        """Writes a stand-in of drawn people in the set's exact layout; ``options`` is a ``StandIn``."""

    @abstractmethod
    def comparisons(self, images: Images, options: Any = None, root: Path | None = None) -> Iterator[Comparison]:
        """Who is compared with whom, in the order of the tables' rows.

        ``options`` is an ``Evaluation``; ``root`` the set's folder, where a protocol needs a file of it. Raises
        ConfigError for options that do not fit, DataError for images or files that do not.
        """

    def words(self, setting: Mapping[str, Any]) -> str:
        """A comparison as people read it, from the values of ``columns``."""
        return " ".join(str(setting[column]).replace("-", " ") for column in self.columns)

    def key(self, setting: Mapping[str, Any]) -> str:
        """A comparison as a part of a metric's name on the tracking server."""
        return "/".join(str(setting[column]) for column in self.columns)
