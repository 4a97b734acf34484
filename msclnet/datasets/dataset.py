"""What a data set is to this project: one object says all that is peculiar to it.

A new set is one file like regdb.py: a subclass of ``DataSet`` and one object of it in the table (table.py), or, outside
the package, in a file that the configuration names under ``plugins`` and that calls ``table.SETS.register``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from msclnet.core.errors import ConfigError
from msclnet.core.section import Home, Section, Words
from msclnet.core.types import Images, Modality
from msclnet.datasets.base import Survey
from msclnet.datasets.protocol import DIRECTIONS, Comparison, Permutations

STAND_IN = "stand-in"  # in place of a root: drawn people
LEAST_HELD = 2  # identities of a validation: of one, every image that is found is right
FIGURES = ("cmc", "losses", "embedding", "distances", "cameras", "ranked", "activation")
MSCLNET = "Zhang et al., ECCV 2022, Tables 2 and 3"
BASELINE = "Zhang et al., ECCV 2022, Table 1"
AGW = "Ye et al., TPAMI 2021"
CAJ = "Ye et al., ICCV 2021"
VISIBLE_TO_INFRARED, INFRARED_TO_VISIBLE = DIRECTIONS


class SetOptions(Section):
    """``data.<set>``: where the images lie, and how long a training on them is."""

    root: Home = Field(min_length=1, description="the set's folder, or `stand-in` for drawn people")
    epochs: int = Field(
        ge=1,
        description="length of a training. An epoch has as many batches as the larger modality fills (at least one)",
    )
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        description="DDP processes of a training; `auto` is one per GPU of it (`run.gpus_per_training`), or one per "
        "node without. A number is also the number of its GPUs; on a machine with fewer it runs on the CPU, with a "
        "warning. They share the batch: `train.identities` x `train.images` must be a multiple"
    )


class StandInOptions(Section):
    """``stand_in.<set>``: how many people are drawn.

    ``like``, a folder with the real set's own lists, decides it all.
    """

    like: Annotated[Home, Words("a path, or empty")] = Field(
        description="a folder with the real set's own lists (`idx/`, or `exp/`). People are then drawn exactly as "
        "they say, and the counts held against the real set's; the other keys of the section are not read. Empty: "
        "they are"
    )

    @property
    def training_identities(self) -> int | None:
        """How many people the smallest training half has; None where that is not known before they are drawn."""
        return None

    @property
    def validation_identities(self) -> int | None:
        """How many of them the set's own ``validation_list`` names; None for a set without one."""
        return None


@dataclass(frozen=True, kw_only=True)
class Printed:
    """Numbers in print, in percent; None where the source has none.

    ``flip``: of features averaged over each image and its mirror image.
    """

    rank1: float | None = None
    rank10: float | None = None
    rank20: float | None = None
    mAP: float | None = None
    mINP: float | None = None
    source: str
    flip: bool = False


PrintedTable = Mapping[tuple[str, tuple[Any, ...]], Printed]  # by method and the values of a set's ``columns``


def printed_table(
    source: str,
    metrics: Sequence[str],
    settings: Sequence[tuple[Any, ...]],
    rows: Mapping[str, Sequence[float]],
) -> dict[tuple[str, tuple[Any, ...]], Printed]:
    """A table as it is printed: each row a method, its ``metrics`` at the first of ``settings``, then at the next."""
    width = len(metrics)
    return {
        (method, setting): Printed(
            source=source, flip=False, **dict(zip(metrics, row[width * place : width * (place + 1)], strict=True))
        )
        for method, row in rows.items()
        for place, setting in enumerate(settings)
    }


