"""LLCM: 1,064 identities, nine visible and eight near-infrared cameras, low light (Zhang & Wang, CVPR 2023).

Layout: ``idx/{train,test}_{vis,nir}.txt``, ``idx/test_id.txt``, the training images in ``vis/<identity>/`` and
``nir/<identity>/``, the test images in ``test_vis/cam<n>/<identity>/`` and ``test_nir/cam<n>/<identity>/``. A line is
``vis/0250/0250_c03_s200519_f13770_vis.jpg 0``: the identity as %04d, the camera after ``c``; labels count the file's
identities in the order of its lines. 713 identities train (16,946 visible and 13,975 near-infrared images), 351 test
(8,680 and 7,166). ``test_id.txt`` is one unsorted line of zero-padded identities. The near-infrared cameras are 1, 2
and 4 to 9.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from msclnet.core.errors import ConfigError
from msclnet.core.section import Section
from msclnet.core.types import ImageRecord, Images, Modality
from msclnet.datasets.base import Problems, Split, Survey, amiss, compare, read_identities, read_lines, require_layout
from msclnet.datasets.dataset import INFRARED_TO_VISIBLE, VISIBLE_TO_INFRARED, DataSet, StandInOptions
from msclnet.datasets.protocol import DIRECTIONS, Comparison, Permutations, Rule, Setting, community_gallery

if TYPE_CHECKING:  # drawing needs Pillow, reading does not
    from msclnet.standin.drawing import Cast

ROOT_KEY = "data.llcm.root"
NAMES = {Modality.VISIBLE: "vis", Modality.INFRARED: "nir"}
FOLDERS = (*NAMES.values(), *(f"test_{name}" for name in NAMES.values()), "idx")
LINE = re.compile(r"((vis|nir)/([0-9]{4})/([0-9]{4})_c([0-9]{2})_[^/]*_(vis|nir)\.\w+) ([0-9]{1,9})")
CAMERAS = {Modality.VISIBLE: (1, 2, 3, 4, 5, 6, 7, 8, 9), Modality.INFRARED: (1, 2, 4, 5, 6, 7, 8, 9)}
RULE = Rule(same_camera_ignored=True, identity_unique=True)  # the paper, and its public code
CAST = 3  # other people than the other sets' stand-ins
EXPECTED = {
    "training identities": 713,
    "test identities": 351,
    "training visible images": 16946,
    "training infrared images": 13975,
    "test visible images": 8680,
    "test infrared images": 7166,
}


class LLCM(DataSet):
    """See the head of this file."""

    name = "llcm"
    title = "LLCM"
    source = "Zhang & Wang, CVPR 2023"
    protocol = (
        "LLCM's (Zhang & Wang, CVPR 2023): all test images of one modality ask, in both directions; the gallery "
        "holds one image of each identity and camera of the other, drawn ten times; a query does not see its own "
        "identity in its own camera."
    )

    class StandIn(StandInOptions):
        train: int = Field(ge=1, description="identities")
        test: int = Field(ge=1, description="identities")
        images: int = Field(ge=1, description="the most of each identity and camera")

        @property
        def training_identities(self) -> int:
            return self.train

    class Evaluation(Section):
        draws: int = Field(default=10, ge=1, description="galleries drawn, of which the mean is taken")

    training_identities = EXPECTED["training identities"]
    training_images = (EXPECTED["training visible images"], EXPECTED["training infrared images"])

    columns = ("direction",)
    order: ClassVar[Mapping[str, tuple[str, ...]]] = {"direction": (VISIBLE_TO_INFRARED, INFRARED_TO_VISIBLE)}
    cameras: ClassVar[Mapping[Modality, tuple[int, ...]]] = CAMERAS
    trial: ClassVar[Literal["split", "draw"]] = "draw"
    headline = ({"direction": VISIBLE_TO_INFRARED}, {"direction": INFRARED_TO_VISIBLE})
    listed: ClassVar[Mapping[str, Any]] = {"draws": 1}

    def survey(self, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
        """The one split, called 1, in the order of the index files."""
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
                    f"idx/{half}_*.txt: identity {identity:04d} has {has} images only; expected both modalities: "
                    f"add its {lacks} lines or remove it"
                )
        trained, tested = (set().union(*seen.values()) for seen in people.values())
        if trained & tested:
            problems.add(
                f"idx/train_*.txt and idx/test_*.txt share the identities "
                f"{', '.join(f'{identity:04d}' for identity in sorted(trained & tested)[:10])}; expected disjoint "
                "halves: restore the set's own idx files"
            )
        listed = set(read_identities(root / "idx" / "test_id.txt", problems))
        if listed != tested:
            one = sorted(listed ^ tested)[0]
            where = "in no test_*.txt" if one in listed else "not in it"
            problems.add(
                f"{root / 'idx' / 'test_id.txt'}: identity {one:04d} is {where}; expected the identities of "
                "test_vis.txt and test_nir.txt: restore the files"
            )
        split = Split(tuple(halves["train"]), tuple(halves["test"]))
        counts = _counts(split)
        if real:
            compare(counts, EXPECTED, root, problems)
        return Survey(f"{self.title} in {root}", {1: split}, counts, EXPECTED, problems.lines)

    def real_numbers(self, setting: Mapping[str, Any]) -> Mapping[str, int]:
        """All test images of the query's modality; the gallery is drawn."""
        asking, _ = DIRECTIONS[setting["direction"]]
        return {"queries": EXPECTED[f"test {asking.name.lower()} images"]}

    def comparisons(
        self, images: Images, options: Any = None, source: Path | Permutations | None = None
    ) -> Iterator[Comparison]:
        """Both directions and the draws 0..draws-1: one image of each identity and camera, drawn as in SYSU-MM01.

        The cameras are those that the gallery's modality has, by number.
        """
        draws = (options or self.Evaluation()).draws
        for direction, (asking, answering) in DIRECTIONS.items():
            query = np.flatnonzero(images.modality == asking)
            cameras = np.unique(images.cameras[images.modality == answering]).tolist()
            for draw in range(draws):
                setting: Setting = {"protocol": "standard", "direction": direction, "draw": draw}
                yield Comparison(setting, query, community_gallery(images, answering, cameras, 1, draw), RULE)

    def draw(self, root: Path, options: Any, seed: int, workers: int) -> None:
        """Writes the folders and idx/; everyone is seen by some of the cameras in both modalities."""
        from msclnet.standin.drawing import Cast, copy_lists, finish, in_parallel, lines

        cast = Cast(seed, CAST)
        if options.like:
            copy_lists(Path(options.like), root, "idx", f"stand_in.{self.name}.like")
            listed = [
                (half, line.split(" ")[0])
                for half in ("train", "test")
                for name in ("vis", "nir")
                for line in lines(root / "idx" / f"{half}_{name}.txt")
            ]
        else:
            listed = _write_lists(root, options, cast)
        of: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for half, path in listed:
            of[int(path.split("/")[1])].append((half, path))
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        in_parallel(_draw_person, [(root, cast, *person) for person in sorted(of.items())], workers)
        finish(root, self.title, {"identities": len(of), "images": len(listed)})


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
        if said := amiss(root / path):
            problems.add(f"{index}, line {number}: {said}")
        records.append(ImageRecord(path, int(match[3]), int(match[5]), modality))
    if twice := sorted(path for path, count in Counter(record.path for record in records).items() if count > 1):
        problems.add(f"{index}: lists {twice[0]} twice; expected each image once: restore the file")
    return records


