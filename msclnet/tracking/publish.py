"""Completes the server's copy of a data set: trainings, scores, tables, figures, images, descriptions."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from msclnet.config import STAND_IN, TrainJob, title
from msclnet.core.types import Modality
from msclnet.data.pack import MANIFEST, Pack
from msclnet.results.captions import equal_words, images, trial_of
from msclnet.results.in_print import SELECTION
from msclnet.results.layout import CONFIG
from msclnet.results.scores import HEADLINE, TITLES
from msclnet.results.tables import condensed, read_csv
from msclnet.tracking.delivery import Delivery, Scored, read
from msclnet.tracking.experiment import experiment_of
from msclnet.tracking.mirror import method_run, mirror_to, missing
from msclnet.tracking.naming import facts, mean_curves, parameters
from msclnet.tracking.server import (
    connect,
    log_latest,
    log_parameters_and_tags,
    log_points,
    log_tags,
    prepare,
    readable_errors,
    when_free,
)
from msclnet.tracking.views import VIEWS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput


def publish(uri: str, delivery: Delivery) -> dict[str, Any]:
    """Mirrors the trainings of a delivery and adds scores, tables, figures and configurations; may be run again.

    A training's run takes its ``scores.json``, in percent, as ``<comparison>/<feature>/<metric>`` (a mean, where its
    trials are gallery draws); a method's run the mean over its trials, the sample standard deviation as ``<...>_std``,
    and the mean curves of its trainings, so that one chart draws all methods. ``rank1``, ``mAP`` and ``mINP`` are the
    data set's headline. Every method's run holds the tables and figures (SVG, PNG and CSV, as far as they lie beside
    the one named). With a pack each run says which images it trained and was tested on, with their digest.

    Returns the experiment and, for each method and then its trainings, the run's id and its number of points. Raises
    DataError for a file that is missing, damaged or of another data set, and TrackingError.
    """
    return when_free(lambda: _published(uri, delivery))


def _published(uri: str, delivery: Delivery) -> dict[str, Any]:
    """``publish``, once."""
    trainings = read(delivery)
    packed = Pack.open(delivery.pack) if delivery.pack else None
    address = prepare(uri)
    runs: list[dict[str, Any]] = []
    with readable_errors(address):
        client = connect(address)
        home = experiment_of(client, address, delivery.tracked)
        for mine in trainings.values():
            first, points = mine[0].training, mean_curves([scored.training for scored in mine])
            run, held = method_run(client, address, home, first, points)
            parent = run.info.run_id
            rows = []
            for scored in mine:
                training = scored.training
                row = mirror_to(client, address, home, training, parent)
                run_id = row["run_id"]
                means = {key: _percent(statistics.fmean(values)) for key, values in scored.scores.items()}
                log_latest(client, run_id, means)
                note = _own_note(delivery, scored, f"#/experiments/{home}/runs/{parent}")
                log_tags(client, client.get_run(run_id), {"mlflow.note.content": note})
                client.log_text(run_id, training.configuration, CONFIG)
                if packed:
                    client.log_inputs(run_id, _halves(packed, training.job))
                rows.append(row | {"scores": len(means)})
            outer = _complete_method(client, parent, mine, delivery) | {"points": sum(map(len, points.values()))}
            log_points(client, parent, missing(points, held))  # after the scores, which the page lists first
            if packed:
                client.log_inputs(parent, _whole(packed, first.job))
            runs += [outer, *rows]
        links = ", ".join(f"[{view.name}]({view.page(home)})" for view in VIEWS)
        note = f"{images(delivery.tracked.data)} {links}.\n\n{_note(delivery)}"
        client.set_experiment_tag(home, "mlflow.note.content", note)
    return {"experiment": {"id": home, "name": delivery.tracked.name}, "runs": runs}


def _complete_method(client: MlflowClient, run_id: str, mine: Sequence[Scored], delivery: Delivery) -> dict[str, Any]:
    """Scores over all trials, files, tags and description of a method's run; returns its row."""
    pooled: dict[str, list[float]] = {}
    for scored in mine:
        for key, values in scored.scores.items():
            pooled.setdefault(key, []).extend(values)
    table = {key: _percent(statistics.fmean(trials)) for key, trials in pooled.items()}
    table |= {f"{key}_std": _percent(statistics.stdev(trials)) for key, trials in pooled.items() if len(trials) > 1}
    log_latest(client, run_id, table)
    first = mine[0].training
    client.log_text(run_id, first.configuration, CONFIG)
    for path in delivery.tables:
        client.log_artifact(run_id, str(path), "tables")
    for path in delivery.figures:
        for file in (path.with_suffix(ending) for ending in (".svg", ".png", ".csv")):
            if file.is_file():
                client.log_artifact(run_id, str(file), "figures")
    run = client.get_run(run_id)
    shared = {key: value for key, value in parameters(first.job).items() if key != "split"}
    tags = facts(first) | {"mlflow.note.content": _note(delivery, first.job, f"{len(mine)} training(s)")}
    log_parameters_and_tags(client, run, shared, tags)
    ended = max(scored.training.ended or 0 for scored in mine)
    if ended and (run.info.status, run.info.end_time) != ("FINISHED", ended):
        client.set_terminated(run_id, "FINISHED", ended)
    method = first.job.method_name
    return {"name": method, "method": method, "split": None, "run_id": run_id, "scores": len(table)}


