"""Toy: six drawn people by day and by night, for the tests.

Layout: ``day/<identity>/<n>.png`` (visible), ``night/<identity>/<n>.png`` (infrared), and ``test.txt``, a line for each
test identity. Of six identities four train and two test, with two images each in either modality.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from msclnet.core.types import ImageRecord, Images, Modality
from msclnet.datasets.base import Problems, Split, Survey, compare, images_in, read_identities, require_layout
from msclnet.datasets.dataset import INFRARED_TO_VISIBLE, VISIBLE_TO_INFRARED, DataSet, StandInOptions
from msclnet.datasets.protocol import Comparison, Permutations, Rule, both_ways
from msclnet.datasets.table import SETS

FOLDERS = {"day": Modality.VISIBLE, "night": Modality.INFRARED}
CAMERAS = {Modality.VISIBLE: 1, Modality.INFRARED: 2}
EXPECTED = {"identities": 6, "images": 24}
CAST = 100  # other people than the other sets' stand-ins


class Toy(DataSet):
    """See the head of this file."""

    name = "toy"  # in the configuration and in paths
    title = "Toy"
    source = "made up"
    protocol = "Toy's: all test images of one modality ask, all of the other answer, in both directions."

    class StandIn(StandInOptions):
        images: int = Field(ge=1, description="of each of the six identities in each modality")

        @property
        def training_identities(self) -> int:
            return 4

    columns = ("direction",)
    order: ClassVar[Mapping[str, tuple[str, ...]]] = {"direction": (VISIBLE_TO_INFRARED, INFRARED_TO_VISIBLE)}
    trial: ClassVar[Literal["split", "draw"]] = "split"
    headline = ({"direction": VISIBLE_TO_INFRARED}, {"direction": INFRARED_TO_VISIBLE})

    def survey(self, root: Path, splits: tuple[int, ...] = (), *, real: bool) -> Survey:
        require_layout(root, tuple(FOLDERS), "data.toy.root")
        problems = Problems()
        tested = read_identities(root / "test.txt", problems)
        records = [
            ImageRecord(f"{folder}/{person.name}/{name}", int(person.name), CAMERAS[modality], modality)
            for folder, modality in FOLDERS.items()
            for person in sorted((root / folder).iterdir())
            for name in images_in(person, problems)
        ]
        counts = {"identities": len({record.identity for record in records}), "images": len(records)}
        if real:
            compare(counts, EXPECTED, root, problems)
        train, test = (tuple(r for r in records if (r.identity in tested) is half) for half in (False, True))
        return Survey(f"{self.title} in {root}", {1: Split(train, test)}, counts, EXPECTED, problems.lines)

    def comparisons(
        self, images: Images, options: Any = None, source: Path | Permutations | None = None
    ) -> Iterator[Comparison]:
        return both_ways(images, Rule())

    def draw(self, root: Path, options: Any, seed: int, workers: int) -> None:
        from msclnet.standin.drawing import Cast, finish, in_parallel

        root.mkdir(parents=True, exist_ok=True)
        (root / "test.txt").write_text("5\n6\n")
        in_parallel(
            _draw_person, [(root, Cast(seed, CAST), identity, options.images) for identity in range(1, 7)], workers
        )
        finish(root, self.title, {"identities": 6, "images": 12 * options.images})


def _draw_person(task: tuple[Path, Any, int, int]) -> None:
    from msclnet.standin import people
    from msclnet.standin.drawing import IMAGE

    root, cast, identity, images = task
    who = cast.person(identity)
    for folder, modality in FOLDERS.items():
        camera = cast.camera(CAMERAS[modality], CAMERAS[modality], modality)
        (root / folder / str(identity)).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            rng = cast.rng(IMAGE, identity, CAMERAS[modality], number)
            people.draw(who, camera, 24, 48, rng).save(root / folder / str(identity) / f"{number}.png")


SETS.register(Toy())
