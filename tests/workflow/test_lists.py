"""People drawn like a real set's lists are drawn again when the lists say something else."""

from __future__ import annotations

from pathlib import Path

import yaml

from msclnet import config as settings
from msclnet.results import shared
from tests.conftest import ROOT
from tests.datasets import trees
from tests.workflow.test_dag import TINY, planned, snakemake


def test_another_list_draws_again_and_a_new_time_or_image_does_not(tmp_path: Path) -> None:
    real = trees.draw("regdb", tmp_path / "real")
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"stand_in": {"regdb": {"like": str(real)}}}))
    config = settings.load(str(ROOT / "config/config.yaml"), str(TINY), str(own))
    arguments = ("--", f"{shared.stand_in(config, 'regdb')}/drawn.json")
    snakemake(tmp_path, *arguments, configs=(TINY, own))
    (real / "Visible/of_another.bmp").write_text("no list")
    path = real / "idx/train_visible_1.txt"
    path.touch()
    assert not planned(snakemake(tmp_path, "-n", *arguments, configs=(TINY, own)))
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert planned(snakemake(tmp_path, "-n", *arguments, configs=(TINY, own)))["stand_in"] == 1
