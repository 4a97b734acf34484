"""Two experiments on one database touch nothing of each other's; a copied clone touches nothing of the original."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from msclnet import config as settings
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.mirror import mirror
from msclnet.tracking.publish import publish
from msclnet.tracking.registry import register
from msclnet.tracking.relocation import PLACES, relocate
from msclnet.tracking.server import prepare
from tests.conftest import ROOT
from tests.patience import PATIENCE
from tests.results.files import train
from tests.tracking.test_registry import trained
from tests.tracking.test_tracking import client, prepared, query, uri

__all__ = ["prepared", "uri"]


def made(folder: Path, config: settings.Config, seed: int) -> Delivery:
    """A model's training, a table and a figure, as an experiment has them."""
    job = settings.replace(settings.train_job(config, "regdb", "msclnet", 1), seed=seed)
    folders = [trained(folder, job, 40.0 + seed)]
    table, figure = folder / "regdb_summary.csv", folder / "regdb_cmc.svg"
    table.write_text(f"data,method,feature,trials,rank1\nstand-in,msclnet,bn,1,{40 + seed}.00\n")
    figure.write_text(f"<svg>{seed}</svg>")
    return Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], folders, [table], [figure])


def named(delivery: Delivery, experiment: str) -> Delivery:
    tracked = TrackedSet("regdb", "stand-in", experiment)
    return Delivery(tracked, delivery.methods, delivery.folders, delivery.tables, delivery.figures)


def send(uri: str, delivery: Delivery, record: Path) -> list[dict[str, Any]]:
    record.write_text(json.dumps(publish(uri, delivery)))
    return register(uri, delivery, record)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def held(uri: str, experiment: str, model: str) -> dict[str, Any]:
    """All that the database says of an experiment and its registered model, table by table."""
    (number,) = query(uri, f"select experiment_id from experiments where name = '{experiment}'")[0]
    runs = f"(select run_uuid from runs where experiment_id = {number})"
    models = f"(select model_id from logged_models where experiment_id = {number})"
    where = {
        **dict.fromkeys(("experiments", "experiment_tags", "runs", "logged_models"), f"experiment_id = {number}"),
        **dict.fromkeys(("metrics", "latest_metrics", "params", "tags"), f"run_uuid in {runs}"),
        **dict.fromkeys(("logged_model_tags", "logged_model_params"), f"model_id in {models}"),
        **dict.fromkeys(("registered_models", "model_versions", "model_version_tags"), f"name = '{model}'"),
        "registered_model_aliases": f"name = '{model}'",
    }
    return {table: sorted(query(uri, f"select * from {table} where {rule}"), key=repr) for table, rule in where.items()}


def test_the_default_keeps_its_names_and_another_has_its_own() -> None:
    default, other = TrackedSet("regdb", "RegDB"), TrackedSet("regdb", "stand-in", "wide")
    assert (default.name, default.model) == ("RegDB", "msclnet-regdb")
    assert (other.name, other.model) == ("RegDB (stand-in), wide", "msclnet-regdb-wide")


def test_a_second_experiment_changes_nothing_of_the_first(tmp_path: Path, uri: str, default: settings.Config) -> None:
    """The same trainings and others; other tables; the registry, too."""
    artifacts = tmp_path / "mlartifacts"
    first = made(tmp_path / "first", default, seed=0)
    rows = send(uri, first, tmp_path / "first.json")
    before = held(uri, "RegDB (stand-in)", "msclnet-regdb"), files(artifacts)
    assert all(before[0].values()), "each table has rows of the first experiment"
    assert "regdb-stand-in" in {Path(name).parts[0] for name in before[1]}

    other = send(uri, named(made(tmp_path / "second", default, seed=1), "wide"), tmp_path / "second.json")
    send(uri, named(first, "same"), tmp_path / "same.json")
    assert held(uri, "RegDB (stand-in)", "msclnet-regdb") == before[0]
    assert {name: content for name, content in files(artifacts).items() if name in before[1]} == before[1]
    assert {Path(name).parts[0] for name in files(artifacts)} == {
        "regdb-stand-in", "regdb-stand-in-wide", "regdb-stand-in-same",
    }  # fmt: skip
    assert {row["run_id"] for row in rows}.isdisjoint(row["run_id"] for row in other)
    chosen = client(uri).get_model_version_by_alias("msclnet-regdb-wide", "chosen-by-test-stand-in")
    assert chosen.tags["rank1"] == "41.00"
    assert "superseded" not in {key for (key,) in query(uri, "select key from tags")}


