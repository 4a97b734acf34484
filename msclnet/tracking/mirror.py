"""Sends one training to the server, running or ended.

python -m msclnet.tracking.mirror results/regdb/msclnet/split3 --uri sqlite:///mlflow.db
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msclnet.core.address import VARIABLE, from_environment
from msclnet.core.errors import UserError
from msclnet.core.files import exclusive_lock
from msclnet.results.layout import CONFIG, DEFAULT, home_of
from msclnet.results.training import Training, read_training
from msclnet.tracking.experiment import TrackedSet, experiment_of
from msclnet.tracking.naming import CURVES, MEASURED, Curves, Measurement, curves, facts, parameters
from msclnet.tracking.server import (
    connect,
    database_of,
    log_parameters_and_tags,
    log_points,
    readable_errors,
    resolve,
    runs_with,
    when_free,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def mirror(folder: Path, uri: str, experiment: str = DEFAULT) -> dict[str, Any]:
    """Sends what the server lacks of the training in ``folder``, running or ended; returns its row of ``publish``.

    A run is known by its experiment, method, split, the digest of its configuration and, on a server, the clone that
    it comes from. One whose points contradict the record (it was trained again, with other code) and those of other
    configurations are tagged ``superseded``, and a new one is made; so for the run of the method, whose parameters are
    those of its trainings. No other clone's runs are touched. Raises DataError for a damaged record and TrackingError.
    """
    training = read_training(folder)
    address = resolve(uri)

    def send() -> dict[str, Any]:
        with readable_errors(address):
            client = connect(address)
            home = experiment_of(client, address, TrackedSet.of(training.job, experiment))
            return mirror_to(client, address, home, training)

    return when_free(send)


def mirror_to(
    client: MlflowClient, address: str, home: str, training: Training, parent: str | None = None
) -> dict[str, Any]:
    """Sends what MLflow's experiment ``home`` lacks of a training; returns the row of its run.

    ``parent`` is the run of its method, by default found or made.

    The locks keep a live mirror of a training, that of its next start, and those of its siblings from making the same
    run twice. A training's folder may be the one it was trained in or an experiment's, whose files are links to that
    one's: both hold the same config.yaml.
    """
    job, folder = training.job, training.folder
    parent = parent or method_run(client, address, home, training)[0].info.run_id
    clone = _clone(address, folder)
    with exclusive_lock(folder), exclusive_lock(home_of(folder) / CONFIG):
        points = curves(training)
        run, held = _training_run(client, home, training, points, clone)
        run_id = run.info.run_id
        tags = {"mlflow.parentRunId": parent, **facts(training)}
        log_parameters_and_tags(client, run, parameters(job), tags)
        log_points(client, run_id, missing(points, held))
        if training.ended and run.info.status != "FINISHED":
            client.set_terminated(run_id, "FINISHED", training.ended)
    row = {"name": training.name, "method": job.method_name, "split": job.split, "run_id": run_id}
    return row | {"points": sum(map(len, points.values()))}


def missing(points: Curves, held: Curves) -> list[tuple[str, int, Measurement]]:
    """The points that the server does not hold."""
    return [
        (name, step, point)
        for name, steps in points.items()
        for step, point in steps.items()
        if step not in held.get(name, {})
    ]


def method_run(
    client: MlflowClient, address: str, home: str, training: Training, points: Curves | None = None
) -> tuple[Run, Curves]:
    """The outer run of the training's method and configuration, made when there is none. Others are superseded.

    ``points`` are the method's curves, once all its trainings are known: a run that holds others is no longer its run.
    Returned are the run and the curves that it holds, none where ``points`` is None.
    """
    folder, database = training.folder, database_of(address)
    identity = {"role": "method", "method": training.job.method_name} | _clone(address, folder)
    with exclusive_lock(database.parent if database else folder.parent):
        runs = runs_with(client, home, **identity)
        mine = [run for run in runs if run.data.tags.get("config") == training.method_digest]
        mine.sort(key=lambda run: "superseded" in run.data.tags)
        current, held = None, Curves()
        for run in mine:
            held = _held(client, run) if points is not None else Curves()
            if points is None or _agree(held, points, whole=True):
                current = run
                break
        for run in runs:
            if current is None or run.info.run_id != current.info.run_id:
                _supersede(client, run)
        if current:
            _reinstate(client, current)
            return current, held
        tags = identity | {"config": training.method_digest, "data": training.job.data}
        return client.create_run(home, training.began, tags, training.job.method_name), Curves()


def _clone(address: str, folder: Path) -> dict[str, str]:
    """The tag that tells a server's clones apart; a database of one's own needs none."""
    return {} if database_of(address) else {"clone": clone_of(folder)}


def clone_of(folder: Path) -> str:
    """A name of the clone that a training's folder lies in: of where it was trained, and by which checkout.

    Two clones that send to one server differ in it. It is the same on every node of a cluster, which see both under the
    same paths, and outlives the deletion of results.
    """
    trained = (home_of(folder) / CONFIG).resolve().parent  # an experiment's is a link to it
    place = f"{trained.parent} {Path(__file__).parents[2].stat().st_ino}"
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:12]


def _training_run(
    client: MlflowClient, experiment: str, training: Training, points: Curves, clone: dict[str, str]
) -> tuple[Run, Curves]:
    """The run that mirrors the training, with the points it holds; new when none does. All others are superseded."""
    identity = {"role": "training", "method": training.job.method_name, "split": str(training.job.split)} | clone
    current, held = None, Curves()
    for run in runs_with(client, experiment, **identity):
        if not current and run.data.tags.get("config") == training.digest:
            held = _held(client, run)
            if _agree(held, points, whole=training.ended is not None):
                current = run
                continue
        _supersede(client, run)
    if not current:
        tags = identity | {"config": training.digest}
        return client.create_run(experiment, training.began, tags, training.name), Curves()
    _reinstate(client, current)
    return current, held


def _supersede(client: MlflowClient, run: Run) -> None:
    if "superseded" not in run.data.tags:
        client.set_tag(run.info.run_id, "superseded", "true")


def _reinstate(client: MlflowClient, run: Run) -> None:
    """The former configuration is back."""
    if "superseded" in run.data.tags:
        client.delete_tag(run.info.run_id, "superseded")


def _agree(held: Curves, points: Curves, whole: bool) -> bool:
    """Whether no step held has another value in the record; ``whole``: nor is one unknown to it.

    The record of a resumed training lacks, for a while, the steps after its checkpoint that the server holds.
    """
    for name in held:
        if name.startswith(MEASURED):
            continue
        for step, point in held[name].items():
            recorded = points.get(name, {}).get(step)
            if recorded.value != point.value if recorded else whole:
                return False
    return True


def _held(client: MlflowClient, run: Run) -> Curves:
    """What the server has of a training's curves."""
    return {
        name: {
            metric.step: Measurement(metric.value, metric.timestamp)
            for metric in client.get_metric_history(run.info.run_id, name)
        }
        for name in run.data.metrics
        if name.split("/")[0] in CURVES.values()
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m msclnet.tracking.mirror", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the training's, e.g. results/<set>/<method>/split3")
    parser.add_argument("--uri", default=from_environment(), help=f"tracking URI (default: ${VARIABLE}, or mlflow.db)")
    parser.add_argument("--experiment", default=DEFAULT, help=f"whose runs they are (default: {DEFAULT})")
    args = parser.parse_args()
    mirror(args.folder, args.uri, args.experiment)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
