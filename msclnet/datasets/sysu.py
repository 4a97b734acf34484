"""SYSU-MM01: 491 identities, four visible and two infrared cameras (Wu et al., ICCV 2017).

Layout: ``cam{1..6}/<identity as %04d>/<number as %04d>.jpg`` and ``exp/{train,val,test}_id.txt``, one line of
comma-separated unpadded integers each. Cameras 1, 2, 4, 5 are visible, 3 and 6 infrared. Training is on train + val
(395 identities, 22,258 visible and 11,909 infrared images); the queries are all 3,803 infrared images of the 96 test
identities.

``exp/rand_perm_cam.mat`` holds the official gallery draws: a 6 x 1 cell array, one cell a camera, of cell arrays, one
cell an identity, of 10 x N matrices. Row t is the order in which draw t takes the N images of that identity and camera,
numbered from 1. Cells may be empty.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from msclnet.core.errors import ConfigError, DataError
from msclnet.core.section import Section, each_once
from msclnet.core.types import ImageRecord, Images, Modality
from msclnet.datasets.base import Problems, Split, Survey, compare, images_in, read_identities, require_layout
from msclnet.datasets.dataset import (
    AGW,
    BASELINE,
    CAJ,
    MSCLNET,
    DataSet,
    Printed,
    PrintedTable,
    StandInOptions,
    printed_table,
)
from msclnet.datasets.mat_file import Unreadable, read_mat
from msclnet.datasets.protocol import Comparison, Permutations, Rule, Setting, community_gallery, places

if TYPE_CHECKING:  # drawing needs Pillow, reading does not
    from msclnet.standin.drawing import Cast

ROOT_KEY = "data.sysu.root"
CAMERAS = {1: Modality.VISIBLE, 2: Modality.VISIBLE, 3: Modality.INFRARED, 4: Modality.VISIBLE, 5: Modality.VISIBLE}
CAMERAS |= {6: Modality.INFRARED}
MODES = {"all": (1, 2, 4, 5), "indoor": (1, 2)}  # the visible cameras of each search
RULE = Rule(ignored=((3, 2),), identity_unique=True)  # cameras 2 and 3 stand in one place
DRAWS = 10
PERMUTATIONS, VARIABLE = "exp/rand_perm_cam.mat", "rand_perm_cam"
MATLAB = b"MATLAB 5.0 MAT-file".ljust(116)  # how such a file begins
OFFICIAL = "the evaluation folder of https://github.com/wuancong/SYSU-MM01 has it"
LISTS = ("train_id.txt", "val_id.txt", "test_id.txt")
PLACES = {1: 1, 2: 2, 3: 2, 4: 4, 5: 5, 6: 6}  # of a stand-in's cameras
CAST = 2  # other people than the other sets' stand-ins
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


class SYSU(DataSet):
    """See the head of this file."""

    name = "sysu"
    title = "SYSU-MM01"
    source = "Wu et al., ICCV 2017"
    protocol = (
        "SYSU-MM01's (Wu et al., ICCV 2017): infrared images ask; the gallery holds one (single-shot) or ten "
        "(multi-shot) visible images of each identity and camera, drawn ten times; all-search or indoor cameras; "
        "a query of camera 3 does not see camera 2, which stands in the same place."
    )

    class StandIn(StandInOptions):
        train: int = Field(ge=1, description="identities")
        val: int = Field(ge=0, description="identities, which train, too, unless `train.validate_every` holds them out")
        test: int = Field(ge=1, description="identities")
        images: int = Field(ge=1, description="the most of each identity and camera")

        @property
        def training_identities(self) -> int:
            return self.train + self.val

        @property
        def validation_identities(self) -> int:
            return self.val

    class Evaluation(Section):
        modes: Annotated[tuple[Literal["all", "indoor"], ...], AfterValidator(each_once)] = Field(
            default=("all", "indoor"),
            min_length=1,
            description="searches: in all visible cameras, or in the indoor ones",
        )
        shots: Annotated[tuple[Literal[1, 10], ...], AfterValidator(each_once)] = Field(
            default=(1, 10), min_length=1, description="gallery images of each identity and camera"
        )
        protocol: Literal["official", "community"] = Field(
            default="community", description="galleries of exp/rand_perm_cam.mat, or drawn as by AGW's public code"
        )
        draws: int = Field(
            default=DRAWS, ge=1, description="galleries drawn, of which the mean is taken; `official` has ten"
        )

        @field_validator("draws")
        @classmethod
        def _as_many_as_there_are(cls, draws: int, info: ValidationInfo) -> int:
            if info.data.get("protocol") == "official" and draws > DRAWS:
                raise ValueError(f"the official protocol has {DRAWS} draws, found {draws}; use {DRAWS} or fewer")
            return draws

    columns = ("mode", "shots")
    order: ClassVar[Mapping[str, tuple[str, ...]]] = {"mode": ("all", "indoor")}
    cameras: ClassVar[Mapping[Modality, tuple[int, ...]]] = {
        modality: tuple(camera for camera, of in CAMERAS.items() if of is modality) for modality in Modality
    }
    trial: ClassVar[Literal["split", "draw"]] = "draw"
    headline = ({"mode": "all", "shots": 1},)
    # Single-shot. Of AGW*, MSCLNet's baseline, all-search alone is in print.
    printed: ClassVar[PrintedTable] = {
        ("AGW", ("all", 1)): Printed(rank1=47.50, rank10=84.39, rank20=92.14, mAP=47.65, mINP=35.30, source=AGW),
        ("AGW", ("indoor", 1)): Printed(rank1=54.17, rank10=91.14, rank20=95.98, mAP=62.97, source=AGW),
        ("agw", ("all", 1)): Printed(rank1=59.82, mAP=56.07, source=BASELINE),
        ("agw_ca", ("all", 1)): Printed(rank1=69.88, mAP=66.89, mINP=53.61, source=CAJ, flip=True),
        **printed_table(
            MSCLNET,
            ("rank1", "rank10", "rank20", "mAP"),
            (("all", 1), ("indoor", 1)),
            {
                "NFS": (56.91, 91.34, 96.52, 55.45, 62.79, 96.53, 99.07, 69.79),
                "CM-NAS": (61.99, 92.87, 97.25, 60.02, 67.01, 97.02, 99.32, 72.95),
                "MCLNet": (65.40, 93.33, 97.14, 61.98, 72.56, 96.88, 99.20, 76.58),
                "SMCL": (67.39, 92.87, 96.76, 61.78, 68.84, 96.55, 98.77, 75.56),
                "MPANet": (70.58, 96.21, 98.80, 68.24, 76.74, 98.21, 99.57, 80.95),
                "msclnet": (76.99, 97.63, 99.18, 71.64, 78.49, 99.32, 99.91, 81.17),
            },
        ),
    }
    reads = (PERMUTATIONS,)
    training_images = (EXPECTED["training visible images"], EXPECTED["training infrared images"])
    validation_list = "exp/val_id.txt"
    listed: ClassVar[Mapping[str, Any]] = {"modes": ["all"], "shots": [1], "protocol": "community", "draws": 1}

    def disagreements(self, data: Any, evaluation: Any) -> Iterator[str]:
        if evaluation.protocol != "official":
            return
        root = Path(data.of(self.name).root)
        file = root / PERMUTATIONS
        if root.is_dir() and not file.is_file():
            yield (
                f"evaluate.{self.name}.protocol: official reads {file}, which is not there; put the set's own file "
                "there, or use community"
            )
        if data.on_bad_image == "skip":
            yield (
                f"evaluate.{self.name}.protocol: official counts on every image of the set, and data.on_bad_image: "
                "skip leaves some out; use stop, or the community protocol"
            )

    def survey(self, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
        """The one split, called 1: train + val identities, and the test identities, in every camera.

        Sorted by identity, camera, file.
        """
        require_layout(root, FOLDERS, ROOT_KEY)
        problems = Problems()
        lists = {name: read_identities(root / "exp" / f"{name}_id.txt", problems) for name in ("train", "val", "test")}
        for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
            if shared := sorted(set(lists[a]) & set(lists[b])):
                problems.add(
                    f"exp/{a}_id.txt and exp/{b}_id.txt share the identities {', '.join(map(str, shared[:10]))}; "
                    "expected disjoint lists: restore the set's own files"
                )
        train, test = (_records(root, some, problems) for some in (lists["train"] + lists["val"], lists["test"]))
        seen = {modality: {r.identity for r in train if r.modality is modality} for modality in Modality}
        for identity in sorted(lists["train"] + lists["val"]):
            for modality in Modality:
                if identity not in seen[modality]:
                    cameras = [f"cam{camera}" for camera, m in CAMERAS.items() if m is modality]
                    problems.add(
                        f"training identity {identity:04d} has no {modality.name.lower()} image in "
                        f"{', '.join(cameras)}; expected both modalities: copy its folders or remove it from exp/"
                    )
        split = Split(train, test, tuple(record for record in train if record.identity in lists["val"]))
        counts = _counts(split)
        if (root / PERMUTATIONS).is_file():
            _check_permutations(root, split, problems)
        if real:
            compare(counts, EXPECTED, root, problems)
        return Survey(f"{self.title} in {root}", {1: split}, counts, EXPECTED, problems.lines)

    def real_numbers(self, setting: Mapping[str, Any]) -> Mapping[str, int]:
        """The numbers of the paper and its community's code."""
        mode = "all-search" if setting["mode"] == "all" else "indoor"
        shots = {1: "single-shot", 10: "multi-shot"}.get(setting["shots"])
        gallery = EXPECTED.get(f"gallery images, {mode}, {shots}")
        return {"queries": EXPECTED["query images"]} | ({"gallery": gallery} if gallery else {})

    def comparisons(
        self, images: Images, options: Any = None, source: Path | Permutations | None = None
    ) -> Iterator[Comparison]:
        """Every mode, number of shots and draw 0..draws-1; the queries are all infrared images, in every mode.

        The gallery holds 1 or 10 images (all, where there are fewer) of each identity from each visible camera of the
        mode: those that the set's own permutations name first (``official``), or drawn anew (``community``).
        """
        chosen = options or self.Evaluation()
        permutations: Permutations | None = None
        if chosen.protocol == "official":
            if source is None:
                raise ConfigError(
                    f"evaluate.{self.name}.protocol: 'official' needs the set's {PERMUTATIONS}; name it, or the set's "
                    "folder"
                )
            permutations = load_permutations(source) if isinstance(source, Path) else source
        query = np.flatnonzero(images.modality == Modality.INFRARED)
        for mode in chosen.modes:
            for shots in chosen.shots:
                for draw in range(chosen.draws):
                    setting: Setting = {"protocol": chosen.protocol, "mode": mode, "shots": shots, "draw": draw}
                    gallery = (
                        community_gallery(images, Modality.VISIBLE, MODES[mode], shots, draw)
                        if permutations is None
                        else official_gallery(images, MODES[mode], shots, draw, permutations)
                    )
                    yield Comparison(setting, query, gallery, RULE)

    def draw(self, root: Path, options: Any, seed: int, workers: int) -> None:
        """Writes cam1..cam6 and exp/ with its lists and gallery draws; not everyone passes every camera.

        Two of three identities were seen indoors (cameras 1, 2, 3) and perhaps outdoors, the third outdoors only (4, 5,
        6): in indoor search its queries have no match.
        """
        from msclnet.standin.drawing import Cast, copy_lists, finish, in_parallel, lines

        cast = Cast(seed, CAST)
        if options.like:
            copy_lists(Path(options.like), root, "exp", f"stand_in.{self.name}.like")
            permutations = load_permutations(root)
            everyone = [int(word) for name in LISTS for word in ",".join(lines(root / "exp" / name)).split(",")]
            counts = {i: {c: p.shape[1] for (c, j), p in permutations.items() if j == i} for i in sorted(everyone)}
        else:
            counts = _write_lists(root, options, cast)
        for camera in CAMERAS:
            (root / f"cam{camera}").mkdir(exist_ok=True)
        in_parallel(_draw_person, [(root, cast, *person) for person in counts.items()], workers)
        images = sum(sum(of.values()) for of in counts.values())
        finish(root, self.title, {"identities": len(counts), "images": images})

    def words(self, setting: Mapping[str, Any]) -> str:
        return f"{setting['mode']} search, {_shots(setting)}"

    def key(self, setting: Mapping[str, Any]) -> str:
        return f"{setting['mode']}/{_shots(setting)}"

    def heading(self, setting: Mapping[str, Any]) -> str:
        how = f"infrared queries, {setting['protocol']} protocol"
        return f"{self.words(setting)}, {how}, gallery draw {setting['draw']}"


