"""A folder of images, embedded once: when it is opened again, only what is new or has changed is embedded."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import numpy as np
import torch

from msclnet.core.errors import DataError
from msclnet.core.files import sha256
from msclnet.core.optional import extra
from msclnet.core.types import Modality
from msclnet.data.depth import DeepRange
from msclnet.data.images import decode
from msclnet.data.modality import Decision, colourfulness, decide
from msclnet.evaluation.embedding import Feature, embed_pixels, image_size
from msclnet.inference.feature_cache import Image, Store
from msclnet.inference.index import EXACT_BELOW, Hits, Index, exact
from msclnet.model.files import open_model

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
BATCH = 64  # images decoded and embedded at once; what a killed run loses
SHOWN = 8  # suffixes of files passed over
VERSION = 3  # of what lies in the cache

Method = Literal["auto", "exact", "index"]
Among = Literal["other", "visible", "infrared"]


class Hit(NamedTuple):
    """An image of the gallery that a query found.

    Attributes:
        path: the image's file.
        score: its cosine with the query, -1..1.
        decision: its modality, and what it was known by.
    """

    path: Path
    score: float
    decision: Decision


class Answer(NamedTuple):
    """What a query found among the gallery's images of one modality.

    Attributes:
        query: the query's file.
        decision: the query's modality, and what it was known by.
        among: the modality of the images searched.
        hits: the images found, best first.
    """

    query: Path
    decision: Decision
    among: Modality
    hits: list[Hit]


class Gallery:
    """The images under a folder as a model sees them.

    Attributes:
        images: the decision on each image's modality, by its path relative to ``folder``.
        unreadable: the reason for each image left out, by its path.
        skipped: how many files of each other suffix were passed over, images of formats that are not read among them.
        origin: where the model comes from: its training's configuration, or what an import knows.
        embedded: how many images were embedded now; the others were in the cache.
    """

    def __init__(
        self,
        folder: str | Path,
        model: str | Path,
        modality: Modality | str | None = None,
        feature: Feature = "bn",
        cache: str | Path | None = None,
        deep_range: DeepRange | None = None,
    ) -> None:
        """Embeds those images under a folder that the cache does not hold.

        The cache is of this model file's content, of ``feature``, ``deep_range`` and ``folder``. An image is embedded
        again when its size, its time of change or its modality has changed. It is forgotten when it is gone. Hidden
        files, links to folders and files of other suffixes than ``SUFFIXES`` are passed over. Shows progress when
        stderr is a terminal.

        Args:
            folder: the folder, with images at any depth.
            model: a ``model.pt``.
            modality: that of all images; by default each has the one that ``msclnet.data.modality.decide`` finds.
            feature: ``bn``, the headline, or ``pooled``.
            cache: a folder; by default that of the user.
            deep_range: what becomes black and what white in grey images of more than 8 bits, of queries, too. By
                default such images are left out, as unreadable.

        Raises:
            DataError: there is no folder, no image, or no model.
        """
        self.folder = Path(folder)
        self.flag = None if modality is None else Modality.of(modality)
        self.feature = feature
        self.deep_range = deep_range
        saved = open_model(model)
        self.origin = saved.origin
        self.network = saved.network.to("cuda" if torch.cuda.is_available() else "cpu")
        mapped = deep_range and tuple(map(float, deep_range))
        key = f"{VERSION} {feature} {mapped} {sha256(Path(model))} {self.folder.resolve()}"
        self.cache = Path(cache or _user_cache()) / hashlib.sha256(os.fsencode(key)).hexdigest()[:16]
        found, self.skipped = images_under(self.folder)
        self.store = Store(self.cache, self.network.backbone.channels)
        self.unreadable: dict[str, str] = {}
        self.embedded = self._refresh(found)
        self.images = {image.path: self._decide(image.path, image.colour) for image in self.store.images().values()}
        self._indexes: dict[Modality, Index] = {}

    def search(
        self,
        queries: Sequence[str | Path],
        top: int = 10,
        modality: Modality | str | None = None,
        among: Among = "other",
        method: Method = "auto",
    ) -> list[Answer]:
        """The nearest images of the gallery for each query, across modalities.

        Args:
            queries: image files.
            top: the most hits of a query.
            modality: that of all queries; by default each has the one that its own folders or colours say.
            among: the gallery's images that are searched: ``other`` than the query's modality, or the modality named.
            method: ``exact``, ``index`` or ``auto``. ``auto`` is exact among fewer than ``EXACT_BELOW`` images, else by
                an index. An index is made at the first such search, and kept.

        Returns:
            An answer for each query, in their order.

        Raises:
            DataError: a query cannot be read, or the gallery has no image of the modality asked for.
        """
        flag = None if modality is None else Modality.of(modality)
        asked = [self._embedded(Path(query), flag) for query in queries]
        answers: dict[int, Answer] = {}
        for target in Modality:
            asking = [i for i, (decision, _) in enumerate(asked) if _among(decision, among) is target]
            if not asking:
                continue
            found = self._nearest(np.stack([asked[i][1] for i in asking]), target, top, method)
            for i, nearest, scores in zip(asking, found.rows.tolist(), found.scores.tolist(), strict=True):
                pairs = zip(nearest, scores, strict=True)
                hits = [self._hit(self.store.path(row), score) for row, score in pairs if row >= 0]
                answers[i] = Answer(Path(queries[i]), asked[i][0], target, hits)
        return [answers[i] for i in range(len(queries))]

    def _hit(self, path: str, score: float) -> Hit:
        return Hit(self.folder / path, score, self.images[path])

    def _nearest(self, queries: np.ndarray, target: Modality, top: int, method: Method) -> Hits:
        count = sum(decision.modality is target for decision in self.images.values())
        if not count:
            raise DataError(
                f"{self.folder}: none of {len(self.images)} images is {target.name.lower()}, which this query is to be "
                "found among; state the modality of the gallery, of the query, or of what to search among"
            )
        if method == "exact" or (method == "auto" and count < EXACT_BELOW):
            return exact(self.store, queries, target, top)
        if target not in self._indexes:
            self._indexes[target] = Index(self.store, target)
        return self._indexes[target].search(queries, top)

    def _embedded(self, query: Path, flag: Modality | None) -> tuple[Decision, np.ndarray]:
        pixels = decode(query, *image_size(self.network), self.deep_range)
        decision = decide(query, colourfulness(pixels), flag)
        return decision, self._features(np.stack([pixels]), decision.modality)[0]

    def _features(self, pixels: np.ndarray, modality: Modality) -> np.ndarray:
        bn, pooled = embed_pixels(self.network, pixels, modality)
        return bn if self.feature == "bn" else pooled

    def _decide(self, path: str, colour: float) -> Decision:
        """The gallery's own folder counts, those above it do not."""
        return decide(Path(self.folder.absolute().name) / path, colour, self.flag)

    def _refresh(self, found: dict[str, os.stat_result]) -> int:
        """Brings the store up to date with the files; how many were embedded."""
        with extra("use"):
            from tqdm import tqdm
        stored = self.store.images()
        self.store.drop(stored.keys() - found.keys())
        todo = [path for path, stat in found.items() if not self._current(stored.get(path), stat)]
        with (
            ThreadPoolExecutor() as threads,
            tqdm(desc="embedding", total=len(todo), unit=" images", disable=None if todo else True) as bar,
        ):
            for start in range(0, len(todo), BATCH):
                some = todo[start : start + BATCH]
                readable = [(path, pixels) for path, pixels in threads.map(self._read, some) if pixels is not None]
                self._put(readable, found)
                bar.update(len(some))
        self.store.drop(self.unreadable)
        return len(todo) - len(self.unreadable)

    def _current(self, image: Image | None, stat: os.stat_result) -> bool:
        return image is not None and (
            (image.bytes, image.modified) == (stat.st_size, stat.st_mtime_ns)
            and image.modality is self._decide(image.path, image.colour).modality
        )

    def _read(self, path: str) -> tuple[str, np.ndarray | None]:
        if not path.isprintable():  # nor is what is not UTF-8: such a name can neither be stored nor shown
            self.unreadable[ascii(path)] = f"{path!a}: not a printable name; rename the file"
            return path, None
        try:
            return path, decode(self.folder / path, *image_size(self.network), self.deep_range)
        except DataError as error:
            self.unreadable[path] = str(error)
            return path, None

    def _put(self, readable: list[tuple[str, np.ndarray]], found: dict[str, os.stat_result]) -> None:
        colours = {path: colourfulness(pixels) for path, pixels in readable}
        for modality in Modality:
            chosen = [(p, x) for p, x in readable if self._decide(p, colours[p]).modality is modality]
            if chosen:
                features = self._features(np.stack([pixels for _, pixels in chosen]), modality)
                images = [
                    Image(path, found[path].st_size, found[path].st_mtime_ns, modality, colours[path])
                    for path, _ in chosen
                ]
                self.store.put(images, features)


