"""What is sent of a data set, read and checked: the trainings of some methods, their scores, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msclnet.core.errors import DataError
from msclnet.results.layout import SCORES
from msclnet.results.scores import read_scores
from msclnet.results.training import Training, read_training
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.naming import metrics


@dataclass(frozen=True)
class Delivery:
    """Files that belong together, as they are named on a command line."""

    tracked: TrackedSet
    methods: Sequence[str]  # in the order in which they are sent
    folders: Sequence[Path]  # of the trainings, .../<method>/split<N>
    tables: Sequence[Path] = ()  # CSV
    figures: Sequence[Path] = ()  # SVG or PNG; what lies beside it belongs to it
    pack: Path | None = None  # the folder of packed images


@dataclass(frozen=True)
class Scored:
    """A training with its scores in percent, by the metric's name, a value a trial."""

    training: Training
    scores: dict[str, list[float]]


def read(delivery: Delivery) -> dict[str, list[Scored]]:
    """The trainings of each method, in order.

    Raises DataError for a file that is missing, damaged or of another data set, and for a method without a training, or
    with trainings of several configurations.
    """
    tracked = delivery.tracked
    if absent := [str(path) for path in (*delivery.tables, *delivery.figures) if not path.is_file()]:
        raise DataError(f"{', '.join(absent)}: no such file; expected a table or figure: build it first")
    found: dict[str, list[Scored]] = {method: [] for method in delivery.methods}
    for folder in delivery.folders:
        training = read_training(folder)
        job = training.job
        if (job.set, job.data) != (tracked.set, tracked.data) or job.method_name not in found:
            raise DataError(
                f"{folder}: a training of {job.method_name} on {job.set} ({job.data}); expected one of "
                f"{', '.join(found)} on {tracked.set} ({tracked.data})"
            )
        rows = read_scores(job.set, job.split, folder / SCORES)
        found[job.method_name].append(Scored(training, metrics(job.set, rows)))
    for method, trainings in found.items():
        if not trainings:
            raise DataError(f"{method}: none of its trainings is given; expected at least one folder")
        first, *others = (scored.training for scored in trainings)
        if other := next((other for other in others if other.method_digest != first.method_digest), None):
            raise DataError(
                f"{other.folder}: a training of {method} of another configuration than {first.folder}; expected one "
                "for all splits: train the older ones again"
            )
    return found
