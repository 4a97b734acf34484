"""The mirror holds each point once, whatever happens on the way; and nothing that fails in it is a mystery."""

from __future__ import annotations

import json
import os
import runpy
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from msclnet import config as settings
from msclnet.core.errors import DataError
from msclnet.core.files import exclusive_lock
from msclnet.data.pack import write_pack
from msclnet.datasets.regdb import RegDB
from msclnet.results.scores import METRICS
from msclnet.tracking import naming, server
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.mirror import mirror
from msclnet.tracking.publish import publish
from msclnet.tracking.server import TrackingError, prepare, readable_errors, resolve
from msclnet.tracking.views import VIEWS
from tests.conftest import ROOT
from tests.datasets import trees
from tests.patience import PATIENCE
from tests.results.files import (
    BEGAN,
    DIRECTIONS,
    END,
    EPOCHS,
    HOW,
    POINTS,
    WHOLE,
    epoch,
    scored,
    start,
    step,
    system,
    train,
    validated,
)

DEAD = "http://127.0.0.1:9"  # the discard port: nobody answers


@pytest.fixture(scope="module")
def job(default: settings.Config) -> settings.TrainJob:
    return settings.train_job(default, "regdb", "msclnet", 3)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("prepared") / "mlflow.db"
    prepare(f"sqlite:///{database}")
    return database


@pytest.fixture
def uri(prepared: Path, tmp_path: Path) -> str:
    """A prepared database of the test's own."""
    with closing(sqlite3.connect(prepared)) as source, closing(sqlite3.connect(tmp_path / "mlflow.db")) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=wal")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def query(uri: str, sql: str) -> list[tuple[Any, ...]]:
    """Read past MLflow, from the tables themselves."""
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        return database.execute(sql).fetchall()


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def expected_points(lines: list[dict[str, Any]] = WHOLE) -> list[tuple[str, int, float]]:
    return sorted(
        (f"{'train' if line['kind'] == 'step' else line['kind']}/{name}", line["step"], value)
        for line in lines
        if line["kind"] in ("step", "epoch", "system", "validation")
        for name, value in line.items()
        if name not in ("kind", "time", "epoch", "step")
    )


def stored_points(uri: str, run_id: str) -> list[tuple[Any, ...]]:
    return sorted(query(uri, f"select key, step, value from metrics where run_uuid = '{run_id}'"))


# The address


def test_an_address_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert server.resolve("") == f"sqlite:///{tmp_path}/mlflow.db"
    assert server.resolve("sqlite:///other/a.db") == f"sqlite:///{tmp_path}/other/a.db"
    assert server.resolve("sqlite:////abs/a.db") == "sqlite:////abs/a.db"
    assert server.resolve("https://server") == "https://server"
    monkeypatch.setenv("HOME", "/home/me")
    assert server.resolve("sqlite:///~/a.db") == "sqlite:////home/me/a.db"
    assert server.resolve("~/runs") == "/home/me/runs"


# The mirror


