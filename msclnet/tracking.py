"""The MLflow mirror of the trainings' files. The files are the record; what is missing here can always be sent again.

    python -m msclnet.tracking mirror results/regdb/msclnet/split3 --uri sqlite:///mlflow.db

An experiment is a data set, its outer runs are the methods, and the runs within them the trainings. A metric's step
and time are those of the training's own record, and a step already held is not sent again, so that sending twice,
or half and then all, gives each point once. MLflow is imported late: the other rooms work without it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from msclnet.aggregate import METRICS, condensed
from msclnet.config import STAND_IN, UNTRAINED, SetName, TrainJob, build, plain, read_yaml, title
from msclnet.data.pack import MANIFEST, Pack
from msclnet.files import alone
from msclnet.types import DataError, Modality, UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

# The settings whose mean is a run's rank1, mAP and mINP, as in the studies.
HEADLINE: dict[SetName, tuple[str, ...]] = {
    "regdb": ("visible-to-infrared", "infrared-to-visible"),
    "sysu": ("all/single-shot",),
    "llcm": ("visible-to-infrared", "infrared-to-visible"),
}
FEATURE = "bn"  # of the headline
CURVES = {"step": "train", "epoch": "epoch", "system": "system"}  # the first part of a metric's name, by kind of line
MEASURED = ("epoch/seconds", "epoch/images_per_second", "system/")  # of the machine: other values in a repeated epoch
FIRST = (  # of the parameters, as the pages list them
    "method_name", "method.losses.", "method.", "epochs", "train.rate", "train.identities", "train.images",
    "model.backbone", "seed", "split", "objective.", "model.", "train.",
)  # fmt: skip
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
LOCK_FILE = Path(__file__).parents[1] / "requirements.lock"
ENVIRONMENT = {  # read by MLflow when it is imported; the user's own values are left alone
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's 7 retries hold a call to a dead server for four minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
}


class TrackingError(UserError):
    """The tracking server could not be reached or written; the message says what to mend. Nothing computed is lost."""


class Point(NamedTuple):
    value: float
    time: int  # Unix time in milliseconds


Points = dict[str, dict[int, Point]]  # by metric, then step


@dataclass(frozen=True)
class Training:
    """One training as its files tell it."""

    job: TrainJob
    lines: tuple[dict[str, Any], ...]  # of metrics.jsonl

    @property
    def name(self) -> str:
        return f"{self.job.method_name} split {self.job.split}"

    @property
    def digest(self) -> str:
        """Of the configuration: another one is another training."""
        return hashlib.sha256(json.dumps(plain(self.job), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def start(self) -> dict[str, Any]:
        return next(line for line in self.lines if line["kind"] == "start")

    @property
    def ended(self) -> int | None:
        """When it ended, in milliseconds, or None while it runs."""
        return _milliseconds(self.lines[-1]) if self.lines[-1]["kind"] == "end" else None

    def points(self) -> Points:
        """``train/<term>`` and ``train/rate`` of steps, ``epoch/<term>`` of means, ``system/<what>`` of use by epoch.

        Of a repeated step the last.
        """
        points: Points = {}
        for line in self.lines:
            if prefix := CURVES.get(line["kind"]):
                for name in line.keys() - {"kind", "time", "step", "epoch"}:
                    points.setdefault(f"{prefix}/{name}", {})[line["step"]] = Point(line[name], _milliseconds(line))
        return points


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
            with alone(database.parent):
                import_mlflow()
                from mlflow.db import upgrade

                upgrade.main([address], standalone_mode=False)  # the command ``mlflow db upgrade``, in this process
                with closing(sqlite3.connect(database)) as connection:
                    connection.execute("PRAGMA journal_mode=wal")
        connect(address).search_experiments(max_results=1)
    return address


def mirror(folder: Path, uri: str) -> dict[str, Any]:
    """Sends what the server lacks of the training in ``folder``, running or ended; returns its row of ``complete``.

    A run is known by its method, split and the digest of its configuration. One whose points contradict the record (it
    was trained again, with other code) and those of other configurations are tagged ``superseded``, and a new one is
    made. Raises DataError for a damaged record and TrackingError.
    """
    training = read_training(folder)
    address = resolve(uri)
    with readable_errors(address):
        client = connect(address)
        return _mirror(client, _experiment(client, address, training.job), folder, training)[1]


def complete(
    uri: str,
    name: SetName,
    data: str,
    methods: Sequence[str],
    folders: Sequence[Path],
    tables: Sequence[Path],
    figures: Sequence[Path],
    pack: Path | None = None,
) -> dict[str, Any]:
    """Mirrors the trainings in ``folders`` and adds scores, tables, figures and configurations; may be run again.

    A training's run takes its ``scores.json``, in percent, as ``<setting>/<feature>/<metric>`` (of SYSU-MM01 the mean
    over the draws); a method's run the mean over its splits or draws, and the sample standard deviation as
    ``<...>_std``. ``rank1``, ``mAP`` and ``mINP`` are the headline: the BN feature, of RegDB the mean of both
    directions, of SYSU-MM01 all-search, single-shot. Every method's run holds the ``tables`` (CSV) and ``figures``
    (SVG, PNG and CSV, as far as they lie beside the one named). With ``pack``, the folder of packed images, each run
    says which images it trained and was tested on, with their digest.

    Returns the experiment and, for each method and then its trainings, the run's id and its number of points. Raises
    DataError for a file that is missing, damaged or of another data set, and TrackingError.
    """
    trainings = [(folder, read_training(folder), read_scores(name, folder / "scores.json")) for folder in folders]
    for folder, training, _ in trainings:
        found = (training.job.set, training.job.data)
        if found != (name, data) or training.job.method_name not in methods:
            raise DataError(
                f"{folder}: a training of {training.job.method_name} on {found[0]} ({found[1]}); expected one of "
                f"{', '.join(methods)} on {name} ({data})"
            )
    if absent := [str(path) for path in (*tables, *figures) if not path.is_file()]:
        raise DataError(f"{', '.join(absent)}: no such file; expected a table or figure: build it first")
    address = prepare(uri)
    runs: list[dict[str, Any]] = []
    with readable_errors(address):
        client = connect(address)
        for method in methods:
            mine = [entry for entry in trainings if entry[1].job.method_name == method]
            if not mine:
                raise DataError(f"{method}: none of its trainings is given; expected at least one folder")
            experiment = _experiment(client, address, mine[0][1].job)
            rows = []
            for folder, training, scores in mine:
                parent, row = _mirror(client, experiment, folder, training)
                means = {key: statistics.fmean(values) for key, values in scores.items()}
                _log_latest(client, row["run_id"], means)
                _log_tags(
                    client,
                    client.get_run(row["run_id"]),
                    {"mlflow.note.content": _note(training.job, tables, training.name)},
                )
                client.log_text(row["run_id"], _yaml_of(folder), "config.yaml")
                if pack:
                    client.log_inputs(row["run_id"], _halves(Pack.open(pack), training.job))
                rows.append(row | {"scores": len(means)})
            outer = _complete_method(client, parent, mine, tables, figures)
            if pack:
                client.log_inputs(parent, _whole(Pack.open(pack), mine[0][1].job))
            runs += [outer, *rows]
        note = f"[All runs, best first]({page(experiment)})\n\n{_note(mine[0][1].job, tables, '')}"
        client.set_experiment_tag(experiment, "mlflow.note.content", note)
    return {"experiment": {"id": experiment, "name": title(name, data)}, "runs": runs}


def read_training(folder: Path) -> Training:
    """The training whose files lie in ``folder``; while it runs its record is ``work/metrics.jsonl``.

    The untrained network is one for all splits and lies a folder above. Raises DataError or ConfigError naming the
    file, the line and what was expected. A last line without its end is one just being written, and left out.
    """
    home = _home(folder)
    job = build(TrainJob, read_yaml(str(home / "config.yaml")), str(home / "config.yaml"))
    if home != folder:
        job = replace(job, split=int(folder.name.removeprefix("split")))
    working = home / "work/metrics.jsonl"
    path = working if working.exists() else home / "metrics.jsonl"
    try:
        written = path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the record of a training: train it first") from None
    lines = []
    for number, text in enumerate(written, start=1):
        try:
            line = json.loads(text)
            known = line["kind"] in ("start", *CURVES, "end") and line["time"] > 0
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise DataError(f"{path}, line {number}: {text[:60]!r}; expected JSON with kind and time: train it again")
        lines.append(line)
    if not any(line["kind"] == "start" for line in lines):
        raise DataError(f"{path}: {len(lines)} lines, none of kind start; expected one: train it again")
    return Training(job, tuple(lines))


def read_scores(name: SetName, path: Path) -> dict[str, list[float]]:
    """Percent by ``<setting>/<feature>/<metric>``: one value of a RegDB split, one a draw of SYSU-MM01.

    The headline comes first, where its settings were scored.
    """
    scores: dict[str, list[float]] = {}
    try:
        rows = json.loads(path.read_text())["rows"]
        for row in rows:
            for metric in METRICS:
                key = f"{_how(row)}{_setting(name, row)}/{row['feature']}/{metric}"
                scores.setdefault(key, []).append(float(row[metric]))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected the scores of a training: evaluate it first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the scores of {name} ({error!r}); evaluate the training again") from None
    headline = {}
    for metric in ("rank1", "mAP", "mINP"):
        parts = [scores.get(f"{_how(rows[0])}{setting}/{FEATURE}/{metric}", []) for setting in HEADLINE[name]]
        if all(parts):
            headline[metric] = [statistics.fmean(trial) for trial in zip(*parts, strict=True)]
    return headline | scores


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


def _mirror(client: MlflowClient, experiment: str, folder: Path, training: Training) -> tuple[str, dict[str, Any]]:
    """The method's run, and the row of the training's run after what it lacked has been sent.

    The locks keep a live mirror of a training, that of its next start, and those of its siblings from making the same
    run twice.
    """
    job = training.job
    with alone(folder.parent):
        parent = _method_run(client, experiment, training)
    with alone(folder):
        points = training.points()
        run, held = _training_run(client, experiment, training, points)
        run_id = run.info.run_id
        tags = {"mlflow.parentRunId": parent, **_facts(training)}
        _log_parameters_and_tags(client, run, _parameters(job), tags)
        missing = [
            (name, step, point)
            for name, steps in points.items()
            for step, point in steps.items()
            if step not in held.get(name, {})
        ]
        _log(client, run_id, missing)
        if training.ended and run.info.status != "FINISHED":
            client.set_terminated(run_id, "FINISHED", training.ended)
    row = {"name": training.name, "method": job.method_name, "split": job.split, "run_id": run_id}
    return parent, row | {"points": sum(map(len, points.values()))}


def _method_run(client: MlflowClient, experiment: str, training: Training) -> str:
    """The outer run of the training's method, made when there is none."""
    method = training.job.method_name
    if runs := _runs(client, experiment, role="method", method=method):
        return runs[0].info.run_id
    tags = {"role": "method", "method": method, "data": training.job.data}
    return client.create_run(experiment, _milliseconds(training.start), tags, method).info.run_id