def _shots(setting: Mapping[str, Any]) -> str:
    return "single-shot" if setting["shots"] == 1 else "multi-shot"


def _counts(split: Split) -> dict[str, int]:
    images = Counter(record.modality for record in split.train)
    places = Counter((r.identity, r.camera) for r in split.test if r.modality is Modality.VISIBLE)
    galleries = {
        f"gallery images, {mode}, {name}": sum(
            min(shots, count) for (_, camera), count in places.items() if camera in cameras
        )
        for mode, cameras in (("all-search", MODES["all"]), ("indoor", MODES["indoor"]))
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


def _records(root: Path, identities: list[int], problems: Problems) -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(f"cam{camera}/{identity:04d}/{name}", identity, camera, modality)
        for identity in sorted(identities)
        for camera, modality in CAMERAS.items()
        for name in images_in(root / f"cam{camera}" / f"{identity:04d}", problems)
    )


def official_gallery(
    images: Images, cameras: Sequence[int], shots: int, draw: int, permutations: Permutations
) -> np.ndarray:
    """Rows of the gallery, by identity, then camera: the images that row ``draw`` of the permutations names first.

    Raises DataError where the permutations do not fit the images.
    """
    gallery: list[int] = []
    for identity, camera, rows in places(images, Modality.VISIBLE, cameras):
        drawn = permutations.get((camera, identity))
        if drawn is None:
            raise DataError(
                f"rand_perm_cam.mat: has nothing for camera {camera}, identity {identity}, of which there are "
                f"{len(rows)} images; expected the file and the images of one set: copy both from its archive"
            )
        if drawn.shape[1] != len(rows):
            raise DataError(
                f"rand_perm_cam.mat: draws from {drawn.shape[1]} images of camera {camera}, identity {identity}, of "
                f"which there are {len(rows)}; expected the whole set: copy its images again"
            )
        gallery += [rows[number - 1] for number in drawn[draw, :shots].tolist()]
    return np.array(gallery, dtype=np.int64)