def _among(decision: Decision, among: Among) -> Modality:
    return Modality(1 - decision.modality) if among == "other" else Modality.of(among)


def images_under(folder: Path) -> tuple[dict[str, os.stat_result], dict[str, int]]:
    """The image files under a folder.

    Args:
        folder: with images at any depth.

    Returns:
        Each file of ``SUFFIXES`` by its path relative to the folder, sorted. How many files of each other suffix were
            passed over, the most first; hidden ones are not counted.

    Raises:
        DataError: there is no folder, or no image in it; or it, or one in it, cannot be read, in which a person might
            be missed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with images in it, at any depth")

    def unreadable(error: OSError) -> NoReturn:
        raise DataError(
            f"{error.filename}: {error.strerror}; a person in it would be missed: make the folder readable, or move it"
        ) from error

    found, others = {}, Counter[str]()
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in SUFFIXES:
                found[path.relative_to(folder).as_posix()] = path.stat() if path.exists() else path.lstat()
            else:
                others[path.suffix.lower() or "without suffix"] += 1
    skipped = dict(others.most_common())
    if not found:
        has = f"; it has {counted(skipped)}: convert images among them" if skipped else ""
        raise DataError(f"{folder}: holds no image; expected files of {', '.join(sorted(SUFFIXES))}, at any depth{has}")
    return dict(sorted(found.items())), skipped


def counted(skipped: Mapping[str, int]) -> str:
    """Files passed over, in words: ``12 .heic, 1 .txt``."""
    shown = [f"{count} {suffix}" for suffix, count in list(skipped.items())[:SHOWN]]
    return ", ".join([*shown, *(["others"] if len(skipped) > SHOWN else [])])


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msclnet"
