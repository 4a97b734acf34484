"""RegDB: 412 identities, ten visible and ten thermal images each (Nguyen et al., Sensors 2017).

Layout: ``Visible/<identity>/*.bmp``, ``Thermal/<identity>/*.bmp`` and
``idx/{train,test}_{visible,thermal}_{1..10}.txt``. An index line is ``<relative path><space><label>``, CRLF or LF; the
folder, and the last number of the name, are the identity 1..412; labels 0..205 count a file's identities anew. Each
file has 2,060 lines. The ten splits are ten trainings: in each, half of the identities train, the other half test.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from msclnet.core.section import each_once
from msclnet.core.types import ImageRecord, Images, Modality
from msclnet.datasets.base import Problems, Split, Survey, amiss, compare, read_lines, require_layout
from msclnet.datasets.dataset import (
    AGW,
    CAJ,
    FIGURES,
    INFRARED_TO_VISIBLE,
    MSCLNET,
    VISIBLE_TO_INFRARED,
    DataSet,
    Printed,
    PrintedTable,
    SetOptions,
    StandInOptions,
    printed_table,
)
from msclnet.datasets.protocol import Comparison, Permutations, Rule, both_ways

if TYPE_CHECKING:  # drawing needs Pillow, reading does not
    from msclnet.standin.drawing import Cast

ROOT_KEY = "data.regdb.root"
FOLDERS = ("Visible", "Thermal", "idx")
LINES = 2060
LINE = re.compile(r"((?:Visible|Thermal)/([0-9]{1,9})/[^/]*?([0-9]{1,9})\.\w+) ([0-9]{1,9})")
NAMES = {Modality.VISIBLE: "visible", Modality.INFRARED: "thermal"}
CAMERAS = {Modality.VISIBLE: 1, Modality.INFRARED: 2}
SPLITS = tuple(range(1, 11))
SplitNumber = Annotated[int, Field(ge=SPLITS[0], le=SPLITS[-1])]
SIZE = (64, 128)  # pixels, width x height
CAST = 1  # other people than the other sets' stand-ins
EXPECTED = {
    "identities": 412,
    "visible images": 4120,
    "thermal images": 4120,
    "lines of the shortest index file": LINES,
    "lines of the longest index file": LINES,
}


class RegDB(DataSet):
    """See the head of this file."""

    name = "regdb"
    title = "RegDB"
    source = "Nguyen et al., Sensors 2017"
    protocol = (
        "RegDB's: half of the identities train, the other half test; all test images of one modality ask, all of "
        "the other answer, in both directions. Ten random splits, a training each."
    )

    class Options(SetOptions):
        splits: Annotated[tuple[SplitNumber, ...], AfterValidator(each_once)] = Field(
            min_length=1,
            description="which of the ten splits; each is a training of its own",
            json_schema_extra={"uniqueItems": True},
        )

    class StandIn(StandInOptions):
        identities: int = Field(ge=4, multiple_of=2, description="half of them train, half test, in each split")
        images: int = Field(ge=1, description="of each identity in each modality")

        @property
        def training_identities(self) -> int:
            return self.identities // 2

    every_split = SPLITS
    training_identities = 206
    training_images = (LINES, LINES)

    columns = ("direction",)
    order: ClassVar[Mapping[str, tuple[str, ...]]] = {"direction": (VISIBLE_TO_INFRARED, INFRARED_TO_VISIBLE)}
    trial: ClassVar[Literal["split", "draw"]] = "split"
    headline = ({"direction": VISIBLE_TO_INFRARED}, {"direction": INFRARED_TO_VISIBLE})
    # Means of ten trials. Of AGW*, the baseline with random erasing, nothing is in print.
    printed: ClassVar[PrintedTable] = {
        ("AGW", (VISIBLE_TO_INFRARED,)): Printed(rank1=70.05, mAP=66.37, mINP=50.19, source=AGW),
        ("AGW", (INFRARED_TO_VISIBLE,)): Printed(rank1=70.49, mAP=65.90, source=AGW),
        ("agw_ca", (VISIBLE_TO_INFRARED,)): Printed(rank1=85.03, mAP=79.14, mINP=65.33, source=CAJ, flip=True),
        **printed_table(
            MSCLNET,
            ("rank1", "mAP"),
            ((VISIBLE_TO_INFRARED,), (INFRARED_TO_VISIBLE,)),
            {
                "DDAG": (69.34, 63.46, 68.06, 61.80),
                "HAT": (71.83, 67.56, 70.02, 66.30),
                "NFS": (80.54, 72.10, 77.95, 69.97),
                "MCLNet": (80.31, 73.07, 75.93, 69.49),
                "MPANet": (83.70, 80.90, 82.80, 80.70),
                "msclnet": (84.17, 80.99, 83.86, 78.31),
            },
        ),
    }
    figures = tuple(figure for figure in FIGURES if figure != "cameras")  # one a modality: their pair is in the table

    def splits(self, options: SetOptions) -> tuple[int, ...]:
        assert isinstance(options, self.Options)
        return options.splits

    def survey(self, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
        require_layout(root, FOLDERS, ROOT_KEY)
        problems = Problems()
        files: dict[str, int] = {}
        result = {split: _read_split(root, split, problems, files) for split in splits or SPLITS}
        counts = _counts(result) | {
            "lines of the shortest index file": min(files.values()),
            "lines of the longest index file": max(files.values()),
        }
        if real:
            compare(counts, EXPECTED, root, problems)
            for name, lines in files.items():
                if lines != LINES:
                    problems.add(f"{root / 'idx' / name}: {lines} lines, expected {LINES}; restore the file")
        return Survey(f"{self.title} in {root}", result, counts, EXPECTED, problems.lines)

    def real_numbers(self, setting: Mapping[str, Any]) -> Mapping[str, int]:
        """2,060 images of each modality in each split's test half."""
        return {"queries": 2060, "gallery": 2060}

    def comparisons(
        self, images: Images, options: Any = None, source: Path | Permutations | None = None
    ) -> Iterator[Comparison]:
        """All test images of a split: one modality asks, the other answers."""
        return both_ways(images, Rule())

    def draw(self, root: Path, options: Any, seed: int, workers: int) -> None:
        """Writes Visible/, Thermal/ and idx/ with ten splits: each half of the identities in training, half in test."""
        from msclnet.standin.drawing import Cast, copy_lists, finish, in_parallel, lines

        cast = Cast(seed, CAST)
        if options.like:
            names = copy_lists(Path(options.like), root, "idx", f"stand_in.{self.name}.like")
            lists = [root / "idx" / name for name in names if name.endswith(".txt")]
            paths = sorted({line.split(" ")[0] for path in lists for line in lines(path)})
        else:
            paths = _write_lists(root, options, cast)
        of: dict[int, list[str]] = defaultdict(list)
        for path in paths:
            of[int(path.split("/")[1])].append(path)
        in_parallel(_draw_person, [(root, cast, *person) for person in sorted(of.items())], workers)
        finish(root, self.title, {"identities": len(of), "images": len(paths)})


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
        if said := amiss(root / match[1]):
            problems.add(f"{path}, line {number}: {said}")
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