def load_permutations(source: Path) -> Permutations:
    """The permutations of every camera and identity that has images; nothing in the file is executed.

    ``source`` is the file, or the set's folder. Raises DataError when the file is absent or not of its form.
    """
    path = source if source.suffix == ".mat" else source / PERMUTATIONS
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; the official protocol draws its galleries from it: copy it there ({OFFICIAL}), or "
            "choose the community protocol"
        )
    try:
        cells = {
            (camera + 1, identity + 1): cell.astype(np.int64, casting="safe")
            for (camera, identity), cell in read_mat(path, VARIABLE).items()
            if cell.size
        }
    except (Unreadable, TypeError, ValueError) as error:  # the latter two: other cells, or no whole numbers in them
        raise DataError(f"{path}: not a readable {VARIABLE} ({error}); copy it again ({OFFICIAL})") from error
    for (camera, identity), cell in cells.items():
        if cell.ndim != 2 or len(cell) != DRAWS or (np.sort(cell) != np.arange(1, cell.shape[1] + 1)).any():
            raise DataError(
                f"{path}: camera {camera}, identity {identity}: {cell.shape} numbers up to {cell.max()}, expected "
                f"{DRAWS} permutations of 1..N; copy it again ({OFFICIAL})"
            )
    return cells


def save_permutations(path: Path, counts: Mapping[int, Mapping[int, int]], rng: np.random.Generator) -> None:
    """Writes draws for ``counts[identity][camera]`` images, in the real file's form."""
    from scipy.io import savemat

    cells = np.empty((len(CAMERAS), 1), object)
    for camera in CAMERAS:
        cells[camera - 1, 0] = of_camera = np.empty((max(counts), 1), object)
        for identity in range(1, max(counts) + 1):
            images = counts.get(identity, {}).get(camera, 0)
            numbers = np.tile(np.arange(1, images + 1, dtype=np.uint16), (DRAWS, 1))
            of_camera[identity - 1, 0] = rng.permuted(numbers, axis=1)
    content = io.BytesIO()
    savemat(content, {VARIABLE: cells}, do_compression=True)
    content.getbuffer()[: len(MATLAB)] = MATLAB  # in place of a text with today's date
    path.write_bytes(content.getvalue())


