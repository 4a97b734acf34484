"""Distances across modalities, within an identity and between identities: Figure 5 c and d of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from msclnet.core.errors import DataError
from msclnet.core.types import Features, Modality
from msclnet.report.figures.numbers import features_by_method
from msclnet.report.figures.style import COLOURS, STYLES, Frame, layout

BINS = np.linspace(0.0, 2.0, 201)  # of the distance of two features of unit length
KINDS = ("intra", "inter")


class Spread(NamedTuple):
    """The distances of one kind of pairs of a method.

    Their number, mean, standard deviation, and density by bin (``[200]``).
    """

    method: str
    kind: str
    pairs: int
    mean: float
    sigma: float
    density: np.ndarray


def plot_distances(frame: Frame, paths: Sequence[Path]) -> list[Spread]:
    """A panel a method: densities of the Euclidean distance between every visible and every infrared test image.

    Features have unit length, so that it is ``sqrt(2 - 2 cos)``, the paper's unit. Dotted lines are the means; their
    difference, the gap, and the standard deviations are written beside them, and the participation ratio of the
    features: a gap is large, too, where few directions are left. ``paths`` end in ``<method>/split<N>/features.npz``,
    of one split. Writes the figure and its numbers; returns these. Raises DataError.
    """
    methods = frame.methods
    features = features_by_method(methods, paths)
    ratios = {method: participation_ratio(features[method].bn) for method in methods}
    spreads = [spread for method in methods for spread in cross_modality(method, features[method])]
    with layout():
        figure = Figure(figsize=(max(7.5, 5.2 * len(methods)), 4.9), layout="constrained")
        grid = figure.subplots(1, len(methods), sharex=True, squeeze=False).flat
        for axes, method in zip(grid, methods, strict=True):
            mine = [spread for spread in spreads if spread.method == method]
            for place, spread in enumerate(mine):
                look = {"color": COLOURS[place], "linestyle": STYLES[place]}
                axes.stairs(spread.density, BINS, label=f"{spread.kind}-identity", linewidth=2.2, **look)
                axes.stairs(spread.density, BINS, fill=True, color=look["color"], alpha=0.18)
                axes.axvline(spread.mean, color=look["color"], linestyle=":")
            intra, inter = mine
            pairs = " and ".join(f"{spread.pairs:,}" for spread in mine)
            axes.set_title(
                f"{method}: {pairs} pairs\n"
                f"means {intra.mean:.3f} and {inter.mean:.3f}, gap {inter.mean - intra.mean:.3f}\n"
                f"$\\sigma$ {intra.sigma:.3f} and {inter.sigma:.3f}\n"
                f"participation ratio {ratios[method]:.1f} of {features[method].bn.shape[1]}"
            )
            axes.set(xlabel="Euclidean distance", ylabel="density")
        occupied = np.flatnonzero(sum(spread.density for spread in spreads))
        axes.set_xlim(max(0.0, BINS[occupied[0]] - 0.05), min(2.0, BINS[occupied[-1] + 1] + 0.05))
        figure.suptitle(f"{frame.title}: distances between visible and infrared test images")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        frame.save(figure)
    bins = list(zip(BINS[:-1].tolist(), BINS[1:].tolist(), strict=True))
    rows = [
        (
            *(spread.method, spread.kind, low, high, float(density), spread.pairs, spread.mean, spread.sigma),
            ratios[spread.method],
        )
        for spread in spreads
        for (low, high), density in zip(bins, spread.density, strict=True)
    ]
    frame.write(("method", "kind", "from", "to", "density", "pairs", "mean", "sigma", "participation_ratio"), rows)
    return spreads


def participation_ratio(features: np.ndarray) -> float:
    """How many directions features use: ``(sum of l)^2 / sum of l^2`` over the eigenvalues ``l`` of their covariance.

    Source: Gao et al., A theory of multineuronal dimensionality, dynamics and measurement, 2017.

    Args:
        features: float ``[N, D]``.

    Returns:
        1, where all lie on a line, to D, where they spread alike in all directions; 0 where all are alike.
    """
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    covariance = centred.T @ centred
    spread = np.square(covariance).sum()
    return float(np.trace(covariance) ** 2 / spread) if spread else 0.0


def cross_modality(method: str, features: Features) -> list[Spread]:
    """The spreads of intra- and inter-identity pairs; DataError when there is no pair of either kind."""
    visible, infrared = (features.modality == m for m in Modality)
    distances = features.bn[visible] @ features.bn[infrared].T
    np.sqrt(np.clip(2 - 2 * distances, 0, 4, out=distances), out=distances)
    same = features.identities[visible][:, None] == features.identities[infrared][None, :]
    spreads = []
    for kind, chosen in zip(KINDS, (same, ~same), strict=True):
        values = distances[chosen]
        if not len(values):
            raise DataError(f"{method}: no {kind}-identity pair of test images; expected two identities or more")
        density, _ = np.histogram(values, BINS, density=True)
        mean, sigma = (float(of(values, dtype=np.float64)) for of in (np.mean, np.std))
        spreads.append(Spread(method, kind, len(values), mean, sigma, density))
    return spreads
