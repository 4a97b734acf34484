"""The rehearsal on the small network: what it records is what the training's own steps say."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks import rehearsal, train_step
from msclnet.config import Config, replace, train_job
from msclnet.losses.table import MEASURES


def test_a_rehearsal_records_each_step_each_gradient_and_what_is_measured(
    default: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = train_job(default, "sysu", "msclnet", 1)
    job = replace(job, train=replace(job.train, identities=4, images=2))
    pack = train_step.draw_pack(job, 2, tmp_path, 1)
    rehearsal.rehearse(job, pack, tmp_path / "msclnet", steps=3, every=2)
    lines = rehearsal.read(tmp_path / "msclnet/metrics.jsonl")
    kinds = [line["kind"] for line in lines]
    assert [kinds.count(kind) for kind in ("step", "measure", "gradient", "cosine", "memory")] == [3, 3, 2, 2, 1]
    weights = job.method.losses
    for line in (line for line in lines if line["kind"] == "step"):
        assert line["total"] == pytest.approx(sum(weights[name] * line[name] for name in weights), rel=1e-4)
    assert set(rehearsal.values_of(lines, "measure")) == set(MEASURES.names())
    rehearsal.write_csv(tmp_path / "rehearsal.csv", {"msclnet": lines})
    with (tmp_path / "rehearsal.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["what"] for row in rows} == set(rehearsal.KINDS)
    rehearsal.draw(tmp_path / "rehearsal.png", {"msclnet": lines})
    assert (tmp_path / "rehearsal.png").stat().st_size > 10_000
    rehearsal.summarise("msclnet", lines)
    said = capsys.readouterr().out
    assert "### msclnet, 3 steps" in said
    assert all(f"| {name} |" in said for name in (*weights, *MEASURES.names()))
