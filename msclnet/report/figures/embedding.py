"""t-SNE of test features (van der Maaten and Hinton, JMLR 2008): Figure 5 a and b of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from msclnet.core.errors import ConfigError, DataError
from msclnet.core.types import Features, Modality
from msclnet.report.figures.numbers import features_by_method
from msclnet.report.figures.style import COLOURS, Frame, layout

PERPLEXITY = 30.0  # scikit-learn's default; less where there are few images
MARKERS = {Modality.VISIBLE: "o", Modality.INFRARED: "^"}


def plot_embedding(frame: Frame, identities: int, seed: int, paths: Sequence[Path]) -> np.ndarray:
    """A panel a method: the images of the same ``identities`` test identities, drawn by ``seed``, in the plane.

    Identity by colour, modality by marker. ``paths`` end in ``<method>/split<N>/features.npz``, of one split. Writes
    the figure and its numbers; returns the rows of the features that were drawn. Raises ConfigError for more identities
    than there are colours, and DataError.
    """
    methods = frame.methods
    if not 1 <= identities <= len(COLOURS):
        raise ConfigError(f"figures.identities: found {identities}, expected 1 to {len(COLOURS)}: a colour for each")
    features = features_by_method(methods, paths)
    rows = sample(features[methods[0]], identities, seed)
    people = np.unique(features[methods[0]].identities[rows])
    numbers = []
    with layout():
        figure = Figure(figsize=(max(7.5, 4.6 * len(methods)), 5.6), layout="constrained")
        for axes, method in zip(figure.subplots(1, len(methods), squeeze=False).flat, methods, strict=True):
            mine = features[method]
            points = project(mine.bn[rows], seed)
            for row, (x, y) in zip(rows, points, strict=True):
                identity, modality = int(mine.identities[row]), Modality(int(mine.modality[row]))
                numbers.append((method, mine.paths[row], identity, modality.name.lower(), float(x), float(y)))
                colour = COLOURS[int(np.searchsorted(people, identity))]
                face = colour if modality is Modality.VISIBLE else "none"
                axes.scatter(x, y, s=60, marker=MARKERS[modality], facecolor=face, edgecolor=colour, linewidth=1.6)
            axes.set(title=method, xticks=[], yticks=[])
        kinds = [
            Line2D([], [], color="#404040", linestyle="none", marker=MARKERS[m], markersize=9, label=m.name.lower(),
                   markerfacecolor="#404040" if m is Modality.VISIBLE else "none")
            for m in Modality
        ]  # fmt: skip
        kinds.append(Line2D([], [], linestyle="none", label=f"one colour for each of {len(people)} identities"))
        figure.suptitle(f"{frame.title}: t-SNE of {len(rows)} test images")
        figure.legend(handles=kinds, loc="outside lower center", ncols=3, frameon=False)
        frame.save(figure)
    frame.write(("method", "path", "identity", "modality", "x", "y"), numbers)
    return rows


def sample(features: Features, identities: int, seed: int) -> np.ndarray:
    """Rows, int64, of all images of ``identities`` identities (or all, where there are fewer) of both modalities."""
    seen = [set(features.identities[features.modality == m].tolist()) for m in Modality]
    both = sorted(seen[0] & seen[1])
    if not both:
        raise DataError("no test identity has images of both modalities; expected some: check the data set")
    chosen = np.random.default_rng(seed).choice(both, min(identities, len(both)), replace=False)
    return np.flatnonzero(np.isin(features.identities, chosen))


def project(features: np.ndarray, seed: int) -> np.ndarray:
    """Unit rows ``[N, D]`` -> points ``[N, 2]``, by the cosine distances that rank the gallery."""
    from sklearn.manifold import TSNE  # seconds of import, for this figure alone

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed)
    return tsne.fit_transform(features.astype(np.float64))
