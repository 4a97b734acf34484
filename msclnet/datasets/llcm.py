"""LLCM: 1,064 identities, nine visible and eight near-infrared cameras, low light (Zhang & Wang, CVPR 2023).

Layout: ``idx/{train,test}_{vis,nir}.txt``, ``idx/test_id.txt``, the training images in ``vis/<identity>/`` and
``nir/<identity>/``, the test images in ``test_vis/cam<n>/<identity>/`` and ``test_nir/cam<n>/<identity>/``. A line is
``vis/0250/0250_c03_s200519_f13770_vis.jpg 0``: the identity as %04d, the camera after ``c``; labels count the file's
identities in the order of its lines. 713 identities train (16,946 visible and 13,975 near-infrared images), 351 test
(8,680 and 7,166). ``test_id.txt`` is one unsorted line of zero-padded identities. The near-infrared cameras are 1, 2
and 4 to 9.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from msclnet.core.types import ImageRecord, Modality
from msclnet.datasets.base import Problems, Split, Survey, compare, read_identities, read_lines, require_layout

ROOT_KEY = "data.llcm.root"
NAMES = {Modality.VISIBLE: "vis", Modality.INFRARED: "nir"}
FOLDERS = (*NAMES.values(), *(f"test_{name}" for name in NAMES.values()), "idx")
LINE = re.compile(r"((vis|nir)/([0-9]{4})/([0-9]{4})_c([0-9]{2})_[^/]*_(vis|nir)\.\w+) ([0-9]{1,9})")
EXPECTED = {
    "training identities": 713,
    "test identities": 351,
    "training visible images": 16946,
    "training infrared images": 13975,
    "test visible images": 8680,
    "test infrared images": 7166,
}


def survey(root: Path, *, real: bool) -> Survey:
    """The one split, called 1, in the order of the index files; ``real`` also holds the counts against the real set's.

    Raises DataError where ``root`` has not the set's folders.
    """
    require_layout(root, FOLDERS, ROOT_KEY)
    problems = Problems()
    halves = {
        half: [record for m in Modality for record in _read_index(root, half, m, problems)]
        for half in ("train", "test")
    }
    people = {half: {m: {r.identity for r in halves[half] if r.modality is m} for m in Modality} for half in halves}
    for half, seen in people.items():
        for identity in sorted(seen[Modality.VISIBLE] ^ seen[Modality.INFRARED]):
            has, lacks = ("vis", "nir") if identity in seen[Modality.VISIBLE] else ("nir", "vis")
            problems.add(
                f"idx/{half}_*.txt: identity {identity:04d} has {has} images only; expected both modalities: add its "
                f"{lacks} lines or remove it"
            )
    trained, tested = (set().union(*seen.values()) for seen in people.values())
    if trained & tested:
        problems.add(
            f"idx/train_*.txt and idx/test_*.txt share the identities "
            f"{', '.join(f'{identity:04d}' for identity in sorted(trained & tested)[:10])}; expected disjoint halves: "
            "restore the set's own idx files"
        )
    listed = set(read_identities(root / "idx" / "test_id.txt", problems))
    if listed != tested:
        one = sorted(listed ^ tested)[0]
        where = "in no test_*.txt" if one in listed else "not in it"
        problems.add(
            f"{root / 'idx' / 'test_id.txt'}: identity {one:04d} is {where}; expected the identities of test_vis.txt "
            "and test_nir.txt: restore the files"
        )
    split = Split(tuple(halves["train"]), tuple(halves["test"]))
    counts = _counts(split)
    if real:
        compare(counts, EXPECTED, root, problems)
    return Survey(f"LLCM in {root}", {1: split}, counts, EXPECTED, problems.lines)


def image_path(half: str, listed: str, camera: int) -> str:
    """Where the image of an index line lies: a test image is not where its line says."""
    folder, rest = listed.split("/", 1)
    return listed if half == "train" else f"test_{folder}/cam{camera}/{rest}"


def _counts(split: Split) -> dict[str, int]:
    train, test = (Counter(record.modality for record in half) for half in (split.train, split.test))
    return {
        "training identities": len({record.identity for record in split.train}),
        "test identities": len({record.identity for record in split.test}),
        "training visible images": train[Modality.VISIBLE],
        "training infrared images": train[Modality.INFRARED],
        "test visible images": test[Modality.VISIBLE],
        "test infrared images": test[Modality.INFRARED],
    }


def _read_index(root: Path, half: str, modality: Modality, problems: Problems) -> list[ImageRecord]:
    name = NAMES[modality]
    index = root / "idx" / f"{half}_{name}.txt"
    records: list[ImageRecord] = []
    for number, line in enumerate(read_lines(index, problems), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.rstrip())
        if not match or match[3] != match[4] or not match[2] == match[6] == name:
            problems.add(
                f"{index}, line {number}: {line.rstrip()!r}; expected "
                f"'{name}/<identity>/<identity>_c<camera>_<name>_{name}.jpg <label>': correct it or restore the file"
            )
            continue
        path = image_path(half, match[1], int(match[5]))
        if not os.path.isfile(root / path):  # False, where Path.is_file raises, for a name no file can have
            problems.add(f"{index}, line {number}: {root / path} does not exist; copy it from the set's archive")
        records.append(ImageRecord(path, int(match[3]), int(match[5]), modality))
    if twice := sorted(path for path, count in Counter(record.path for record in records).items() if count > 1):
        problems.add(f"{index}: lists {twice[0]} twice; expected each image once: restore the file")
    return records