def _write_lists(root: Path, options: Any, cast: Cast) -> list[str]:
    """Writes a stand-in's ten splits; returns the images' paths."""
    from msclnet.standin.drawing import SPLIT

    count = options.identities
    paths = {
        (identity, folder): [f"{folder}/{identity}/{name}" for name in _names(cast, identity, folder, options.images)]
        for identity in range(1, count + 1)
        for folder in ("Visible", "Thermal")
    }
    (root / "idx").mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        order = cast.rng(SPLIT, split).permutation(count) + 1
        for half, chosen in (("train", order[: count // 2]), ("test", order[count // 2 :])):
            for folder, name in (("Visible", "visible"), ("Thermal", "thermal")):
                lines = [
                    f"{path} {label}\r\n"
                    for label, identity in enumerate(sorted(chosen.tolist()))
                    for path in paths[identity, folder]
                ]
                (root / "idx" / f"{half}_{name}_{split}.txt").write_text("".join(lines), newline="")
    return [path for group in paths.values() for path in group]


def _names(cast: Cast, identity: int, folder: str, images: int) -> list[str]:
    """Names as the real ones: sex (only a word here), side, modality, frame, identity.

    RegDB shows each person from one side in both modalities.
    """
    from msclnet.standin.drawing import PRESENCE

    rng = cast.rng(PRESENCE, identity)
    sex, side = ("male", "female")[rng.integers(2)], ("front", "back")[rng.integers(2)]
    letter, frame = folder[0].lower(), (identity * 97) % 90000
    return [f"{sex}_{side}_{letter}_{frame + 3 * index:05d}_{identity}.bmp" for index in range(images)]


def _draw_person(task: tuple[Path, Cast, int, list[str]]) -> None:
    from msclnet.standin import people
    from msclnet.standin.drawing import IMAGE

    root, cast, identity, paths = task
    who = cast.person(identity)
    for folder, modality in (("Visible", Modality.VISIBLE), ("Thermal", Modality.INFRARED)):
        number = CAMERAS[modality]
        camera = cast.camera(number, number, modality, thermal=modality is Modality.INFRARED)
        (root / folder / str(identity)).mkdir(parents=True, exist_ok=True)
        for index, path in enumerate(path for path in paths if path.startswith(folder)):
            side: people.View = "back" if "_back_" in path else "front"
            people.draw(who, camera, *SIZE, cast.rng(IMAGE, identity, number, index), (side,)).save(root / path)
