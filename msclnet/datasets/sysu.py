"""SYSU-MM01: 491 identities, four visible and two infrared cameras (Wu et al., ICCV 2017).

Layout: ``cam{1..6}/<identity as %04d>/<number as %04d>.jpg`` and ``exp/{train,val,test}_id.txt``, one line of
comma-separated unpadded integers each. Cameras 1, 2, 4, 5 are visible, 3 and 6 infrared. Training is on train + val
(395 identities, 22,258 visible and 11,909 infrared images); the queries are all 3,803 infrared images of the 96 test
identities.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from msclnet.core.types import ImageRecord, Modality
from msclnet.datasets.base import Problems, Split, Survey, compare, images_in, read_identities, require_layout

ROOT_KEY = "data.sysu.root"
CAMERAS = {1: Modality.VISIBLE, 2: Modality.VISIBLE, 3: Modality.INFRARED, 4: Modality.VISIBLE, 5: Modality.VISIBLE}
CAMERAS |= {6: Modality.INFRARED}
FOLDERS = (*(f"cam{camera}" for camera in CAMERAS), "exp")
EXPECTED = {
    "training identities": 395,  # 296 + 99
    "test identities": 96,
    "training visible images": 22258,
    "training infrared images": 11909,
    "query images": 3803,
    "gallery images, all-search, single-shot": 301,
    "gallery images, all-search, multi-shot": 3010,
    "gallery images, indoor, single-shot": 112,
    "gallery images, indoor, multi-shot": 1120,
}


def survey(root: Path, *, real: bool) -> Survey:
    """The one split, called 1: train + val identities, and the test identities, in every camera.

    Sorted by identity, camera, file. ``real`` also holds the counts against the real set's. Raises DataError where
    ``root`` has not the set's folders.
    """
    require_layout(root, FOLDERS, ROOT_KEY)
    problems = Problems()
    lists = {name: read_identities(root / "exp" / f"{name}_id.txt", problems) for name in ("train", "val", "test")}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := sorted(set(lists[a]) & set(lists[b])):
            problems.add(
                f"exp/{a}_id.txt and exp/{b}_id.txt share the identities {', '.join(map(str, shared[:10]))}; expected "
                "disjoint lists: restore the set's own files"
            )
    train, test = _records(root, lists["train"] + lists["val"]), _records(root, lists["test"])
    seen = {modality: {r.identity for r in train if r.modality is modality} for modality in Modality}
    for identity in sorted(lists["train"] + lists["val"]):
        for modality in Modality:
            if identity not in seen[modality]:
                cameras = [f"cam{camera}" for camera, m in CAMERAS.items() if m is modality]
                problems.add(
                    f"training identity {identity:04d} has no {modality.name.lower()} image in {', '.join(cameras)}; "
                    "expected both modalities: copy its folders or remove it from exp/"
                )
    split = Split(train, test)
    counts = _counts(split)
    if real:
        compare(counts, EXPECTED, root, problems)
    return Survey(f"SYSU-MM01 in {root}", {1: split}, counts, EXPECTED, problems.lines)


def _counts(split: Split) -> dict[str, int]:
    images = Counter(record.modality for record in split.train)
    places = Counter((r.identity, r.camera) for r in split.test if r.modality is Modality.VISIBLE)
    galleries = {
        f"gallery images, {mode}, {name}": sum(
            min(shots, count) for (_, camera), count in places.items() if camera in cameras
        )
        for mode, cameras in (("all-search", (1, 2, 4, 5)), ("indoor", (1, 2)))
        for name, shots in (("single-shot", 1), ("multi-shot", 10))
    }
    return {
        "training identities": len({record.identity for record in split.train}),
        "test identities": len({record.identity for record in split.test}),
        "training visible images": images[Modality.VISIBLE],
        "training infrared images": images[Modality.INFRARED],
        "query images": sum(record.modality is Modality.INFRARED for record in split.test),
        **galleries,
    }


def _records(root: Path, identities: list[int]) -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(f"cam{camera}/{identity:04d}/{name}", identity, camera, modality)
        for identity in sorted(identities)
        for camera, modality in CAMERAS.items()
        for name in images_in(root / f"cam{camera}" / f"{identity:04d}")
    )
