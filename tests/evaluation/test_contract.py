"""Other people's features against what a data set is: cameras by modality, and the numbers of the real set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import msclnet
from msclnet.core.errors import DataError
from msclnet.evaluation.scoring import unlike_the_real


def features(cameras: dict[int, tuple[int, ...]], people: int = 4) -> dict[str, Any]:
    """An image of each identity in each camera, by modality."""
    rows = [(who, camera, m) for who in range(1, people + 1) for m, found in cameras.items() for camera in found]
    identities, numbers, modality = np.array(rows).T
    drawn = np.random.default_rng(0).standard_normal((len(rows), 8)).astype(np.float32)
    return {"features": drawn, "identities": identities, "cameras": numbers, "modality": modality}


SYSU = {0: (1, 2, 4, 5), 1: (3, 6)}


@pytest.mark.parametrize(
    ("data", "cameras", "message"),
    [
        (
            "sysu",
            {0: (0, 1, 3, 4), 1: (2, 5)},
            r"cameras: found 0 on visible images, first in row 0 .*, and SYSU-MM01 has",
        ),
        ("sysu", {0: (3, 6), 1: (1, 2)}, "cameras: found 3 on visible images, .*, and SYSU-MM01 has 1, 2, 4, 5 there"),
        (
            "sysu",
            SYSU | {1: (3, 6, 7)},
            "cameras: found 7 on infrared images, .*, and SYSU-MM01 has 3, 6 there",
        ),
        (
            "llcm",
            {0: (1, 2), 1: (3, 4)},
            "cameras: found 3 on infrared images, .*, and LLCM has 1, 2, 4, 5",
        ),
    ],
)
def test_cameras_that_a_set_has_not_are_refused(data: str, cameras: dict, message: str) -> None:
    """Half of the gallery was passed over, without a word."""
    with pytest.raises(DataError, match=message):
        msclnet.evaluate(**features(cameras), data=data, direction="visible-to-infrared")


@pytest.mark.parametrize(("cameras", "only"), [({0: (1, 2, 4, 5)}, "visible"), ({1: (3, 6)}, "infrared")])
def test_one_modality_alone_is_refused(cameras: dict, only: str) -> None:
    with pytest.raises(
        DataError, match=f"modality: all {4 * sum(map(len, cameras.values()))} images are {only}; expec"
    ):
        msclnet.evaluate(**features(cameras), data="sysu")


def test_regdbs_protocol_reads_no_camera() -> None:
    found = msclnet.evaluate(**features({0: (77,), 1: (78,)}), data="regdb", direction="visible-to-infrared")
    assert (found["queries"], found["gallery"]) == (4, 4)


def test_numbers_that_are_not_the_real_sets_are_noted() -> None:
    found = msclnet.evaluate(**features(SYSU), data="sysu", mode="all", shots=1)
    assert unlike_the_real(found) == (
        "8 queries in place of 3,803, 16 gallery in place of 301: these are not the images of the real SYSU-MM01"
    )
    real = {"data": "sysu", "mode": "indoor", "shots": 10, "queries": 3803, "gallery": 1120}
    assert unlike_the_real(real) == ""
    assert (
        unlike_the_real({"data": "regdb", "direction": "visible-to-infrared", "queries": 2060, "gallery": 2060}) == ""
    )
    llcm = {"data": "llcm", "direction": "infrared-to-visible", "queries": 7166, "gallery": 1}
    assert unlike_the_real(llcm) == ""
