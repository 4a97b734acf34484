"""Rank-1 by the pair of cameras that took the query and the gallery: which views are confused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from msclnet.core.errors import DataError
from msclnet.core.types import Features, Modality
from msclnet.report.figures.numbers import features_by_method
from msclnet.report.figures.style import Frame, layout

BLOCK = 1024  # queries compared at once


class CameraPair(NamedTuple):
    """Rank-1, in percent, of the queries of one camera in a gallery of all test images of another."""

    method: str
    query_camera: int
    gallery_camera: int
    rank1: float
    queries: int  # those whose identity the gallery holds
    gallery: int


def plot_cameras(frame: Frame, paths: Sequence[Path]) -> list[CameraPair]:
    """A panel a method: infrared query cameras by row, visible gallery cameras by column.

    ``paths`` end in ``<method>/split<N>/features.npz``, of one split. Writes the figure and its numbers; returns these.
    Raises DataError.
    """
    methods = frame.methods
    features = features_by_method(methods, paths)
    cells = [cell for method in methods for cell in camera_pairs(method, features[method])]
    queries = sorted({cell.query_camera for cell in cells})
    galleries = sorted({cell.gallery_camera for cell in cells})
    most = max(cell.rank1 for cell in cells)
    with layout():
        size = (max(7.5, (1.0 * len(galleries) + 1.2) * len(methods)), 0.9 * len(queries) + 2.6)
        figure = Figure(figsize=size, layout="constrained")
        for axes, method in zip(figure.subplots(1, len(methods), squeeze=False).flat, methods, strict=True):
            table = np.full((len(queries), len(galleries)), np.nan)
            for cell in cells:
                if cell.method == method:
                    table[queries.index(cell.query_camera), galleries.index(cell.gallery_camera)] = cell.rank1
            image = axes.imshow(table, cmap="cividis", vmin=0, vmax=most or 1.0, aspect="auto")
            for (row, column), value in np.ndenumerate(table):
                if not np.isnan(value):
                    dark = value < 0.5 * most
                    axes.text(column, row, f"{value:.1f}", ha="center", va="center", color="white" if dark else "black")
            compared = [cell.queries for cell in cells if cell.method == method]
            axes.set(
                title=f"{method}: {sum(compared):,} queries in {len(compared)} pairs",
                xlabel="gallery camera (visible)",
                ylabel="query camera (infrared)",
            )
            axes.set_xticks(range(len(galleries)), [str(camera) for camera in galleries])
            axes.set_yticks(range(len(queries)), [str(camera) for camera in queries])
            axes.grid(False)
            axes.label_outer()
        figure.colorbar(image, ax=figure.axes, label="Rank-1 (%)")
        figure.suptitle(f"{frame.title}: Rank-1 by pair of cameras")
        frame.save(figure)
    frame.write(CameraPair._fields, cells)
    return cells


def camera_pairs(method: str, features: Features) -> list[CameraPair]:
    """A cell for each infrared and each visible camera that share an identity; DataError when none do."""
    cells = []
    for query_camera in _cameras(features, Modality.INFRARED):
        for gallery_camera in _cameras(features, Modality.VISIBLE):
            gallery = _rows(features, Modality.VISIBLE, gallery_camera)
            query = _rows(features, Modality.INFRARED, query_camera)
            query = query[np.isin(features.identities[query], features.identities[gallery])]
            if len(query):
                hits = features.identities[gallery][_nearest(features.bn, query, gallery)] == features.identities[query]
                rank1 = 100 * float(hits.mean())
                cells.append(CameraPair(method, query_camera, gallery_camera, rank1, len(query), len(gallery)))
    if not cells:
        raise DataError(f"{method}: no identity was seen by an infrared and a visible camera; check the data set")
    return cells


def _nearest(features: np.ndarray, query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Positions in ``gallery`` of the images most similar to those of ``query``."""
    blocks = (query[start : start + BLOCK] for start in range(0, len(query), BLOCK))
    return np.concatenate([(features[rows] @ features[gallery].T).argmax(1) for rows in blocks])


def _rows(features: Features, modality: Modality, camera: int) -> np.ndarray:
    return np.flatnonzero((features.modality == modality) & (features.cameras == camera))


def _cameras(features: Features, modality: Modality) -> list[int]:
    return np.unique(features.cameras[features.modality == modality]).tolist()
