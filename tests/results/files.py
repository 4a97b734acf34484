"""What a training leaves, made by hand: its record, its configuration, its scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from msclnet import config as settings
from msclnet.results.scores import write_scores

BEGAN = 1_700_000_000.0  # Unix time, seconds
DIRECTIONS = ("visible-to-infrared", "infrared-to-visible")


def step(number: int, late: float = 0.0) -> dict[str, Any]:
    return {
        "kind": "step",
        "time": BEGAN + number + late,
        "epoch": 1 + (number - 1) // 10,
        "step": number,
        "rate": 0.1,
        "total": 8.0 / number,
        "identity": 5.0 / number,
        "wrt": 3.0 / number,
    }


def system(number: int, memory: float = 200.0) -> dict[str, Any]:
    use = {"process_cpu_percentage": 99.0, "process_memory_peak_megabytes": memory}
    return {"kind": "system", "time": BEGAN + 10 * number + 0.6, "epoch": number, "step": 10 * number, **use}


def epoch(number: int, seconds: float = 10.0) -> dict[str, Any]:
    mean = {"total": 4.0 / number, "identity": 2.0 / number, "wrt": 2.0 / number}
    timing = {"seconds": seconds, "images_per_second": 640 / seconds}
    return {"kind": "epoch", "time": BEGAN + 10 * number + 0.5, "epoch": number, "step": 10 * number, **timing, **mean}


def start(late: float = 0.0) -> dict[str, Any]:
    facts = {"processes": 2, "device": "cpu", "hardware": "x86_64, 2 cores", "torch": "2.0", "git": "abc"}
    return {"kind": "start", "time": BEGAN + late, "steps": 20, **facts}


END = {"kind": "end", "time": BEGAN + 30, "step": 20, "seconds": 30.0}
EPOCHS = [[*map(step, range(1, 11)), epoch(1), system(1)], [*map(step, range(11, 21)), epoch(2), system(2)]]
WHOLE = [start(), *EPOCHS[0], *EPOCHS[1], END]
POINTS = 20 * 4 + 2 * 5 + 2 * 2


def validated(*mAP: float, kept: int) -> list[dict[str, Any]]:
    """``WHOLE``, scored after both epochs; the weights of epoch ``kept`` were kept."""
    scores = [
        {"kind": "validation", "time": BEGAN + 10 * n + 0.7, "epoch": n, "step": 10 * n, "rank1": value / 2}
        | {"mAP": value, "mINP": value / 4}
        for n, value in enumerate(mAP, start=1)
    ]
    return [start(), *EPOCHS[0], scores[0], *EPOCHS[1], scores[1], END | {"kept_epoch": kept}]


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def train(results: Path, job: settings.TrainJob, lines: list[dict[str, Any]] = WHOLE) -> Path:
    """What a training leaves; an unended one in work/, as while it runs."""
    folder = results / job.set / job.method_name / f"split{job.split}"
    ended = lines[-1]["kind"] == "end"
    (folder / "work/metrics.jsonl").unlink(missing_ok=True)
    write(folder / ("metrics.jsonl" if ended else "work/metrics.jsonl"), lines)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings.plain(job)))
    return folder


HOW = {"flip": "no", "rerank": "no", "protocol": "standard"}


def scored(name: str, folder: Path, rank1: list[float], directions: Sequence[str] = DIRECTIONS[:1]) -> None:
    """scores.json in one way: a value of a split, or one a gallery draw of SYSU-MM01."""
    split = int(folder.name.removeprefix("split"))
    where: list[dict[str, Any]] = [{**HOW, "direction": direction} for direction in directions]
    if name == "sysu":
        where = [HOW | {"protocol": "community", "mode": "all", "shots": 1}]
    numbers = {"rank5": 80.0, "rank10": 90.0, "rank20": 95.0, "mAP": 50.0, "mINP": 30.0}
    numbers |= {"queries": 9, "queries_without_match": 0, "gallery": 9}
    rows = [
        {"feature": "bn", **setting, "split": split, "rank1": value, **numbers}
        | ({"draw": draw} if name == "sysu" else {})
        for setting in where
        for draw, value in enumerate(rank1)
    ]
    write_scores(folder / "scores.json", split, rows)
