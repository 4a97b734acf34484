"""Colours are told apart by eyes that lack the cones for green, or those for red."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from msclnet.report.figures.style import COLOURS

# Machado, Oliveira and Fernandes, A physiologically-based model for simulation of color vision deficiency, 2009:
# of linear RGB, with nothing left of the cone.
EYES = {
    "all cones": np.eye(3),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = XYZ.sum(1)
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def seen(colour: str, eye: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB, as an eye sees it."""
    stored = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(XYZ @ np.clip(eye @ linear, 0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours: tuple[str, ...], eye: np.ndarray) -> float:
    """The difference (CIE 1976) of the two that are most alike; 2 is just noticed side by side."""
    return min(float(np.linalg.norm(seen(a, eye) - seen(b, eye))) for a, b in combinations(colours, 2))


@pytest.mark.parametrize("eye", EYES.values(), ids=list(EYES))
def test_no_two_colours_are_alike(eye: np.ndarray) -> None:
    assert nearest(COLOURS, eye) > 30


def test_seven_of_okabe_and_ito_would_be() -> None:
    assert nearest(OKABE_ITO, EYES["deuteranope"]) < 20
