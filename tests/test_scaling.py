"""What docs/scaling.md calculates is what the configuration gives."""

from __future__ import annotations

import pytest

from msclnet.config import Config, splits
from msclnet.data.sampling import steps_per_epoch
from tests.conftest import ROOT


@pytest.mark.parametrize(("name", "visible", "infrared"), [("regdb", 2060, 2060), ("sysu", 22258, 11909)])
def test_the_steps_are_those_of_the_papers_configuration(paper: Config, name: str, visible: int, infrared: int) -> None:
    pairs = paper.train.identities * paper.train.images
    epoch = steps_per_epoch(visible, infrared, pairs)
    training = epoch * paper.data.of(name).epochs
    count = len(splits(paper, name))
    images = 2 * pairs * training * count / 1e6
    row = f"| {epoch} | {training:,} | {count} | {training * count:,} | {images:.1f} million |"
    assert row in (ROOT / "docs/scaling.md").read_text()
