"""The pack that the checks train on, drawn once; and a recipe as small as can be."""

from __future__ import annotations

import pytest

from msclnet.doctor.drawn import draw
from msclnet.doctor.place import Place

SMALLEST = """{data: {height: 48, width: 24}, model: {parts: 3, hidden: 8, rank: 4, rounds: 2},
  train: {identities: 4, images: 2, padding: 2}}"""


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One process on one core of the CPU, with the images drawn."""
    folder = tmp_path_factory.mktemp("doctor")
    place = Place(folder, folder, 0, 1, 1, (SMALLEST,))
    (line,) = draw(place)
    assert line.status == "pass"
    return place