def _note(delivery: Delivery, job: TrainJob | None = None, what: str = "") -> str:
    """The summary, the table that counts trials, in Markdown: the BN feature beside the paper's numbers.

    With ``job``, a method's that ``what`` names, its row stands alone.
    """
    tracked = delivery.tracked
    head = f"{job.method_name} on {tracked.name}, {what}. {_bold(tracked.data)} " if job else ""
    trial = trial_of(tracked.set).name
    text = [f"{head}BN feature, percent; mean (standard deviation over the {trial}s)."]
    for path in delivery.tables:
        rows = read_csv(path, (), "aggregate.py")
        if not rows or "trials" not in rows[0]:
            continue
        if mine := [r for r in rows if r["feature"] == HEADLINE and (job is None or r["method"] == job.method_name)]:
            text += ["", *(lines := _markdown(*condensed(mine)))]
            text += ["", said] if (said := equal_words(tracked.set, "\n".join(lines))) else []
            text += ["", f"paper_*: in print, of the real set. {SELECTION}"]
    return "\n".join(text)


def _own_note(delivery: Delivery, scored: Scored, method: str) -> str:
    """A training's own scores in Markdown, and the way to its method's page."""
    tracked, job, own = delivery.tracked, scored.training.job, scored.scores
    number = max(map(len, own.values()))
    over = f"; mean over {number} {trial_of(tracked.set).name}s" if number > 1 else ""
    text = [f"{scored.training.name} on {tracked.name}. {_bold(tracked.data)} BN feature, percent{over}."]
    body = []
    for prefix in dict.fromkeys(key.rpartition("/")[0] for key in own):
        compared, _, feature = prefix.rpartition("/")
        if feature in ("", HEADLINE):
            values = [own.get(f"{prefix}/{name}" if prefix else name) for name in TITLES]
            numbers = [f"{statistics.fmean(value):.2f}" if value else "-" for value in values]
            body.append([compared or "headline", *numbers])
    text += ["", *_markdown(["compared", *TITLES.values()], body)]
    text += ["", f"One of the trainings of [{job.method_name}]({method}), whose mean is the result."]
    return "\n".join(text)


def _markdown(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return ["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *body)]


def _percent(value: float) -> float:
    """As the tables give it: MLflow's pages show every digit that they are sent."""
    return round(value, 2)


def _bold(data: str) -> str:
    """What the images are; a stand-in is not to be overlooked."""
    return f"**{images(data)}**" if data == STAND_IN else images(data)


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
