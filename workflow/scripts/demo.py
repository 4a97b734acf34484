"""Searches with the model of a short run, and puts all that it made into one page. The last step of `make demo`.

python workflow/scripts/demo.py --results results/experiments/demo --set regdb --method msclnet --split 1

The search is among the people that the model was tested on, none of whom it was trained on.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from msclnet.core.command import run, source, whole
from msclnet.core.errors import DataError
from msclnet.core.types import Features, Modality
from msclnet.evaluation.feature_file import load_features
from msclnet.inference.search import search
from msclnet.report.demo_page import write_page
from msclnet.results.layout import FEATURES, MODEL
from msclnet.results.tables import read_csv

TOP = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", required=True, type=source, help="the folder of the experiment")
    parser.add_argument("--set", required=True, help="the data set's name")
    parser.add_argument("--method", required=True, help="whose model is searched with")
    parser.add_argument("--split", required=True, type=whole(1), help="the split that it was trained on")
    args = parser.parse_args()
    results: Path = args.results
    training = results / args.set / args.method / f"split{args.split}"
    features, _ = load_features(training / FEATURES)
    photos = results / "photos"
    link_photos(features, (results / args.set / "images").resolve(), photos)
    query, sentence = choose(features)
    found = results / "found.html"
    modality = Modality.INFRARED.name.lower()
    search(training / MODEL, photos, [photos / query], TOP, None, modality, "other", "exact", results / "cache", found)
    summary = read_csv(results / f"{args.set}_summary.csv", ("feature", "trials"), "aggregate.py")
    page = results / "demo.html"
    write_page(page, args.set, summary, results / f"figures/{args.set}_ranked.png", found, sentence)
    print(f"\nThe table, the ranked lists and the search, in one page:\n{page.resolve()}")


def link_photos(features: Features, images: Path, photos: Path) -> None:
    """A folder with links to the test images alone."""
    for path in features.paths:
        link = photos / str(path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(images / str(path), link.parent))


def choose(features: Features) -> tuple[str, str]:
    """The first infrared test image, by its name, whose person is among the first; and a sentence that says so."""
    infrared = np.flatnonzero(features.modality == Modality.INFRARED)
    visible = np.flatnonzero(features.modality == Modality.VISIBLE)
    nearest = np.argsort(-(features.bn[infrared] @ features.bn[visible].T), axis=1, kind="stable")[:, :TOP]
    right = (features.identities[visible][nearest] == features.identities[infrared][:, None]).any(axis=1)
    if not right.any():
        raise DataError(f"none of {len(infrared)} infrared test images has its person among {TOP}; train longer")
    path = min(str(path) for path in features.paths[infrared[right]])
    return path, (
        f"Who is on {path}? The model was trained on nobody in this folder. The query is the first infrared test "
        f"image, by name, whose person is among the {TOP} nearest visible images. That is so for {right.sum()} of "
        f"{len(right)} infrared test images. The innermost folder of a path is the person's number."
    )


if __name__ == "__main__":
    run(main)
