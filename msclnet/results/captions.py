"""What tables, figures and pages say of their numbers: of which images they are, and over what a mean is."""

from __future__ import annotations

from typing import NamedTuple

from msclnet.config import STAND_IN, Config, plain, splits
from msclnet.datasets.table import SETS
from msclnet.results.in_print import SELECTION

NO_RESULT = "Drawn stand-in: no result on the real set."


class Trial(NamedTuple):
    """What a mean is over, in words."""

    name: str
    remark: str  # after their number


TRIALS = {"split": Trial("split", ", a training each"), "draw": Trial("gallery draw", " of one training")}


def trial_of(name: str) -> Trial:
    """What a data set's means are over."""
    return TRIALS[SETS.get(name).trial]


def images(data: str) -> str:
    """A sentence on the images behind the numbers; ``data`` is the real set's name or ``stand-in``."""
    return NO_RESULT if data == STAND_IN else f"Images: {data}."


def over(number: int, what: str, measure: str = "mean and range") -> str:
    """``one split``, or ``mean and range over 10 splits``."""
    return f"one {what}" if number == 1 else f"{measure} over {number} {what}s"


def spread(name: str, number: int) -> str:
    """Over which trials the mean and the standard deviation of a summary of the data set ``name`` are."""
    trial = trial_of(name)
    words = over(number, trial.name, "mean and standard deviation")
    return f"of {words}" if number == 1 else words + trial.remark


def equal_words(name: str, table: str) -> str:
    """What ``(equal)`` in a table of the data set ``name`` says; nothing of a text without it."""
    if "(equal)" not in table:
        return ""
    trial = trial_of(name).name
    why = ", as draws do that take every image there is" if "draw" in trial else ""
    return f"(equal): every {trial} gave the same number, to two decimals{why}."


def paired_words(name: str, number: int) -> str:
    """What a table of differences between two methods holds, over ``number`` trials, and how far it can be trusted."""
    trial = trial_of(name)
    if number == 1:
        return f"The method less the other, points of percent, over one {trial.name}: a single pair has no interval."
    said = (
        f"The method less the other, points of percent, mean over {number} {trial.name}s, pair by pair, with its 95 % "
        "interval (Student's t). An interval that holds 0 shows no difference. "
    )
    if trial.name == "split":
        return said + "Splits of one set share images, so that the interval is rather too narrow."
    return said + "The draws are of one training a method: the interval says nothing of another training."


def words(config: Config, name: str) -> dict[str, str]:
    """What the report's captions say of the data set ``name`` in this configuration."""
    data_set, trial, trainings = SETS.get(name), trial_of(name), splits(config, name)
    draws = (plain(config)["evaluate"].get(name) or {}).get("draws", 1)
    by_split = data_set.trial == "split"
    return {
        "title": data_set.title,
        "place": f"{data_set.title}, split {trainings[0]}" if by_split else data_set.title,
        "trials": f"{_counted(len(trainings) if by_split else draws, trial.name)}{trial.remark}",
        "trainings": over(len(trainings), "training"),
        "comparisons": " and ".join(data_set.columns),
        "headline": headline_words(name),
        "protocol": " ".join(data_set.protocol.split()),
        "selection": SELECTION,
    }


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def headline_words(name: str) -> str:
    """The comparisons whose mean stands for a training: ``all search, single-shot``."""
    data_set = SETS.get(name)
    words = [data_set.words(setting) for setting in data_set.headline]
    return words[0] if len(words) == 1 else f"mean of {', '.join(words[:-1])} and {words[-1]}"