def test_preparing_switches_to_write_ahead_logging_and_may_be_repeated(prepared: Path) -> None:
    uri = f"sqlite:///{prepared}"
    assert prepare(uri) == uri
    assert query(uri, "PRAGMA journal_mode") == [("wal",)]
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_validation_is_a_curve(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    lines = validated(30.0, 40.0, kept=2)
    run_id = mirror(train(tmp_path, job, lines), uri)["run_id"]
    assert stored_points(uri, run_id) == expected_points(lines)
    sent = query(uri, f"select key, step, value from metrics where run_uuid = '{run_id}' and key like 'validation/%'")
    assert set(sent) >= {("validation/mAP", 10, 30.0), ("validation/mAP", 20, 40.0), ("validation/rank1", 20, 20.0)}


def test_sent_twice_each_point_is_there_once(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    folder = train(tmp_path, job)
    first = mirror(folder, uri)
    assert mirror(folder, uri) == first
    assert first | {"run_id": ""} == {
        "name": "msclnet split 3", "method": "msclnet", "split": 3, "run_id": "", "points": POINTS,
    }  # fmt: skip
    assert stored_points(uri, first["run_id"]) == expected_points()
    run = client(uri).get_run(first["run_id"])
    assert (run.info.run_name, run.info.status) == ("msclnet split 3", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (BEGAN * 1000, (BEGAN + 30) * 1000)
    assert run.data.params["model.backbone"] == "small"
    assert run.data.params["method.losses.div"] == "0.5"
    assert run.data.tags["mlflow.source.git.commit"] == "abc"
    assert run.data.tags["hardware"] == "x86_64, 2 cores, 2 process(es)"
    assert len(run.data.tags["lock"]) == 64
    assert "superseded" not in run.data.tags
    parent = client(uri).get_run(run.data.tags["mlflow.parentRunId"])
    assert (parent.info.run_name, parent.info.experiment_id) == ("msclnet", run.info.experiment_id)
    experiment = client(uri).get_experiment(run.info.experiment_id)
    assert experiment.name == "RegDB (stand-in)"
    assert experiment.artifact_location == f"file://{tmp_path}/mlartifacts/regdb-stand-in"


def test_half_then_a_resume_then_whole(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    """Killed after step 14, resumed from the end of epoch 1: steps 11..14 are taken, and timed, again."""
    live = mirror(train(tmp_path, job, [start(), *EPOCHS[0], *map(step, range(11, 15))]), uri)
    run = client(uri).get_run(live["run_id"])
    assert (run.info.status, run.info.end_time) == ("RUNNING", None)
    resumed = [start(), *EPOCHS[0], start(late=500)]
    assert mirror(train(tmp_path, job, resumed), uri)["run_id"] == live["run_id"]
    again = [step(number, late=500) for number in range(11, 21)]
    rest = [*again, epoch(2, seconds=9.0), system(2), {**END, "time": BEGAN + 550}]
    whole = mirror(train(tmp_path, job, [*resumed, *rest]), uri)
    assert whole["run_id"] == live["run_id"]
    assert stored_points(uri, live["run_id"]) == expected_points([*resumed, *rest])
    assert client(uri).get_run(live["run_id"]).info.end_time == (BEGAN + 550) * 1000


def test_an_epoch_repeated_at_another_speed_is_the_same_training(
    tmp_path: Path, uri: str, job: settings.TrainJob
) -> None:
    """Killed between the epoch's end and its checkpoint; the first measure stands."""
    live = mirror(train(tmp_path, job, [start(), *EPOCHS[0], *EPOCHS[1]]), uri)
    again = [
        start(),
        *EPOCHS[0],
        start(late=500),
        *(step(n, late=500) for n in range(11, 21)),
        epoch(2, seconds=9),
        system(2, memory=300.0),
        END,
    ]
    assert mirror(train(tmp_path, job, again), uri)["run_id"] == live["run_id"]
    assert stored_points(uri, live["run_id"]) == expected_points()


def test_a_half_written_upload_is_completed(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    """More points than one request takes; some of the second request lost."""
    lines = [start(), *map(step, range(1, 401)), {**END, "time": BEGAN + 500}]
    folder = train(tmp_path, job, lines)
    run_id = mirror(folder, uri)["run_id"]
    assert stored_points(uri, run_id) == expected_points(lines)
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        database.execute("delete from metrics where step % 7 = 3")
        database.commit()
    assert len(stored_points(uri, run_id)) < 1600
    mirror(folder, uri)
    assert stored_points(uri, run_id) == expected_points(lines)


def test_another_configuration_is_another_run(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    def superseded(run_id: str) -> bool:
        return client(uri).get_run(run_id).data.tags.get("superseded") == "true"

    first = mirror(train(tmp_path, job), uri)["run_id"]
    second = mirror(train(tmp_path, settings.replace(job, seed=1)), uri)["run_id"]
    assert second != first
    assert (superseded(first), superseded(second)) == (True, False)
    assert mirror(train(tmp_path, job), uri)["run_id"] == first, "the former configuration is back"
    assert (superseded(first), superseded(second)) == (False, True)


@pytest.mark.parametrize("other", [[step(7) | {"total": 1.25}], [step(7) | {"new": 1.0}]], ids=["value", "term"])
def test_a_record_that_contradicts_the_run_makes_another(
    tmp_path: Path, uri: str, job: settings.TrainJob, other: list[dict[str, Any]]
) -> None:
    """Trained again by other code: a point cannot be taken back from MLflow, so the run is superseded."""
    changed = [start(), *other, END]
    first = mirror(train(tmp_path, job, changed), uri)["run_id"]
    second = mirror(train(tmp_path, job), uri)["run_id"]
    assert second != first
    assert stored_points(uri, first) == expected_points(changed)
    assert stored_points(uri, second) == expected_points()


def test_trainings_side_by_side_lose_and_double_nothing(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    """Four splits of one method at once on a fresh experiment, one of them by two processes."""
    folders = [train(tmp_path, settings.replace(job, split=split)) for split in (1, 2, 3, 4)]
    command = [sys.executable, "-m", "msclnet.tracking.mirror"]
    running = [
        subprocess.Popen([*command, str(folder), "--uri", uri], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for folder in [*folders, folders[0]]
    ]
    errors = [process.communicate(timeout=PATIENCE)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 5, errors
    runs = dict(query(uri, "select name, run_uuid from runs"))
    assert query(uri, "select count(*) from runs") == [(5,)]
    assert sorted(runs) == ["msclnet", *(f"msclnet split {split}" for split in (1, 2, 3, 4))]
    for split in (1, 2, 3, 4):
        assert stored_points(uri, runs[f"msclnet split {split}"]) == expected_points()


@pytest.mark.parametrize(
    "busy",
    [
        "database is locked",
        "UNIQUE constraint failed: experiment_tags.key, experiment_tags.experiment_id",
        'duplicate key value violates unique constraint "tag_pk"',
    ],
)
def test_a_contended_database_is_tried_again_and_not_for_ever(monkeypatch: pytest.MonkeyPatch, busy: str) -> None:
    monkeypatch.setattr(server, "PAUSE", 0.01)
    tries: list[str] = []

    def work(message: str, times: int) -> int:
        tries.append(message)
        with server.readable_errors("sqlite:////tmp/mlflow.db"):
            if len(tries) <= times:
                raise sqlite3.OperationalError(message)
        return len(tries)

    assert server.when_free(lambda: work(busy, 2)) == 3
    with pytest.raises(TrackingError, match="disk I/O error"):
        server.when_free(lambda: work("disk I/O error", 99))
    assert len(tries) == 4, "another trouble is told at once"
    monkeypatch.setattr(server, "PATIENCE", 1.0)
    with pytest.raises(TrackingError, match=busy[:20]):
        server.when_free(lambda: work(busy, 999))
    assert len(tries) > 5


@pytest.mark.parametrize("level", ["training", "method"])
def test_a_mirror_waits_for_the_one_at_work(
    tmp_path: Path, uri: str, job: settings.TrainJob, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    """Two that look for a run at once would both make it."""
    folder = train(tmp_path, job)
    place = folder if level == "training" else tmp_path
    asked, beside = threading.Event(), []

    @contextmanager
    def told(path: Path) -> Iterator[None]:
        if path == place:
            asked.set()
        with exclusive_lock(path):
            beside.append(path == place and at_work)
            yield

    monkeypatch.setattr("msclnet.tracking.mirror.exclusive_lock", told)
    with ThreadPoolExecutor(1) as pool:
        with exclusive_lock(place):
            at_work = True
            waiting = pool.submit(mirror, folder, uri)
            waiting.add_done_callback(lambda _: asked.set())  # it may end without asking
            assert asked.wait(PATIENCE)
            time.sleep(0.5)  # in which a lock that holds nobody would let it go on
            assert not waiting.done()
            assert query(uri, "select name from runs") == ([("msclnet",)] if level == "training" else [])
            at_work = False
        assert waiting.result(PATIENCE)
    assert beside
    assert not any(beside)
    assert query(uri, "select count(*) from runs") == [(2,)]


def test_an_experiment_made_by_a_sibling_meanwhile_is_taken(
    tmp_path: Path, uri: str, job: settings.TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    first = mirror(train(tmp_path, job), uri)
    look, missed = MlflowClient.get_experiment_by_name, []

    def too_early(self: Any, name: str) -> Any:
        missed.append(name)
        return look(self, name) if len(missed) > 1 else None

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", too_early)
    assert mirror(train(tmp_path, job), uri) == first


# Completing


@pytest.fixture
def files(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    table, figure = tmp_path / "regdb_summary.csv", tmp_path / "regdb_cmc.svg"
    header = "data,method,feature,trials,rank1,rank1_std,paper_rank1"
    table.write_text(f"{header}\nstand-in,msclnet,bn,2,65.00,7.07,84.17\nstand-in,agw,bn,2,50.00,0.00,70.05\n")
    figure.write_text("<svg/>")
    figure.with_suffix(".csv").write_text("rank,mean\n")
    figure.with_suffix(".png").write_bytes(b"png")
    return [table], [figure]


def test_completing_adds_scores_and_files_once(
    tmp_path: Path, uri: str, job: settings.TrainJob, files: tuple[list[Path], list[Path]]
) -> None:
    folders = [train(tmp_path, settings.replace(job, split=split)) for split in (1, 2)]
    for folder, rank1 in zip(folders, (60.0, 70.0), strict=True):
        scored("regdb", folder, [rank1])
    delivery = Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], folders, *files)
    first = publish(uri, delivery)
    before = query(uri, "select count(*) from metrics") + query(uri, "select count(*) from runs")
    assert publish(uri, delivery) == first
    assert query(uri, "select count(*) from metrics") + query(uri, "select count(*) from runs") == before

    assert first["experiment"]["name"] == "RegDB (stand-in)"
    assert [(run["name"], run["split"], run["points"], run["scores"]) for run in first["runs"]] == [
        ("msclnet", None, 2 * 3, 12),
        ("msclnet split 1", 1, POINTS, 6),
        ("msclnet split 2", 2, POINTS, 6),
    ]
    parent, child = (client(uri).get_run(run["run_id"]) for run in first["runs"][:2])
    assert child.data.metrics["visible-to-infrared/bn/rank1"] == 60.0
    assert parent.data.metrics["visible-to-infrared/bn/rank1"] == 65.0
    assert parent.data.metrics["visible-to-infrared/bn/rank1_std"] == 7.07, "as the tables give it"
    assert (parent.info.status, parent.info.end_time) == ("FINISHED", (BEGAN + 30) * 1000)
    note = parent.data.tags["mlflow.note.content"]
    assert "**Drawn stand-in: no result on the real set.**" in note
    assert "| msclnet | 2 | 65.00 (7.07) | 84.17 |" in note, "the mean, the spread, and the paper's number"
    assert "paper's baselines select the best epoch by the test set; ours is the last epoch" in note
    assert "agw" not in note

    def artifacts(run_id: str, folder: str | None = None) -> list[str]:
        return [file.path for file in client(uri).list_artifacts(run_id, folder)]

    assert artifacts(child.info.run_id) == ["config.yaml"]
    assert artifacts(parent.info.run_id) == ["config.yaml", "figures", "tables"]
    assert artifacts(parent.info.run_id, "figures") == [f"figures/regdb_cmc.{kind}" for kind in ("csv", "png", "svg")]
    assert artifacts(parent.info.run_id, "tables") == ["tables/regdb_summary.csv"]

    scored("regdb", folders[0], [64.0])  # evaluated again, otherwise: the newest number shows
    publish(uri, delivery)
    assert client(uri).get_run(child.info.run_id).data.metrics["visible-to-infrared/bn/rank1"] == 64.0


def test_a_methods_curves_are_the_means_of_its_trainings(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    """By epoch. With other trainings they are others, and no point is taken back: the method has another run."""
    folders = [train(tmp_path, settings.replace(job, split=split)) for split in (1, 2)]
    slower = [start(), *EPOCHS[0], epoch(2, seconds=99.0) | {"total": 6.0}, END]
    train(tmp_path, settings.replace(job, split=2), slower)
    for folder in folders:
        scored("regdb", folder, [60.0])

    def sent(*mine: Path) -> list[str]:
        result = publish(uri, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], mine))
        return [run["run_id"] for run in result["runs"]]

    def curve(run: str) -> list[tuple[Any, ...]]:
        return query(
            uri, f"select key, step, value from metrics where run_uuid = '{run}' and key like 'epoch/%' order by 1, 2"
        )

    both = sent(*folders)
    means = [("identity", 10, 2.0), ("identity", 20, 1.0), ("total", 10, 4.0), ("total", 20, 4.0)]
    means += [("wrt", 10, 2.0), ("wrt", 20, 1.0)]
    assert curve(both[0]) == [(f"epoch/{name}", at, value) for name, at, value in means]
    assert sent(*folders) == both
    assert curve(both[0]) == [(f"epoch/{name}", at, value) for name, at, value in means]

    one = sent(folders[0])
    assert one[0] != both[0]
    assert one[1] == both[1], "the training is what it was"
    assert curve(one[0])[3] == ("epoch/total", 20, 2.0)
    api = client(uri)
    assert [api.get_run(run).data.tags.get("superseded") for run in (both[0], one[0])] == ["true", None]
    assert api.get_run(one[1]).data.tags["mlflow.parentRunId"] == one[0]
    assert mirror(folders[0], uri)["run_id"] == one[1]
    assert api.get_run(one[1]).data.tags["mlflow.parentRunId"] == one[0], "a live mirror keeps to the run that counts"
    assert sent(*folders) == both, "and back"


def rate_and_score(uri: str, run_id: str) -> tuple[str, float, bool]:
    run = client(uri).get_run(run_id)
    return run.data.params["train.rate"], run.data.metrics["rank1"], "superseded" in run.data.tags


def test_the_parameters_of_a_method_are_those_of_its_scores(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    """In one folder the rate is changed, and changed back."""

    def sent(rate: float, rank1: float) -> list[str]:
        changed = settings.replace(job, train=settings.replace(job.train, rate=rate))
        folder = train(tmp_path, changed)
        scored("regdb", folder, [rank1], DIRECTIONS)
        result = publish(uri, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], [folder]))
        return [run["run_id"] for run in result["runs"]]

    first, second = sent(0.5, 60.0), sent(0.25, 70.0)
    for run in first:
        assert rate_and_score(uri, run) == ("0.5", 60.0, True)
    for run in second:
        assert rate_and_score(uri, run) == ("0.25", 70.0, False)
    assert client(uri).get_run(second[1]).data.tags["mlflow.parentRunId"] == second[0]
    assert sent(0.5, 60.0) == first
    assert [rate_and_score(uri, run)[2] for run in (*first, *second)] == [False, False, True, True]


def test_two_clones_on_one_server_touch_only_their_own_runs(
    tmp_path: Path, uri: str, job: settings.TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same method and split, of two configurations, and then of one."""
    monkeypatch.setattr("msclnet.tracking.mirror.database_of", lambda _: None)  # as of a server

    def sent(clone: str, rate: float, rank1: float) -> list[str]:
        changed = settings.replace(job, train=settings.replace(job.train, rate=rate))
        folder = train(tmp_path / clone, changed)
        scored("regdb", folder, [rank1], DIRECTIONS)
        result = publish(uri, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], [folder]))
        return [run["run_id"] for run in result["runs"]]

    ones, others = sent("one", 0.5, 60.0), sent("other", 0.25, 70.0)
    assert sent("one", 0.5, 60.0) == ones
    for run in ones:
        assert rate_and_score(uri, run) == ("0.5", 60.0, False)
    for run in others:
        assert rate_and_score(uri, run) == ("0.25", 70.0, False)
    third = sent("other", 0.5, 80.0)
    assert not set(third) & set(ones), "its scores are its own"
    assert [rate_and_score(uri, run) for run in ones] == [("0.5", 60.0, False)] * 2
    assert [rate_and_score(uri, run)[2] for run in (*others, *third)] == [True, True, False, False]


def test_trainings_of_several_configurations_are_no_method(tmp_path: Path, job: settings.TrainJob) -> None:
    rates = (0.5, 0.25)
    folders = [
        train(tmp_path, settings.replace(job, split=split, train=settings.replace(job.train, rate=rate)))
        for split, rate in enumerate(rates, start=1)
    ]
    for folder in folders:
        scored("regdb", folder, [60.0])
    with pytest.raises(DataError, match=r"split2: a training of msclnet of another configuration than .*split1"):
        publish("", Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], folders))


def test_of_sysu_a_trial_is_a_draw(tmp_path: Path, uri: str, default: settings.Config) -> None:
    folder = train(tmp_path, settings.replace(settings.train_job(default, "sysu", "agw", 1), data="SYSU-MM01"))
    scored("sysu", folder, [40.0, 50.0, 60.0])
    result = publish(uri, Delivery(TrackedSet("sysu", "SYSU-MM01"), ["agw"], [folder]))
    assert result["experiment"]["name"] == "SYSU-MM01"
    parent, child = (client(uri).get_run(run["run_id"]).data.metrics for run in result["runs"])
    assert child["all/single-shot/bn/rank1"] == parent["all/single-shot/bn/rank1"] == 50.0
    assert parent["all/single-shot/bn/rank1_std"] == 10.0
    assert parent["all/single-shot/bn/mAP_std"] == 0.0


def test_completing_refuses_what_does_not_belong(tmp_path: Path, job: settings.TrainJob) -> None:
    folder = train(tmp_path, job)
    scored("regdb", folder, [60.0])
    with pytest.raises(
        DataError, match=r"split3: .* on regdb \(stand-in\); expected one of msclnet on regdb \(RegDB\)"
    ):
        publish("", Delivery(TrackedSet("regdb", "RegDB"), ["msclnet"], [folder]))
    with pytest.raises(DataError, match=r"none.csv: no such file; expected a table or figure"):
        publish("", Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], [folder], [tmp_path / "none.csv"]))


def test_the_headline_is_the_mean_of_both_directions_under_one_name_at_both_levels(
    tmp_path: Path, uri: str, job: settings.TrainJob
) -> None:
    folders = [train(tmp_path, settings.replace(job, split=split)) for split in (1, 2)]
    for folder, rank1 in zip(folders, (60.0, 70.0), strict=True):
        scored("regdb", folder, [rank1])
        scores = json.loads((folder / "scores.json").read_text())
        back = scores["rows"][0] | {"direction": "infrared-to-visible", "rank1": rank1 - 20}
        pooled = scores["rows"][0] | {"feature": "pooled", "rank1": 99.0}
        scores["rows"] += [back, pooled]
        (folder / "scores.json").write_text(json.dumps(scores))
    result = publish(uri, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], folders))
    parent, first, second = (client(uri).get_run(run["run_id"]).data.metrics for run in result["runs"])
    assert (parent["rank1"], first["rank1"], second["rank1"]) == (55.0, 50.0, 60.0)
    assert parent["rank1_std"] == 7.07
    assert parent["mAP"] == 50.0


def test_how_it_was_scored_is_in_a_metrics_name_unless_plain() -> None:
    row = {"feature": "bn", **HOW, "protocol": "community", "mode": "all", "shots": 10, "draw": 0, "split": 1}
    other = row | {"protocol": "official", "flip": "yes", "rerank": "yes"}
    percent = dict.fromkeys(METRICS, 10.0)
    names = {key.rsplit("/", 1)[0] for key in naming.metrics("sysu", [row | percent, other | percent])}
    assert names == {"all/multi-shot/bn", "flip/rerank/official/all/multi-shot/bn"}


def test_the_parameters_that_matter_come_first(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    run_id = mirror(train(tmp_path, job), uri)["run_id"]
    names = [key for (key,) in query(uri, f"select key from params where run_uuid = '{run_id}' order by rowid")]
    assert names[:2] == ["method_name", "method.losses.identity"]
    assert names.index("method.losses.div") < names.index("epochs") < names.index("train.rate") < names.index("height")
    assert len(names) == len(set(names)) == len(naming._flat(settings.plain(job)))


def test_a_run_says_which_images_it_was_trained_and_tested_on(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    root = trees.regdb(tmp_path / "images")
    write_pack(RegDB().survey(root, (3,), real=False).require(), root, tmp_path / "pack", 48, 24, workers=1)
    folder = train(tmp_path, job)
    scored("regdb", folder, [60.0])

    def inputs() -> list[list[tuple[str, str, str]]]:
        result = publish(
            uri, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], [folder], [], [], tmp_path / "pack")
        )
        return [
            sorted(
                (data.tags[0].value, data.dataset.name, data.dataset.digest)
                for data in client(uri).get_run(run["run_id"]).inputs.dataset_inputs
            )
            for run in result["runs"]
        ]

    parent, child = inputs()
    assert [entry[:2] for entry in child] == [
        ("testing", "RegDB (stand-in), split 3, test"),
        ("training", "RegDB (stand-in), split 3, train"),
    ]
    assert [entry[:2] for entry in parent] == [("training and testing", "RegDB (stand-in)")]
    assert len({digest for _, _, digest in (*parent, *child)}) == 3
    assert inputs() == [parent, child], "sent again, each is there once"
    write_pack(RegDB().survey(root, (3,), real=False).require(), root, tmp_path / "pack", 36, 24, workers=1)
    assert inputs()[1] != child, "other bytes, another digest"


def test_the_pages_are_those_of_trained_models_and_show_the_summary(
    tmp_path: Path, uri: str, job: settings.TrainJob, files: tuple[list[Path], list[Path]]
) -> None:
    folder = train(tmp_path, job)
    scored("regdb", folder, [60.0])
    result = publish(uri, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], [folder], *files))
    tags = client(uri).get_experiment(result["experiment"]["id"]).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.experiment.primaryMetric.name"] == "rank1"
    assert "| agw | 2 | 50.00 (equal) | 70.05 |" in tags["mlflow.note.content"]
    assert "(equal): every split gave the same number, to two decimals." in tags["mlflow.note.content"]
    assert "| msclnet | 2 | 65.00 (7.07) | 84.17 |" in tags["mlflow.note.content"]
    for view in VIEWS:
        assert f"[{view.name}](#/experiments/{result['experiment']['id']}/runs?" in tags["mlflow.note.content"]
        kept = json.loads(tags[f"mlflow.sharedViewState.{view.key}"])
        assert (kept["name"], json.loads(kept["state"])) == (view.name, view.state)
    child = client(uri).get_run(result["runs"][1]["run_id"])
    own = child.data.tags["mlflow.note.content"]
    assert own.startswith("msclnet split 3 on RegDB (stand-in). **Drawn")
    assert "| visible-to-infrared | 60.00 | 50.00 | 30.00 |" in own, "its own scores"
    assert "65.00" not in own, "which are not its method's"
    assert f"[msclnet](#/experiments/{result['experiment']['id']}/runs/{result['runs'][0]['run_id']})" in own
    assert child.data.tags["mlflow.source.name"] == "workflow/scripts/train.py"
    parent = client(uri).get_run(result["runs"][0]["run_id"])
    assert parent.data.params["method.losses.div"] == "0.5"
    assert "split" not in parent.data.params


# What goes wrong


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a script in the test's folder and this process, where MLflow's import has been paid for."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(ROOT / "workflow/scripts" / name), run_name="__main__")

    return run


def test_a_dead_server_costs_a_live_mirror_one_line(tmp_path: Path, job: settings.TrainJob) -> None:
    folder, began = train(tmp_path, job), time.monotonic()
    command = [sys.executable, "-m", "msclnet.tracking.mirror", str(folder), "--uri", DEAD]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: tracking at {DEAD}: ")
    assert result.stderr.endswith("start the server, or correct tracking.uri\n")
    assert result.stderr.count("\n") == 1
    assert time.monotonic() - began < 200, "MLflow's own retries take four minutes"


def test_a_dead_server_fails_the_completion_with_a_remedy(
    tmp_path: Path, job: settings.TrainJob, script: Callable[..., None]
) -> None:
    folder = train(tmp_path, job)
    scored("regdb", folder, [60.0])
    what = ["--set", "regdb", "--data", "stand-in", "--methods", "msclnet", "--trainings", str(folder)]
    with pytest.raises(
        SystemExit, match=rf"^error: tracking at {DEAD}: .*correct tracking.uri. Nothing computed is lost"
    ):
        script("track.py", "--uri", DEAD, *what, "--out", "regdb.json")
    assert not (tmp_path / "regdb.json").exists()


def test_the_scripts_do_it_all(tmp_path: Path, job: settings.TrainJob, script: Callable[..., None]) -> None:
    folder = train(tmp_path, job)
    scored("regdb", folder, [60.0])
    what = ["--set", "regdb", "--data", "stand-in", "--methods", "msclnet", "--trainings", str(folder)]
    script("track.py", "--uri", "", *what, "--out", "tracking/regdb.json")
    record = json.loads((tmp_path / "tracking/regdb.json").read_text())
    assert [run["name"] for run in record["runs"]] == ["msclnet", "msclnet split 3"]
    stored = stored_points(f"sqlite:///{tmp_path}/mlflow.db", record["runs"][1]["run_id"])
    assert len(stored) == POINTS + 6


def test_without_mlflow_the_message_says_what_to_install(
    tmp_path: Path, uri: str, job: settings.TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackingError, match=r"MLflow cannot be imported; install it: pip install mlflow"):
        mirror(train(tmp_path, job), uri)


def test_the_first_of_several_mirrors_makes_the_database(tmp_path: Path, job: settings.TrainJob) -> None:
    """Two that made one at once would spoil it; a third sees it under its name only when it is whole."""
    address = f"sqlite:///{tmp_path}/new/mlflow.db"
    folders = [train(tmp_path, settings.replace(job, split=split)) for split in (1, 2, 3)]
    mirrors = [
        subprocess.Popen([sys.executable, "-m", "msclnet.tracking.mirror", str(folder), "--uri", address], cwd=ROOT)
        for folder in folders
    ]
    assert [process.wait(timeout=PATIENCE) for process in mirrors] == [0, 0, 0]
    assert query(address, "PRAGMA journal_mode") == [("wal",)]
    assert query(address, "SELECT count(*) FROM tags WHERE key = 'role' AND value = 'training'") == [(3,)]
    assert sorted(path.name for path in (tmp_path / "new").glob("*mlflow.db*partial*")) == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one by its size alone" * 20)
    with pytest.raises(TrackingError, match=r"text.db: .*; see that the file and its folder can be written"):
        prepare(f"sqlite:///{tmp_path}/text.db")


def test_a_deleted_experiment_is_said_to_be(tmp_path: Path, uri: str, job: settings.TrainJob) -> None:
    folder = train(tmp_path, job)
    run_id = mirror(folder, uri)["run_id"]
    client(uri).delete_experiment(client(uri).get_run(run_id).info.experiment_id)
    with pytest.raises(TrackingError, match=r"'RegDB \(stand-in\)' was deleted .* mlflow experiments restore"):
        mirror(folder, uri)


def test_a_password_is_not_shown(tmp_path: Path, job: settings.TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str) -> None:
        raise OSError(f"cannot reach {address}")

    monkeypatch.setattr("msclnet.tracking.mirror.connect", refuse)
    for password in ("secret", "s3cr@t", "s3cr%40t"):
        with pytest.raises(TrackingError) as caught:
            mirror(train(tmp_path, job), f"http://ann:{password}@server:5000")
        assert password not in str(caught.value)
        assert "tracking at http://***@server:5000: OSError: cannot reach http://***@server:5000" in str(caught.value)
    assert "an @ in the password as %40" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "error", "remedy"),
    [
        (
            "http://h:5",
            OSError("failed with error code 401 != 200"),
            r"set MLFLOW_TRACKING_USERNAME and ML",
        ),
        (
            "http://h:5",
            OSError("failed with error code 403 != 200"),
            r"\(error code 403\): set MLFLOW_TR",
        ),
        ("http://u:p@ss@h:5", OSError("no route to host"), r"an @ in the password as %40"),
        (
            "http://h:5",
            PermissionError(13, "Permission denied", "/mlruns"),
            r"written to /mlruns, .*--artifacts-d",
        ),
        ("postgresql://u@h/d", OSError('FATAL: password authentication failed for user "u"'), r"or set PGPASSWORD"),
        ("postgresql://h/d", ModuleNotFoundError("No module", name="psycopg2"), r"-m pip install 'psycopg2-binary'"),
        ("postgresql://h/d", OSError("database schema (found version abcdef012345, but"), r"newer MLflow .*do not run"),
        ("postgresql://h/d", OSError("database schema (found version 0a8213491aaa, but"), r"start the server"),
    ],
)
def test_the_message_says_what_to_mend(address: str, error: Exception, remedy: str) -> None:
    with pytest.raises(TrackingError, match=remedy), readable_errors(address):
        raise error


def test_a_database_of_a_newer_mlflow_is_said_to_be(uri: str) -> None:
    """Its own advice, to upgrade, would not help."""
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
    with pytest.raises(TrackingError, match=r"of a newer MLflow than this one .* its version ffffffffffff"):
        prepare(uri)


def test_the_home_folder_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("sqlite:///~/runs.db") == f"sqlite:///{tmp_path}/runs.db"