def test_the_mirrors_command_takes_the_experiments_name(tmp_path: Path, uri: str, default: settings.Config) -> None:
    folder = train(tmp_path / "results", settings.train_job(default, "regdb", "agw", 1))
    command = [sys.executable, "-m", "msclnet.tracking.mirror", str(folder), "--uri", uri, "--experiment", "wide"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE)
    assert ("RegDB (stand-in), wide",) in query(uri, "select name from experiments")
    assert mirror(folder, uri, "wide")["run_id"] in {run for (run,) in query(uri, "select run_uuid from runs")}
    assert query(uri, "select count(*) from runs") == [(2,)]


def test_a_training_and_its_links_in_an_experiment_are_one_run(
    tmp_path: Path, uri: str, default: settings.Config
) -> None:
    """A live mirror reads the folder of the training, track.py that of the experiment."""
    folder = train(tmp_path / "trainings", settings.train_job(default, "regdb", "agw", 1))
    links = tmp_path / "results/regdb/agw/split1"
    links.mkdir(parents=True)
    for file in ("config.yaml", "metrics.jsonl"):
        (links / file).hardlink_to(folder / file)
    assert mirror(links, uri) == mirror(folder, uri)
    assert query(uri, "select count(*) from runs") == [(2,)]


def run(script: str, *arguments: str, cwd: Path) -> None:
    command = [sys.executable, str(ROOT / "workflow/scripts" / script), *arguments]
    subprocess.run(command, cwd=cwd, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def places(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [
            str(place)
            for table, column in PLACES
            for (place,) in connection.execute(f"select {column} from {table} where {column} is not null")
        ]


def test_a_copied_clone_leads_to_its_own_files(tmp_path: Path, prepared: Path, default: settings.Config) -> None:
    """By processes of its own, as the workflow has them: MLflow keeps places in mind as long as a process lives."""
    one, two = tmp_path / "a clone", tmp_path / "another"
    one.mkdir()
    shutil.copy(prepared, one / "mlflow.db")
    delivery = made(one / "results/regdb", default, seed=0)
    rows = send(prepare(f"sqlite:///{one}/mlflow.db"), delivery, one / "record.json")
    shutil.copytree(one, two)
    before = files(one)

    (two / "results/regdb/regdb_cmc.svg").write_text("<svg>changed</svg>")
    folder = Path("results/regdb")
    common = ["--uri", "", "--set", "regdb", "--data", "stand-in", "--methods", "msclnet"]
    common += ["--trainings", str(delivery.folders[0].relative_to(one))]
    run("track.py", *common, "--figures", str(folder / "regdb_cmc.svg"), "--out", "record.json", cwd=two)
    run("register.py", *common, "--record", "record.json", "--out", "models.json", cwd=two)
    assert json.loads((two / "models.json").read_text())["versions"][0]["version"] == rows[0]["version"], "not again"
    assert files(one) == before

    found = [place for place in places(two / "mlflow.db") if "mlartifacts" in place]
    assert len(found) == 5, "an experiment, two runs, a model and its version"
    assert all(place.startswith((two / "mlartifacts").as_uri()) for place in found)
    method = json.loads((two / "record.json").read_text())["runs"][0]["run_id"]
    figures = two / "mlartifacts/regdb-stand-in" / method / "artifacts/figures"
    assert (figures / "regdb_cmc.svg").read_text() == "<svg>changed</svg>"
    one.rename(tmp_path / "away")  # nothing is read from there
    code = (
        "import mlflow, numpy; mlflow.set_tracking_uri('sqlite:///mlflow.db'); "
        "model = mlflow.pyfunc.load_model('models:/msclnet-regdb@chosen-by-test-stand-in'); "
        "print(model.predict(numpy.zeros((2, 72, 36, 3), numpy.uint8)).shape)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=two, check=True, capture_output=True, text=True)
    assert loaded.stdout.endswith("(2, 2, 128)\n")
    assert relocate(two / "mlflow.db") == 0, "once is enough"


def test_only_another_clones_places_are_changed(tmp_path: Path, uri: str, default: settings.Config) -> None:
    """An experiment that someone keeps elsewhere stays there, and so does ours by another name of its folder."""
    database = Path(uri.removeprefix("sqlite:///"))
    mirror(train(tmp_path / "results", settings.train_job(default, "regdb", "agw", 1)), uri)
    client(uri).create_experiment("mine", artifact_location="file:///shared/mlartifacts/kept")
    (tmp_path / "alias").symlink_to(tmp_path)
    (tmp_path / "mlartifacts").mkdir(exist_ok=True)
    before = places(database)
    assert relocate(database) == 0
    assert relocate(tmp_path / "alias/mlflow.db") == 0
    assert places(database) == before
    assert "file:///shared/mlartifacts/kept" in before
