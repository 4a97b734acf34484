"""The tracking server, or the database in its place: reached, made ready, written to; its errors in one line."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msclnet.config import TrainJob, title
from msclnet.core.errors import UserError
from msclnet.core.files import exclusive_lock
from msclnet.tracking.training import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

COLUMNS = ("metrics.`rank1`", "metrics.`rank1_std`", "metrics.`mAP`", "metrics.`mAP_std`")
VIEW = "table"  # a view of an experiment's runs, kept with it as if someone had shared it in MLflow's pages
EXPERIMENT = {  # tags: MLflow opens its pages for trained models, not those for language models
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "rank1",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    f"mlflow.sharedViewState.{VIEW}": json.dumps(
        {"selectedColumns": COLUMNS, "orderByKey": COLUMNS[0], "orderByAsc": False}
    ),
}
PER_BATCH = 1000  # metrics in one request: MLflow's limit
ENVIRONMENT = {  # read by MLflow when it is imported; the user's own values are left alone
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's 7 retries hold a call to a dead server for four minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
}


class TrackingError(UserError):
    """The tracking server could not be reached or written; the message says what to mend. Nothing computed is lost."""


def prepare(uri: str) -> str:
    """Makes the tracking database ready for trainings that write side by side; returns the resolved address.

    An SQLite file is created or upgraded, which is not safe from several processes, and switched to write-ahead
    logging, so that readers do not hold up writers; a server is asked for an answer. ``uri`` as in
    ``config.Tracking``. Raises TrackingError.
    """
    address = resolve(uri)
    with readable_errors(address):
        if database := _database(address):
            database.parent.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(database.parent):
                import_mlflow()
                from mlflow.db import upgrade

                upgrade.main([address], standalone_mode=False)  # the command ``mlflow db upgrade``, in this process
                with closing(sqlite3.connect(database)) as connection:
                    connection.execute("PRAGMA journal_mode=wal")
        connect(address).search_experiments(max_results=1)
    return address


def page(experiment: str) -> str:
    """Where MLflow's pages list an experiment's runs with the headline's columns, the best first: after host and /."""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def resolve(uri: str) -> str:
    """``uri`` with an absolute path; an empty one is mlflow.db in the working directory."""
    if not uri:
        return f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    if match := re.fullmatch(r"sqlite:///(.+)", uri):
        return f"sqlite:///{Path(match[1]).absolute()}"
    return uri


def import_mlflow() -> Any:
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import mlflow

    return mlflow


def connect(address: str) -> MlflowClient:
    """A client; never the creator of a database, which is ``prepare``'s, because two at once can spoil it."""
    database = _database(address)
    if database and not database.is_file():
        raise TrackingError(f"{database}: no tracking database yet; track_prepare.py makes it")
    return import_mlflow().MlflowClient(address)


def experiment_of(client: MlflowClient, address: str, job: TrainJob) -> str:
    """The id of the data set's experiment, made when there is none.

    Its files lie in mlartifacts beside an SQLite database; elsewhere the server decides.
    """
    from mlflow.exceptions import MlflowException

    name = title(job.set, job.data)
    if client.get_experiment_by_name(name) is None:
        database = _database(address)
        folder = re.sub(r"\W+", "-", name).strip("-").lower()
        location = (database.parent / "mlartifacts" / folder).as_uri() if database else None
        try:
            client.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # a sibling was faster
                raise
    found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment {name!r} was deleted on the tracking server; bring it back with "
            "mlflow experiments restore, or remove it for good with mlflow gc"
        )
    for key, value in EXPERIMENT.items():
        if found.tags.get(key) != value:
            client.set_experiment_tag(found.experiment_id, key, value)
    return found.experiment_id


def runs_with(client: MlflowClient, experiment: str, **tags: str) -> list[Run]:
    """The runs with these tags, the first made first."""
    query = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    return list(client.search_runs([experiment], query, order_by=["attributes.start_time ASC"]))


def log_points(client: MlflowClient, run_id: str, points: Sequence[tuple[str, int, Point]]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(name, point.value, point.time, step) for name, step, point in points]
    for first in range(0, len(metrics), PER_BATCH):
        client.log_batch(run_id, metrics[first : first + PER_BATCH], synchronous=True)


def log_latest(client: MlflowClient, run_id: str, values: dict[str, float]) -> None:
    """Single numbers, as of now where they differ from what the server holds: MLflow shows the newest."""
    held, now = client.get_run(run_id).data.metrics, int(time.time() * 1000)
    log_points(client, run_id, [(key, 0, Point(value, now)) for key, value in values.items() if held.get(key) != value])


def log_parameters_and_tags(client: MlflowClient, run: Run, parameters: dict[str, str], tags: dict[str, str]) -> None:
    from mlflow.entities import Param

    new_parameters = [Param(key, value) for key, value in parameters.items() if key not in run.data.params]
    if new_parameters:
        client.log_batch(run.info.run_id, params=new_parameters, synchronous=True)
    log_tags(client, run, tags)


def log_tags(client: MlflowClient, run: Run, tags: dict[str, str]) -> None:
    from mlflow.entities import RunTag

    if new := [RunTag(key, value) for key, value in tags.items() if run.data.tags.get(key) != value]:
        client.log_batch(run.info.run_id, tags=new, synchronous=True)


@contextmanager
def readable_errors(address: str) -> Iterator[None]:
    """Turns what MLflow and the network raise into a TrackingError of one line."""
    shown = re.sub(r"//[^/@]*@", "//***@", address)  # without the password
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise TrackingError(f"MLflow cannot be imported ({error}); install it: pip install mlflow") from error
    except Exception as error:  # MLflow's own, requests', SQLAlchemy's, the file system's
        reason = " ".join(str(error).replace(address, shown).split())[:300]
        remedy = (
            "see that the file and its folder can be written, on a local disk"
            if _database(address)
            else "start the server, or correct tracking.uri"
        )
        raise TrackingError(f"tracking at {shown}: {type(error).__name__}: {reason}; {remedy}") from error


def _database(address: str) -> Path | None:
    """The file behind an SQLite address."""
    return Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite:///") else None