def _training_run(client: MlflowClient, experiment: str, training: Training, points: Points) -> tuple[Run, Points]:
    """The run that mirrors the training, with the points it holds; new when none does. All others are superseded."""
    identity = {"role": "training", "method": training.job.method_name, "split": str(training.job.split)}
    current, held = None, Points()
    for run in _runs(client, experiment, **identity):
        if not current and run.data.tags.get("config") == training.digest:
            held = _held(client, run)
            if _agree(held, points, whole=training.ended is not None):
                current = run
                continue
        if "superseded" not in run.data.tags:
            client.set_tag(run.info.run_id, "superseded", "true")
    if not current:
        tags = identity | {"config": training.digest}
        return client.create_run(experiment, _milliseconds(training.start), tags, training.name), Points()
    if "superseded" in current.data.tags:  # the former configuration is back
        client.delete_tag(current.info.run_id, "superseded")
    return current, held


def _agree(held: Points, points: Points, whole: bool) -> bool:
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


def _complete_method(
    client: MlflowClient,
    run_id: str,
    mine: Sequence[tuple[Path, Training, dict[str, list[float]]]],
    tables: Sequence[Path],
    figures: Sequence[Path],
) -> dict[str, Any]:
    """Scores over all trials, files, tags and description of a method's run; returns its row."""
    pooled: dict[str, list[float]] = {}
    for _, _, scores in mine:
        for key, values in scores.items():
            pooled.setdefault(key, []).extend(values)
    table = {key: statistics.fmean(trials) for key, trials in pooled.items()}
    table |= {f"{key}_std": statistics.stdev(trials) for key, trials in pooled.items() if len(trials) > 1}
    _log_latest(client, run_id, table)
    folder, first, _ = mine[0]
    client.log_text(run_id, _yaml_of(folder), "config.yaml")
    for path in tables:
        client.log_artifact(run_id, str(path), "tables")
    for path in figures:
        for file in (path.with_suffix(ending) for ending in (".svg", ".png", ".csv")):
            if file.is_file():
                client.log_artifact(run_id, str(file), "figures")
    run = client.get_run(run_id)
    shared = {key: value for key, value in _parameters(first.job).items() if key != "split"}
    facts = _facts(first) | {"mlflow.note.content": _note(first.job, tables, f"{len(mine)} training(s)")}
    _log_parameters_and_tags(client, run, shared, facts)
    ended = max(training.ended or 0 for _, training, _ in mine)
    if ended and (run.info.status, run.info.end_time) != ("FINISHED", ended):
        client.set_terminated(run_id, "FINISHED", ended)
    method = first.job.method_name
    return {"name": method, "method": method, "split": None, "run_id": run_id, "points": 0, "scores": len(table)}


