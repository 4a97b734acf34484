"""The part of the configuration that each job reads: a change anywhere else does not run it again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from msclnet.config.schema import UNTRAINED, Config, Method, Model, Train
from msclnet.core.section import Section
from msclnet.datasets.dataset import STAND_IN
from msclnet.datasets.table import SETS
from msclnet.losses.readings import Readings


class TrainJob(Section):
    """The part of the configuration that one training reads: a change anywhere else does not retrain it."""

    seed: int = Field(ge=0)
    set: str = Field(min_length=1)
    split: int = Field(ge=1)
    method_name: str = Field(min_length=1)
    epochs: int = Field(ge=0)  # 0: the network before its first step
    processes: Annotated[int, Field(ge=1)] | Literal["auto"]
    data: str = Field(min_length=1)  # what the images are: the real set's name, or "stand-in"
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    model: Model
    objective: Readings
    method: Method
    train: Train


def data_label(config: Config, name: str) -> str:
    """What the tables say the images are: ``stand-in``, or the real set's name."""
    return STAND_IN if config.data.of(name).root == STAND_IN else SETS.get(name).title


def title(name: str, data: str) -> str:
    """A data set's name where people read it, with a word when its images are drawn; ``data`` as ``data_label``."""
    named = SETS.get(name).title
    return f"{named} ({STAND_IN})" if data == STAND_IN else named


def splits(config: Config, name: str) -> tuple[int, ...]:
    """The trainings of a method on a data set: the set's splits, or the one called 1."""
    return SETS.get(name).splits(config.data.of(name))


def train_job(config: Config, name: str, method: str, split: int) -> TrainJob:
    """The section of one training. ``untrained`` is the last method's network, trained for no epoch."""
    source = config.run.methods[-1] if method == UNTRAINED else method
    options = config.data.of(name)
    return TrainJob(
        seed=config.seed,
        set=name,
        split=split,
        method_name=method,
        epochs=0 if method == UNTRAINED else options.epochs,
        processes=1 if method == UNTRAINED else options.processes,
        data=data_label(config, name),
        height=config.data.height,
        width=config.data.width,
        model=config.model,
        objective=config.objective,
        method=config.methods[source],
        train=config.train,
    )
