"""The tracking server, or the database in its place: reached, made ready, written to; its errors in one line."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msclnet.core.address import masked, without_secrets
from msclnet.core.errors import UserError
from msclnet.core.files import FORBIDDEN, exclusive_lock
from msclnet.tracking.naming import Measurement
from msclnet.tracking.relocation import relocate

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")

CONTENDED = re.compile(  # what SQLite, PostgreSQL and MySQL say where another writer was faster
    "database is locked|UNIQUE constraint failed|duplicate key value|Duplicate entry|deadlock", re.IGNORECASE
)
PATIENCE = 300.0  # seconds for others that write to the same database
PAUSE = 0.5  # seconds between two attempts
PER_BATCH = 1000  # metrics in one request: MLflow's limit
ENVIRONMENT = {  # read by MLflow when it is imported; the user's own values are left alone
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's 7 retries hold a call to a dead server for four minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
}
REFUSED = re.compile(
    "error code (401|403)|not authenticated|(?-i:PERMISSION_DENIED)|password authentication failed|no password",
    re.IGNORECASE,
)
DRIVERS = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "pymysql": "pymysql", "MySQLdb": "mysqlclient"}


class TrackingError(UserError):
    """The tracking server could not be reached or written; the message says what to mend. Nothing computed is lost."""


def prepare(uri: str) -> str:
    """Makes sure that the tracking server answers; returns the resolved address.

    An SQLite file of an older MLflow is upgraded, which is not safe from several processes. ``uri`` as in
    ``config.Tracking``. Raises TrackingError.
    """
    address = resolve(uri)
    with readable_errors(address):
        database = database_of(address)
        if database and database.is_file():
            with exclusive_lock(database.parent):
                import_mlflow()
                from mlflow.db import upgrade

                upgrade.main([address], standalone_mode=False)  # the command ``mlflow db upgrade``, in this process
        connect(address).search_experiments(max_results=1)
    return address


def resolve(uri: str) -> str:
    """``uri`` with an absolute path; ``~`` is the home folder, and nothing is mlflow.db in the working directory."""
    if not uri:
        return f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    if match := re.fullmatch(r"sqlite:///(.+)", uri):
        return f"sqlite:///{Path(match[1]).expanduser().absolute()}"
    return os.path.expanduser(uri)


def import_mlflow() -> Any:
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import mlflow

    return mlflow


def connect(address: str) -> MlflowClient:
    """A client, of a database that is made where there is none.

    A database that was copied or moved with its clone leads to its own files from here on.
    """
    database = database_of(address)
    if database:
        if not database.is_file():
            _create(database)
        relocate(database)
    return import_mlflow().MlflowClient(address)


def _create(database: Path) -> None:
    """A new database under its name once it is whole: two that create one at once would spoil it.

    It has write-ahead logging, so that readers do not hold up writers.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(database.parent):
        if database.is_file():  # another process was faster
            return
        import_mlflow()  # where there is none, said in a word
        partial = database.with_name(f".{database.name}.partial")
        partial.unlink(missing_ok=True)
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{partial}"]
        made = subprocess.run(command, env={**ENVIRONMENT, **os.environ}, capture_output=True, text=True, check=False)
        if made.returncode:
            raise OSError((made.stderr.strip() or "mlflow db upgrade failed").splitlines()[-1])
        with closing(sqlite3.connect(partial)) as connection:
            connection.execute("PRAGMA journal_mode=wal")
        partial.replace(database)


def runs_with(client: MlflowClient, experiment: str, **tags: str) -> list[Run]:
    """The runs with these tags, the first made first."""
    query = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    return list(client.search_runs([experiment], query, order_by=["attributes.start_time ASC"]))


def log_points(client: MlflowClient, run_id: str, points: Sequence[tuple[str, int, Measurement]]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(name, point.value, point.time, step) for name, step, point in points]
    for first in range(0, len(metrics), PER_BATCH):
        client.log_batch(run_id, metrics[first : first + PER_BATCH], synchronous=True)


def log_latest(client: MlflowClient, run_id: str, values: dict[str, float]) -> None:
    """Single numbers, as of now where they differ from what the server holds: MLflow shows the newest."""
    held, now = client.get_run(run_id).data.metrics, int(time.time() * 1000)
    log_points(
        client, run_id, [(key, 0, Measurement(value, now)) for key, value in values.items() if held.get(key) != value]
    )


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


def when_free(work: Callable[[], T]) -> T:
    """Does some work on a database that others write to, and again where one of them was in the way.

    MLflow waits for a lock for 20 seconds, which is little where many trainings end at once on a busy machine. Two that
    write the same new tag both find none, and the second's is refused by the database; the next attempt finds it.

    Args:
        work: what is done; it may be done twice.

    Returns:
        What it returns.

    Raises:
        TrackingError: others were in the way for ``PATIENCE`` seconds, or another reason.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except TrackingError as error:
            if not CONTENDED.search(str(error.__cause__)) or time.monotonic() > end:
                raise
        time.sleep(PAUSE)


@contextmanager
def readable_errors(address: str) -> Iterator[None]:
    """Turns what MLflow, the database's driver and the network raise into a TrackingError of one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # MLflow's own, requests', SQLAlchemy's, the file system's
        reason = without_secrets(" ".join(str(error).split()), address)[:300]
        raise TrackingError(
            f"tracking at {masked(address)}: {type(error).__name__}: {reason}; {_remedy(error, address)}"
        ) from error


def _remedy(error: Exception, address: str) -> str:
    """What the user can do about an error."""
    text = str(error)
    if isinstance(error, ImportError):
        if driver := DRIVERS.get((error.name or "").partition(".")[0]):
            return f"install the database's driver: {sys.executable} -m pip install '{driver}'"
        return "MLflow cannot be imported; install it: pip install mlflow"
    if unknown := _newer(text):
        return (
            f"the database is of a newer MLflow than this one ({import_mlflow().__version__}), which does not know its "
            f"version {unknown}: install that MLflow, or name another database; do not run mlflow db upgrade"
        )
    if refused := REFUSED.search(text):
        if address.startswith("http"):
            return (
                f"the server asks who you are ({refused[0]}): set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, of a user who may write there"
            )
        return "correct user and password in tracking.uri (an @ in them is written %40), or set PGPASSWORD"
    if isinstance(error, OSError) and error.errno in FORBIDDEN and not database_of(address):
        return (
            f"the server wants files written to {error.filename}, which this machine cannot: start it so that it keeps "
            "them itself (mlflow server --artifacts-destination FOLDER), or make that folder writable here"
        )
    if database_of(address):
        return "see that the file and its folder can be written, on a local disk"
    at = ", an @ in the password as %40" if address.rpartition("@")[0].count("@") else ""
    return f"start the server, or correct tracking.uri{at}"


def _newer(text: str) -> str | None:
    """The version of a database of which an error tells that this MLflow does not know it."""
    found = re.search(r"Can't locate revision identified by '(\w+)'|database schema \(found version (\w+)", text)
    version = found and (found[1] or found[2])
    known = Path(import_mlflow().__file__).parent / "store/db_migrations/versions" if version else Path()
    return version if version and not any(known.glob(f"{version}*")) else None


def database_of(address: str) -> Path | None:
    """The file behind an SQLite address."""
    return Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite:///") else None