def held(identities: int, fraction: float) -> int:
    """How many of the training identities are drawn for validation: their ``fraction``, rounded."""
    return round(identities * fraction)


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

    every_split: ClassVar[tuple[int, ...]] = (1,)  # that the set has; ``Options`` may choose among them

    # Validation: on training identities that are held out.
    validation_list: ClassVar[str] = ""  # the set's own file that names them; empty: a fraction is drawn
    training_identities: ClassVar[int | None] = None  # of the real set, from which it is drawn; None: not known
    training_images: ClassVar[tuple[int, int] | None] = None  # of the real set's, visible and infrared; None: not known

    # Tables and figures.
    columns: ClassVar[tuple[str, ...]]  # the keys of a comparison that tables have a column for, in order
    order: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # of the rows, by column; others are ordered by value
    trial: ClassVar[Literal["split", "draw"]]  # what a mean is over: trainings on splits, or gallery draws
    headline: ClassVar[tuple[Mapping[str, Any], ...]]  # the comparisons whose mean stands for a training
    # The rows of ``agw`` (AGW*: with random erasing), ``agw_ca`` (CAJ) and ``msclnet`` stand beside ours, the others by
    # themselves.
    printed: ClassVar[PrintedTable] = {}
    figures: ClassVar[tuple[str, ...]] = FIGURES  # those that make sense, in the report's order
    reads: ClassVar[tuple[str, ...]] = ()  # files that a protocol needs beside the images, from the root
    listed: ClassVar[Mapping[str, Any]] = {}  # of ``Evaluation``: the comparisons whose ranked lists are shown
    cameras: ClassVar[Mapping[Modality, tuple[int, ...]]] = {}  # those there are, where the protocol reads them

    def real_numbers(self, setting: Mapping[str, Any]) -> Mapping[str, int]:
        """How many ``queries`` and ``gallery`` images a comparison has on the real set, as far as it is fixed."""
        return {}

    def splits(self, options: SetOptions) -> tuple[int, ...]:
        """The trainings of a method: a set's splits, or the one called 1."""
        return (1,)

    def require_splits(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """The splits that a command line names; raises ConfigError for one that the set has not."""
        if unknown := sorted(set(numbers).difference(self.every_split)):
            raise ConfigError(
                f"split: found {', '.join(map(str, unknown))}, expected {', '.join(map(str, self.every_split))}: "
                f"{self.title} has no other"
            )
        return tuple(numbers)

    def disagreements(self, data: Any, evaluation: Any) -> Iterator[str]:
        """What in the section ``data`` and in ``Evaluation`` does not go together: lines that each begin with a key."""
        yield from ()

    def held_out(
        self, identities: np.ndarray, listed: np.ndarray, fraction: float, seed: tuple[int, ...]
    ) -> np.ndarray:
        """The training identities to validate on: those of the set's own list, or as many drawn as ``held`` says.

        Args:
            identities: all that the set would train on, sorted, int64 ``[P]``.
            listed: those of ``validation_list``, sorted; empty for a set without one.
            fraction: of the identities to draw, between 0 and 1.
            seed: of the draw: the training's seed and split, so that all methods of a split hold out the same.

        Returns:
            Sorted, int64.
        """
        if self.validation_list:
            return listed
        chosen = np.random.default_rng(seed).choice(identities, held(len(identities), fraction), replace=False)
        return np.sort(chosen)

    @abstractmethod
    def survey(self, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
        """What is found in the set's folder; ``real`` also holds the counts against the real set's.

        ``splits`` empty: all there are. What a protocol of the set reads beside the images is held against them, too.
        Raises DataError where ``root`` has not the set's layout.
        """

    @abstractmethod
    def draw(self, root: Path, options: Any, seed: int, workers: int) -> None:
        """Writes a stand-in of drawn people in the set's exact layout; ``options`` is a ``StandIn``."""

    @abstractmethod
    def comparisons(
        self, images: Images, options: Any = None, source: Path | Permutations | None = None
    ) -> Iterator[Comparison]:
        """Who is compared with whom, in the order of the tables' rows.

        ``options`` is an ``Evaluation``, or None for its defaults. ``source`` is where a protocol finds ``reads``: the
        set's folder, the file, or what it holds. Raises ConfigError where that is needed and absent, DataError where it
        does not fit the images.
        """

    def words(self, setting: Mapping[str, Any]) -> str:
        """A comparison as a figure's panel is headed, from the values of ``columns``: ``visible to infrared``."""
        return " ".join(str(setting[column]).replace("-", " ") for column in self.columns)

    def key(self, setting: Mapping[str, Any]) -> str:
        """A comparison as a part of a metric's name on the tracking server: ``visible-to-infrared``."""
        return "/".join(str(setting[column]) for column in self.columns)

    def heading(self, setting: Mapping[str, Any]) -> str:
        """A single comparison as its ranked lists are headed: ``visible-to-infrared, gallery draw 0``."""
        words = [str(setting[column]) for column in self.columns]
        return ", ".join([*words, *([f"gallery draw {setting['draw']}"] if "draw" in setting else [])])