def _check_permutations(root: Path, split: Split, problems: Problems) -> None:
    """Whether the official galleries can be drawn from the test images: an image too few, or too many, is found so."""
    try:
        permutations = load_permutations(root)
    except DataError as error:
        problems.add(str(error))
        return
    counts = Counter((r.camera, r.identity) for r in split.test if r.modality is Modality.VISIBLE)
    for (camera, identity), images in sorted(counts.items()):
        cell = permutations.get((camera, identity))
        if (found := 0 if cell is None else cell.shape[1]) != images:
            problems.add(
                f"{root / PERMUTATIONS}: camera {camera}, identity {identity}: draws from {found} images, expected the "
                f"{images} that are there; copy the file and the images from one archive"
            )


def _write_lists(root: Path, options: Any, cast: Cast) -> dict[int, dict[int, int]]:
    """Writes a stand-in's lists and gallery draws; returns each identity's images in each camera."""
    from msclnet.standin.drawing import SPLIT

    sizes = (options.train, options.val, options.test)
    halves = np.split(np.arange(1, sum(sizes) + 1), np.cumsum(sizes)[:-1])
    counts = {
        int(identity): _present(cast, int(identity), place, options.images)
        for half in halves
        for place, identity in enumerate(half)
    }
    (root / "exp").mkdir(parents=True, exist_ok=True)
    for name, identities in zip((*LISTS, "available_id.txt"), (*halves, np.concatenate(halves)), strict=True):
        (root / "exp" / name).write_text(",".join(map(str, identities)) + "\n")
    save_permutations(root / PERMUTATIONS, counts, cast.rng(SPLIT))
    return counts


def _present(cast: Cast, identity: int, place: int, most: int) -> dict[int, int]:
    """How many images each camera has of an identity, the ``place``-th of its list."""
    from msclnet.standin.drawing import PRESENCE

    rng = cast.rng(PRESENCE, identity)
    outdoor = [camera for camera in (4, 5, 6) if rng.random() < 0.5]
    cameras = sorted({1, 2, 3, *outdoor}) if place % 3 < 2 else sorted({int(rng.integers(4, 6)), 6, *outdoor})
    return {camera: int(rng.integers(max(1, round(0.7 * most)), most + 1)) for camera in cameras}


def _draw_person(task: tuple[Path, Cast, int, dict[int, int]]) -> None:
    from msclnet.standin import people
    from msclnet.standin.drawing import IMAGE, crop

    root, cast, identity, counts = task
    who = cast.person(identity)
    for number, images in counts.items():
        camera = cast.camera(number, PLACES[number], CAMERAS[number])
        folder = root / f"cam{number}" / f"{identity:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(images):
            rng = cast.rng(IMAGE, identity, number, index)
            people.draw(who, camera, *crop(rng), rng).save(folder / f"{index + 1:04d}.jpg", quality=90)