def _note(job: TrainJob, tables: Sequence[Path], what: str) -> str:
    """The summary, the table that counts trials, in Markdown: the BN feature beside the paper's numbers.

    ``what`` names a method's run or a training, whose row stands alone; all methods' where it is empty.
    """
    of = "**Drawn stand-in: no result on the real set.**" if job.data == STAND_IN else f"Images: {job.data}."
    head = f"{job.method_name} on {title(job.set, job.data)}, {what}." if what else f"{title(job.set, job.data)}."
    text = [f"{head} {of} BN feature, percent; mean (standard deviation over the trials)."]
    for path in tables:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or "trials" not in rows[0]:
            continue
        mine = [r for r in rows if r["feature"] == FEATURE and (not what or r["method"] == job.method_name)]
        if mine:
            heads, body = condensed(mine)
            text += ["", *("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *body))]
    return "\n".join(text)


def _halves(pack: Pack, job: TrainJob) -> list[DatasetInput]:
    """The images a training read and those it is tested on; of the untrained network the latter alone."""
    parts: list[tuple[Literal["train", "test"], str]] = [("train", "training")] if job.epochs else []
    return [_dataset(pack, job, part, context) for part, context in (*parts, ("test", "testing"))]


def _whole(pack: Pack, job: TrainJob) -> list[DatasetInput]:
    """All images packed: what a method's run is over."""
    return [_dataset(pack, job, None, "training and testing")]


def _dataset(pack: Pack, job: TrainJob, part: Literal["train", "test"] | None, context: str) -> DatasetInput:
    """A data set as MLflow's pages list it; the digest is of the packed bytes and of the rows of them that are read."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    manifest = (pack.folder / MANIFEST).read_bytes()
    rows = {m: pack.rows(job.split, part, m) if part else np.arange(len(pack.paths[m])) for m in Modality}
    digest = hashlib.sha256(manifest + b"".join(rows[m].tobytes() for m in Modality)).hexdigest()[:12]
    profile = {f"{m.name.lower()} images": len(rows[m]) for m in Modality}
    profile["identities"] = len(set().union(*(pack.identities[m][rows[m]].tolist() for m in Modality)))
    name = title(job.set, job.data) + (f", split {job.split}, {part}" if part else "")
    source = json.dumps({"uri": str(pack.folder)})
    schema = json.dumps({"mlflow_tensorspec": {"features": json.dumps([{
        "type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, pack.height, pack.width, 3]},
    }]), "targets": None}})  # fmt: skip
    dataset = Dataset(name, digest, "local", source, schema, json.dumps(profile))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def _facts(training: Training) -> dict[str, str]:
    """Tags: where the numbers come from."""
    start = training.start
    facts = {
        "data": training.job.data,
        "hardware": f"{start.get('hardware', '')}, {start.get('processes', 1)} process(es)",
        "torch": start.get("torch", ""),
        "mlflow.source.name": "workflow/scripts/train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": start.get("git", ""),
        "lock": hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest() if LOCK_FILE.is_file() else "",
    }
    return {key: value for key, value in facts.items() if value}


def _setting(name: SetName, row: dict[str, Any]) -> str:
    """What a row of scores.json compares."""
    if name == "sysu":
        return f"{row['mode']}/{'single' if row['shots'] == 1 else 'multi'}-shot"
    return row["direction"]


def _how(row: dict[str, Any]) -> str:
    """How, as a metric's name begins: nothing for the usual way."""
    words = [word for word in ("flip", "rerank") if row[word] == "yes"]
    return "".join(f"{word}/" for word in (*words, *(["official"] if row["protocol"] == "official" else [])))


def _home(folder: Path) -> Path:
    """Where a training's files lie: in its folder; the untrained network's, one for all splits, in the folder above."""
    above = folder.absolute().parent
    shared = above.name == UNTRAINED and re.fullmatch(r"split\d+", folder.name)
    return above if shared and not (folder / "config.yaml").exists() else folder


def _yaml_of(folder: Path) -> str:
    return (_home(folder) / "config.yaml").read_text()


def _parameters(job: TrainJob) -> dict[str, str]:
    """The configuration with dotted keys, those that matter most first, for the pages keep the order."""
    flat = _flat(plain(job))
    ranked = [key for first in FIRST for key in flat if key == first or (first.endswith(".") and key.startswith(first))]
    return {key: flat[key] for key in dict.fromkeys((*ranked, *flat))}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys joined by dots."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat


def _milliseconds(line: dict[str, Any]) -> int:
    return int(line["time"] * 1000)


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


def _database(address: str) -> Path | None:
    """The file behind an SQLite address."""
    return Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite:///") else None


def _experiment(client: MlflowClient, address: str, job: TrainJob) -> str:
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


def _runs(client: MlflowClient, experiment: str, **tags: str) -> list[Run]:
    """The runs with these tags, the first made first."""
    query = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    return list(client.search_runs([experiment], query, order_by=["attributes.start_time ASC"]))


def _held(client: MlflowClient, run: Run) -> Points:
    """What the server has of a training's curves."""
    return {
        name: {
            metric.step: Point(metric.value, metric.timestamp)
            for metric in client.get_metric_history(run.info.run_id, name)
        }
        for name in run.data.metrics
        if name.split("/")[0] in CURVES.values()
    }


def _log(client: MlflowClient, run_id: str, points: Sequence[tuple[str, int, Point]]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(name, point.value, point.time, step) for name, step, point in points]
    for first in range(0, len(metrics), PER_BATCH):
        client.log_batch(run_id, metrics[first : first + PER_BATCH], synchronous=True)


def _log_latest(client: MlflowClient, run_id: str, values: dict[str, float]) -> None:
    """Single numbers, as of now where they differ from what the server holds: MLflow shows the newest."""
    held, now = client.get_run(run_id).data.metrics, int(time.time() * 1000)
    _log(client, run_id, [(key, 0, Point(value, now)) for key, value in values.items() if held.get(key) != value])


def _log_parameters_and_tags(client: MlflowClient, run: Run, parameters: dict[str, str], tags: dict[str, str]) -> None:
    from mlflow.entities import Param

    new_parameters = [Param(key, value) for key, value in parameters.items() if key not in run.data.params]
    if new_parameters:
        client.log_batch(run.info.run_id, params=new_parameters, synchronous=True)
    _log_tags(client, run, tags)


def _log_tags(client: MlflowClient, run: Run, tags: dict[str, str]) -> None:
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m msclnet.tracking", description="Mirrors a training to MLflow.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("mirror", help="send what the tracking server lacks of one training")
    command.add_argument("folder", type=Path, help="the training's, e.g. results/regdb/msclnet/split3")
    command.add_argument("--uri", default="", help="tracking URI (default: mlflow.db in the working directory)")
    args = parser.parse_args()
    mirror(args.folder, args.uri)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