def _write_lists(root: Path, options: Any, cast: Cast) -> list[tuple[str, str]]:
    """Writes a stand-in's index files; returns (train or test, path as listed) of every image."""
    from msclnet.standin.drawing import SPLIT

    (root / "idx").mkdir(parents=True, exist_ok=True)
    listed: list[tuple[str, str]] = []
    sizes = {"train": options.train, "test": options.test}
    # The real set's identities are multiples of 3, in no order.
    order = cast.rng(SPLIT).permutation(sum(sizes.values())) * 3
    for half, identities in zip(sizes, np.split(order, [sizes["train"]]), strict=True):
        for modality, name in NAMES.items():
            of = {int(i): _names(cast, int(i), modality, options.images) for i in identities}
            lines = [f"{name}/{i:04d}/{file} {label}" for label, i in enumerate(of) for file in of[i]]
            (root / "idx" / f"{half}_{name}.txt").write_text("\n".join(lines) + "\n")
            listed += [(half, line.split(" ")[0]) for line in lines]
    (root / "idx/test_id.txt").write_text(",".join(f"{i:04d}" for i in identities) + "\n")
    return listed


def _names(cast: Cast, identity: int, modality: Modality, most: int) -> list[str]:
    """Names as the real ones: identity, camera, sequence, frame."""
    from msclnet.standin.drawing import PRESENCE

    rng = cast.rng(PRESENCE, identity, modality)
    cameras = sorted(rng.choice(CAMERAS[modality], int(rng.integers(2, 5)), replace=False).tolist())
    return [
        f"{identity:04d}_c{camera:02d}_s{100000 + identity}_f{15 * number:05d}_{NAMES[modality]}.jpg"
        for camera in cameras
        for number in range(1, int(rng.integers(max(1, round(0.7 * most)), most + 1)) + 1)
    ]


def _draw_person(task: tuple[Path, Cast, int, list[tuple[str, str]]]) -> None:
    """Both modalities of a camera show one place."""
    from msclnet.standin import people
    from msclnet.standin.drawing import IMAGE, crop

    root, cast, identity, listed = task
    who = cast.person(identity)
    for index, (half, path) in enumerate(listed):
        match = LINE.fullmatch(f"{path} 0")
        if not match:
            raise ConfigError(f"stand_in.llcm.like: {path!r} is no image of LLCM; expected its own index files")
        number = int(match[5])
        modality = Modality.VISIBLE if match[2] == "vis" else Modality.INFRARED
        camera = cast.camera(10 * modality + number, number, modality)
        rng = cast.rng(IMAGE, identity, index)
        file = root / image_path(half, path, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        people.draw(who, camera, *crop(rng), rng).save(file, quality=90)
