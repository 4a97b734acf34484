"""Completes the server's copy of a data set: trainings, scores, tables, figures, images, descriptions."""

from __future__ import annotations

import csv
import hashlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from msclnet.config import STAND_IN, SetName, TrainJob, title
from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.data.pack import MANIFEST, Pack
from msclnet.results.tables import condensed
from msclnet.tracking.mirror import mirror_to
from msclnet.tracking.server import (
    connect,
    experiment_of,
    log_latest,
    log_parameters_and_tags,
    log_tags,
    page,
    prepare,
    readable_errors,
)
from msclnet.tracking.training import FEATURE, Training, facts, parameters, read_scores, read_training, yaml_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput


def publish(
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
    packed = Pack.open(pack) if pack else None
    address = prepare(uri)
    runs: list[dict[str, Any]] = []
    with readable_errors(address):
        client = connect(address)
        for method in methods:
            mine = [entry for entry in trainings if entry[1].job.method_name == method]
            if not mine:
                raise DataError(f"{method}: none of its trainings is given; expected at least one folder")
            experiment = experiment_of(client, address, mine[0][1].job)
            rows = []
            for folder, training, scores in mine:
                parent, row = mirror_to(client, experiment, folder, training)
                means = {key: statistics.fmean(values) for key, values in scores.items()}
                log_latest(client, row["run_id"], means)
                log_tags(
                    client,
                    client.get_run(row["run_id"]),
                    {"mlflow.note.content": _note(training.job, tables, training.name)},
                )
                client.log_text(row["run_id"], yaml_of(folder), "config.yaml")
                if packed:
                    client.log_inputs(row["run_id"], _halves(packed, training.job))
                rows.append(row | {"scores": len(means)})
            outer = _complete_method(client, parent, mine, tables, figures)
            if packed:
                client.log_inputs(parent, _whole(packed, mine[0][1].job))
            runs += [outer, *rows]
        note = f"[All runs, best first]({page(experiment)}). {_note(mine[0][1].job, tables, '')}"
        client.set_experiment_tag(experiment, "mlflow.note.content", note)
    return {"experiment": {"id": experiment, "name": title(name, data)}, "runs": runs}


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
    log_latest(client, run_id, table)
    folder, first, _ = mine[0]
    client.log_text(run_id, yaml_of(folder), "config.yaml")
    for path in tables:
        client.log_artifact(run_id, str(path), "tables")
    for path in figures:
        for file in (path.with_suffix(ending) for ending in (".svg", ".png", ".csv")):
            if file.is_file():
                client.log_artifact(run_id, str(file), "figures")
    run = client.get_run(run_id)
    shared = {key: value for key, value in parameters(first.job).items() if key != "split"}
    tags = facts(first) | {"mlflow.note.content": _note(first.job, tables, f"{len(mine)} training(s)")}
    log_parameters_and_tags(client, run, shared, tags)
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
