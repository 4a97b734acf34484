"""A training as its files tell it: a record just being written, one cut back, and one that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from msclnet import config as settings
from msclnet.core.errors import ConfigError, DataError
from msclnet.results.scores import read_scores
from msclnet.results.training import read_training
from msclnet.tracking.naming import curves
from tests.results.files import BEGAN, END, scored, start, step, train, validated


@pytest.fixture(scope="module")
def job(default: settings.Config) -> settings.TrainJob:
    return settings.train_job(default, "regdb", "msclnet", 3)


def test_of_a_repeated_step_the_last_line_counts(tmp_path: Path, job: settings.TrainJob) -> None:
    again = step(2, late=100) | {"total": 7.5}
    folder = train(tmp_path, job, [start(), step(1), step(2), start(late=90), again])
    training = read_training(folder)
    assert curves(training)["train/total"] == {1: (8.0, 1_700_000_001_000), 2: (7.5, 1_700_000_102_000)}
    assert training.start["time"] == BEGAN
    assert training.ended is None


def test_a_training_knows_the_validation_of_what_it_kept(tmp_path: Path, job: settings.TrainJob) -> None:
    whole = validated(40.0, 30.0, kept=1)
    kept = read_training(train(tmp_path / "ended", job, whole)).validated
    assert kept
    assert (kept["epoch"], kept["mAP"]) == (1, 40.0)
    running = read_training(train(tmp_path / "running", job, whole[:-1]))
    assert running.validated is None, "which epoch is kept is not known yet"
    assert curves(running)["validation/mAP"].keys() == {10, 20}
    assert read_training(train(tmp_path / "without", job)).validated is None


def test_a_line_just_being_written_waits(tmp_path: Path, job: settings.TrainJob) -> None:
    folder = train(tmp_path, job, [start(), step(1)])
    with (folder / "work/metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "ti')
    assert list(curves(read_training(folder))["train/total"]) == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "start", "time": 1}\n{"kind": "sta\n', r"metrics.jsonl, line 2: '{\"kind\": \"sta'; expected JSON"),
        ('{"kind": "begin", "time": 1}\n', r"metrics.jsonl, line 1: .*; expected JSON with kind and time"),
        ("[]\n", r"metrics.jsonl, line 1: '\[\]'; expected JSON with kind and time"),
        ("", r"metrics.jsonl: 0 lines, none of kind start; expected one"),
    ],
)
def test_a_damaged_record_names_the_line(tmp_path: Path, job: settings.TrainJob, text: str, message: str) -> None:
    folder = train(tmp_path, job)
    (folder / "metrics.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        read_training(folder)


def test_missing_files_are_named(tmp_path: Path, job: settings.TrainJob) -> None:
    folder = train(tmp_path, job)
    (folder / "metrics.jsonl").unlink()
    with pytest.raises(DataError, match=r"metrics.jsonl: no such file; expected the record of a training"):
        read_training(folder)
    (folder / "config.yaml").unlink()
    with pytest.raises(ConfigError, match=r"config.yaml: no such configuration file"):
        read_training(folder)
    with pytest.raises(DataError, match=r"scores.json: no such file; .*evaluate it first"):
        read_scores("regdb", 3, folder / "scores.json")
    scored("regdb", folder, [1.0])
    assert read_scores("regdb", 3, folder / "scores.json")[0]["rank1"] == 1.0
    with pytest.raises(DataError, match=r"scores.json: 1 rows, without mode, shots, draw; expected rows of sysu"):
        read_scores("sysu", 3, folder / "scores.json")


def test_the_untrained_network_is_one_for_all_splits(tmp_path: Path, default: settings.Config) -> None:
    job = settings.train_job(default, "regdb", settings.UNTRAINED, 1)
    above = train(tmp_path, job, [start(), END]).rename(tmp_path / "files")
    folder = tmp_path / "regdb/untrained/split4"
    folder.mkdir()
    for file in above.iterdir():
        if file.is_file():
            file.rename(folder.parent / file.name)
    assert read_training(folder).name == "untrained split 4"
