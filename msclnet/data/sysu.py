"""SYSU-MM01: 491 identities, four visible and two infrared cameras (Wu et al., ICCV 2017).

Layout: ``cam{1..6}/<identity as %04d>/<number as %04d>.jpg`` and ``exp/{train,val,test}_id.txt``, one line of
comma-separated unpadded integers each. Cameras 1, 2, 4, 5 are visible, 3 and 6 infrared. Training is on train + val
(395 identities, 22,258 visible and 11,909 infrared images); the queries are all 3,803 infrared images of the 96 test
identities.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from msclnet.data.contract import Problems, Split, images_in, require_layout
from msclnet.types import Modality, Record

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
}


def read(root: Path, *, real: bool) -> dict[int, Split]:
    """The one split, called 1: train + val identities, and the test identities, in every camera.

    Sorted by identity, camera, file. ``real`` also holds the counts against the real set's. Raises DataError listing
    what is amiss, each with its remedy.
    """
    require_layout(root, FOLDERS, ROOT_KEY)
    problems = Problems()
    lists = {name: _read_ids(root / "exp" / f"{name}_id.txt", problems) for name in ("train", "val", "test")}
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
    result = {1: Split(train, test)}
    if real:
        for name, found in summary(result).items():
            if found != EXPECTED[name]:
                problems.add(f"{root}: {found} {name}, expected {EXPECTED[name]}; unpack the set again")
    problems.raise_any(f"SYSU-MM01 in {root}")
    return result


def summary(splits: dict[int, Split]) -> dict[str, int]:
    """What was found, for the check's table."""
    split = splits[1]
    images = Counter(record.modality for record in split.train)
    return {
        "training identities": len({record.identity for record in split.train}),
        "test identities": len({record.identity for record in split.test}),
        "training visible images": images[Modality.VISIBLE],
        "training infrared images": images[Modality.INFRARED],
        "query images": sum(record.modality is Modality.INFRARED for record in split.test),
    }


def _read_ids(path: Path, problems: Problems) -> list[int]:
    if not path.is_file():
        problems.add(f"{path}: no such file; expected the set's list of identities: copy exp/ from its archive")
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    words = [word.strip() for word in text.replace("\n", ",").split(",") if word.strip()]
    if wrong := [word for word in words if not (word.isascii() and word.isdigit())]:
        problems.add(f"{path}: {wrong[0]!r} is no identity; expected integers separated by commas: restore the file")
    return [int(word) for word in words if word.isascii() and word.isdigit()]


def _records(root: Path, identities: list[int]) -> tuple[Record, ...]:
    return tuple(
        Record(f"cam{camera}/{identity:04d}/{name}", identity, camera, modality)
        for identity in sorted(identities)
        for camera, modality in CAMERAS.items()
        for name in images_in(root / f"cam{camera}" / f"{identity:04d}")
    )
