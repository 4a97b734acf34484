"""A training half as the arrays that the field's code reads: what its preprocessing scripts write, to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msclnet.core.errors import ConfigError
from msclnet.core.files import atomic_write
from msclnet.core.types import Modality
from msclnet.data.depth import DeepRange
from msclnet.data.pack import in_order, write_images
from msclnet.datasets.dataset import DataSet

NAMES = {Modality.VISIBLE: "rgb", Modality.INFRARED: "ir"}


def export_npy(
    data_set: DataSet,
    root: Path,
    out: Path,
    height: int,
    width: int,
    workers: int,
    *,
    split: int | None = None,
    real: bool = True,
    deep_range: DeepRange | None = None,
) -> dict[str, int]:
    """Writes ``train_{rgb,ir}_resized_{img,label,cam}.npy`` of the training half; returns the images of each.

    ``img`` is uint8 ``[N, height, width, 3]``, RGB resized by LANCZOS, streamed to the disk by ``workers`` processes;
    the order is by identity, camera, file. ``label`` (int64 ``[N]``) counts the sorted identities from 0; ``cam``
    (int64 ``[N]``) is the camera's number. ``split`` may be None where there is
    one. ``deep_range`` as in ``to_grey``. Raises ConfigError for a split that there is not, DataError for what is amiss
    with the set, or an image.
    """
    asked = data_set.require_splits(() if split is None else (split,))
    splits = data_set.survey(root, asked, real=real).require()
    if split is None and len(splits) > 1:
        raise ConfigError(f"split: {data_set.title} has the splits {', '.join(map(str, splits))}; name one")
    train = splits[next(iter(splits)) if split is None else split].train
    labels = {identity: label for label, identity in enumerate(sorted({record.identity for record in train}))}
    out.mkdir(parents=True, exist_ok=True)
    images = {}
    for modality, name in NAMES.items():
        records = in_order(record for record in train if record.modality is modality)
        with atomic_write(out / f"train_{name}_resized_img.npy") as partial:
            write_images(records, root, partial, height, width, workers, deep_range=deep_range)
        vectors = {"label": [labels[record.identity] for record in records], "cam": [r.camera for r in records]}
        for kind, values in vectors.items():
            with atomic_write(out / f"train_{name}_resized_{kind}.npy") as partial, partial.open("wb") as file:
                np.save(file, np.array(values, np.int64))
        images[name] = len(records)
    return images
