"""The whole: every check's lines, one table, one file, and an exit status that says whether any failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from msclnet.cli import main
from msclnet.doctor import examination
from msclnet.doctor.examination import Options
from msclnet.doctor.isolation import Check
from tests.doctor.conftest import SMALLEST
from tests.patience import PATIENCE

CHECKS = [name for name in vars(examination) if isinstance(getattr(examination, name), Check)]


def test_the_whole_at_its_smallest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the CPU, by one process: tests/training/ddp has several."""
    monkeypatch.chdir(tmp_path)
    words = ["--gpus", "0", "--processes", "1", "--config", SMALLEST, "--folder", str(tmp_path / "folder")]
    status = main(["doctor", *words, "--patience", "10"])
    printed = capsys.readouterr().out
    record = json.loads(Path("doctor.json").read_text())
    found = {line["check"]: line for line in record["lines"]}
    failing = {check for check, line in found.items() if line["status"] == "fail"}
    assert failing <= {"memory"}, "which other processes may hold"
    assert status == len(failing)
    wanted = {
        "torch", "GPUs", "cores", "memory", "files of the results", "drawn people", "msclnet_ca, a step in bfloat16",
        "killed, and gone on with", "speed, default: agw", "speed, default: msclnet", "speed, given: msclnet",
        "plain loop, default: msclnet", "loader alone", "to train RegDB x 10",
        "to train SYSU-MM01",
    }  # fmt: skip
    assert wanted <= found.keys()
    assert all(name in printed for name in found)
    assert record["number"]["fail"] == len(failing)
    assert sum(record["number"].values()) == len(record["lines"])
    assert found["loader alone"]["found"].endswith("times what the training takes")
    assert found["speed, default: agw"]["values"]["images_per_second"] > 0
    assert not list((tmp_path / "folder").iterdir()), "the temporary files are gone"


def instead(monkeypatch: pytest.MonkeyPatch, **checks: str) -> None:
    """Every check becomes one of tests/doctor/faults.py: ``right`` but where it is said."""
    for name in CHECKS:
        function = f"tests.doctor.faults:{checks.get(name, 'right')}"
        monkeypatch.setattr(examination, name, Check(name, function, PATIENCE))


def looked(folder: Path, **options: object) -> tuple[int, list[dict]]:
    options = {"recipe": (SMALLEST,), "folder": folder} | options
    status = examination.doctor(folder / "doctor.json", Options(**options))  # type: ignore[arg-type]
    return status, json.loads((folder / "doctor.json").read_text())["lines"]


def test_a_check_that_fails_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, STEPS="raise_error", RESUME="die")
    status, lines = looked(tmp_path)
    assert status == 1
    assert [line["check"] for line in lines if line["status"] == "fail"] == ["STEPS", "RESUME"]
    assert len(lines) == 2 * (len(CHECKS) - 1), "the steps of the recipe are a GPU's"


def test_without_images_there_is_nothing_to_train_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, DRAW="user_error")
    status, lines = looked(tmp_path)
    assert status == 1
    assert lines[-1]["check"] == "DRAW"
    assert "/full: 9 MiB are needed there" in lines[-1]["found"]


def test_quick_is_the_machine_and_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch)
    status, lines = looked(tmp_path, quick=True)
    assert (status, len(lines)) == (0, 2 * 4)


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "0 GPUs, 2 processes"), ({"processes": 4}, "0 GPUs, 4 processes"), ({"gpus": 0}, "0 GPUs, 2 processes")],
)
def test_what_the_checks_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, int], said: str
) -> None:
    instead(monkeypatch, ROOM="which_place")
    _, lines = looked(tmp_path, quick=True, **options)
    assert [line["found"] for line in lines if line["check"] == "place"] == [said]


def test_more_processes_than_gpus_fail_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, CARDS="one_gpu", ROOM="which_place")
    status, lines = looked(tmp_path, processes=2)
    (line,) = (line for line in lines if line["status"] == "fail")
    assert status == 1
    assert line["found"] == "2 processes wanted, and 1 GPUs are there"
    assert [line["found"] for line in lines if line["check"] == "place"] == ["1 GPUs, 2 processes"]


def test_on_one_gpu_processes_meet_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they share is the same code by gloo; NCCL needs a second GPU."""
    instead(monkeypatch, CARDS="one_gpu", ROOM="which_place", RANKS="which_place")
    both = ["1 GPUs, 1 processes", "0 GPUs, 2 processes"]
    for options, expected in (({}, both), ({"processes": 1}, both[:1])):
        _, lines = looked(tmp_path, **options)
        assert [line["found"] for line in lines if line["check"] == "place"] == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "."], "a folder; expected a file to write"),
        (["--config", "absent.yaml"], "absent.yaml: no such configuration file"),
        (["--config", "{train: {rate: fast}}"], "train.rate"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    instead(monkeypatch, CARDS="die")
    assert main(["doctor", *words]) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert not printed.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpus", "-1"], "argument --gpus: found '-1', expected a number of 0 or more"),
        (["--processes", "0"], "argument --processes: found '0', expected a number of 1 or more"),
        (["--patience", "0"], "argument --patience: found '0', expected a number above 0, at most 1000"),
    ],
)
def test_a_number_out_of_its_range_is_said(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", *words])
    assert said in capsys.readouterr().err
