"""The part of the configuration that each job reads: a change anywhere else does not run it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msclnet.config.schema import STAND_IN, TITLE, UNTRAINED, Config, Method, Model, Objective, SetName, Train


@dataclass(frozen=True)
class TrainJob:
    """The part of the configuration that one training reads: a change anywhere else does not retrain it."""

    seed: int
    set: SetName
    split: int
    method_name: str
    epochs: int
    processes: int | Literal["auto"]
    data: str  # what the images are: the real set's name, or "stand-in"
    height: int
    width: int
    model: Model
    objective: Objective
    method: Method
    train: Train


def data_label(config: Config, name: SetName) -> str:
    """What the tables say the images are: ``stand-in``, or the real set's name."""
    return STAND_IN if getattr(config.data, name).root == STAND_IN else TITLE[name]


def title(name: SetName, data: str) -> str:
    """A data set's name where people read it, with a word when its images are drawn; ``data`` as ``data_label``."""
    return f"{TITLE[name]} ({STAND_IN})" if data == STAND_IN else TITLE[name]


def splits(config: Config, name: SetName) -> tuple[int, ...]:
    """The trainings of a data set: RegDB's splits; SYSU-MM01 and LLCM have the one, called 1."""
    return config.data.regdb.splits if name == "regdb" else (1,)


def train_job(config: Config, name: SetName, method: str, split: int) -> TrainJob:
    """The section of one training. ``untrained`` is the last method's network, trained for no epoch."""
    source = config.run.methods[-1] if method == UNTRAINED else method
    return TrainJob(
        seed=config.seed,
        set=name,
        split=split,
        method_name=method,
        epochs=0 if method == UNTRAINED else getattr(config.data, name).epochs,
        processes=1 if method == UNTRAINED else getattr(config.data, name).processes,
        data=data_label(config, name),
        height=config.data.height,
        width=config.data.width,
        model=config.model,
        objective=config.objective,
        method=config.methods[source],
        train=config.train,
    )
