"""RegDB: 412 identities, ten visible and ten thermal images each (Nguyen et al., Sensors 2017).

Layout: ``Visible/<identity>/*.bmp``, ``Thermal/<identity>/*.bmp`` and
``idx/{train,test}_{visible,thermal}_{1..10}.txt``. An index line is ``<relative path><space><label>``, CRLF or LF; the
folder, and the last number of the name, are the identity 1..412; labels 0..205 count a file's identities anew. Each
file has 2,060 lines. The ten splits are ten trainings: in each, half of the identities train, the other half test.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from pathlib import Path

from msclnet.core.types import ImageRecord, Modality
from msclnet.datasets.base import Problems, Split, Survey, compare, read_lines, require_layout

ROOT_KEY = "data.regdb.root"
FOLDERS = ("Visible", "Thermal", "idx")
LINES = 2060
LINE = re.compile(r"((?:Visible|Thermal)/([0-9]{1,9})/[^/]*?([0-9]{1,9})\.\w+) ([0-9]{1,9})")
NAMES = {Modality.VISIBLE: "visible", Modality.INFRARED: "thermal"}
CAMERAS = {Modality.VISIBLE: 1, Modality.INFRARED: 2}


EXPECTED = {
    "identities": 412,
    "visible images": 4120,
    "thermal images": 4120,
    "lines of the shortest index file": LINES,
    "lines of the longest index file": LINES,
}


def survey(root: Path, splits: tuple[int, ...], *, real: bool) -> Survey:
    """The images of each split; ``real`` also holds the counts against the real set's.

    Raises DataError where ``root`` has not the set's folders.
    """
    require_layout(root, FOLDERS, ROOT_KEY)
    problems = Problems()
    files: dict[str, int] = {}
    result = {split: _read_split(root, split, problems, files) for split in splits}
    counts = _counts(result) | {
        "lines of the shortest index file": min(files.values()),
        "lines of the longest index file": max(files.values()),
    }
    if real:
        compare(counts, EXPECTED, root, problems)
        for name, lines in files.items():
            if lines != LINES:
                problems.add(f"{root / 'idx' / name}: {lines} lines, expected {LINES}; restore the file")
    return Survey(f"RegDB in {root}", result, counts, EXPECTED, problems.lines)


def _counts(splits: dict[int, Split]) -> dict[str, int]:
    records = {record for split in splits.values() for record in (*split.train, *split.test)}
    return {
        "identities": len({record.identity for record in records}),
        "visible images": sum(record.modality is Modality.VISIBLE for record in records),
        "thermal images": sum(record.modality is Modality.INFRARED for record in records),
    }


def _read_split(root: Path, split: int, problems: Problems, files: dict[str, int]) -> Split:
    """The lines of each index file go into ``files``."""
    halves: dict[str, list[ImageRecord]] = {}
    for half in ("train", "test"):
        by_modality = {m: _read_index(root, f"{half}_{NAMES[m]}_{split}.txt", m, problems) for m in Modality}
        files |= {f"{half}_{NAMES[m]}_{split}.txt": len(records) for m, records in by_modality.items()}
        visible, infrared = ({record.identity for record in by_modality[m]} for m in Modality)
        for identity in sorted(visible ^ infrared):
            has, lacks = ("visible", "thermal") if identity in visible else ("thermal", "visible")
            problems.add(
                f"idx/{half}_*_{split}.txt: identity {identity} has {has} images only; expected both modalities: "
                f"add its {lacks} lines or remove it from the split"
            )
        halves[half] = [record for m in Modality for record in by_modality[m]]
    shared = {record.identity for record in halves["train"]} & {record.identity for record in halves["test"]}
    if shared:
        problems.add(
            f"idx/*_{split}.txt: identities {', '.join(map(str, sorted(shared)[:10]))} are in train and in test; "
            "expected disjoint halves: restore the set's own idx files"
        )
    return Split(tuple(halves["train"]), tuple(halves["test"]))


def _read_index(root: Path, name: str, modality: Modality, problems: Problems) -> list[ImageRecord]:
    path = root / "idx" / name
    folder = "Visible" if modality is Modality.VISIBLE else "Thermal"
    records: list[ImageRecord] = []
    identity_of: dict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(read_lines(path, problems), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.rstrip())
        if not match or match[2] != match[3] or not match[1].startswith(folder):
            problems.add(
                f"{path}, line {number}: {line.rstrip()!r}; expected "
                f"'{folder}/<identity>/<name>_<identity>.bmp <label>': correct the line or restore the file"
            )
            continue
        if not os.path.isfile(root / match[1]):  # False, where Path.is_file raises, for a name no file can have
            problems.add(f"{path}, line {number}: {root / match[1]} does not exist; copy it from the set's archive")
        records.append(ImageRecord(match[1], int(match[2]), CAMERAS[modality], modality))
        identity_of[match[4]].add(int(match[2]))
    labels_of = Counter(identity for identities in identity_of.values() for identity in identities)
    mixed = sorted({label for label, ids in identity_of.items() if len(ids) > 1})
    if mixed or any(count > 1 for count in labels_of.values()):
        split = sorted(identity for identity, count in labels_of.items() if count > 1)
        problems.add(
            f"{path}: labels {mixed} stand for several identities, identities {split} have several labels; "
            "expected one label an identity: restore the file"
        )
    if twice := sorted(path for path, count in Counter(record.path for record in records).items() if count > 1):
        problems.add(f"{path}: lists {twice[0]} twice; expected each image once: restore the file")
    return records
