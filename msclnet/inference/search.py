"""The command ``msclnet search``: who of a folder is on these images?"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msclnet.core.errors import DataError, printable
from msclnet.core.types import Modality
from msclnet.data.depth import DeepRange
from msclnet.data.images import read_rgb
from msclnet.inference.gallery import Among, Answer, Gallery, Hit, Method, images_under
from msclnet.inference.info import caution
from msclnet.inference.page import KNOWN_BY, passed_over, uncertain, write_page

SHOWN = 20  # images of uncertain modality that are named on a terminal


def search(
    model: Path,
    folder: Path,
    queries: Sequence[Path],
    top: int,
    gallery_modality: str | None,
    query_modality: str | None,
    among: Among,
    method: Method,
    cache: Path | None,
    out: Path | None,
    deep_range: DeepRange | None = None,
) -> None:
    """Prints the answers to stdout, and what the gallery holds to stderr; writes them to ``out`` as a page, too.

    A query is an image, or a folder of them.
    """
    found = _queries(queries, deep_range)
    gallery = Gallery(folder, model, gallery_modality, cache=cache, deep_range=deep_range)
    print(printable(_contents(gallery)), file=sys.stderr)
    answers = gallery.search(found, top, query_modality, among, method)
    print(printable("\n\n".join(map(_shown, answers))))
    if out:
        write_page(out, answers, str(model), gallery)
        print(printable(f"page: {out}"), file=sys.stderr)


def _queries(given: Sequence[Path], deep_range: DeepRange | None) -> list[Path]:
    """The images given, and those in the folders given.

    Each is read now, not after a large gallery has been embedded. One that cannot be read is an error; one in a folder
    is left out, with a word.
    """
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            read_rgb(path, deep_range)
            found.append(path)
            continue
        names, skipped = images_under(path)
        readable, unreadable = [], []
        for query in (path / name for name in names):
            try:
                read_rgb(query, deep_range)
                readable.append(query)
            except DataError as error:
                unreadable.append(str(error))
        if not readable:
            raise DataError(f"{path}: none of its {len(names)} images can be read; the first: {unreadable[0]}")
        lines = [f"queries {path}: {len(readable)} images", *([passed_over(skipped)] if skipped else [])]
        lines += [f"{len(unreadable)} unreadable, left out:", *unreadable] if unreadable else []
        print(printable("\n".join(lines)), file=sys.stderr)
        found += readable
    return found


def _contents(gallery: Gallery) -> str:
    modalities = Counter(decision.modality for decision in gallery.images.values())
    sources = Counter(decision.source for decision in gallery.images.values())
    counts = ", ".join(f"{modalities[modality]} {modality.name.lower()}" for modality in Modality)
    known = ", ".join(f"{count} {KNOWN_BY[source]}" for source, count in sorted(sources.items()))
    cached = len(gallery.images) - gallery.embedded
    lines = [
        f"gallery {gallery.folder}: {len(gallery.images)} images, {counts} (modality: {known})",
        f"{gallery.embedded} embedded now, {cached} taken from the cache {gallery.cache}",
    ]
    if gallery.skipped:
        lines.append(f"{passed_over(gallery.skipped)}; convert images among them to JPEG or PNG")
    if names := uncertain(gallery):
        lines += [
            f"{len(names)} of uncertain modality; state --gallery-modality, or sort them into folders visible/ and "
            "infrared/:",
            *names[:SHOWN],
            *([f"... and {len(names) - SHOWN} more"] if len(names) > SHOWN else []),
        ]
    if gallery.unreadable:
        lines += [f"{len(gallery.unreadable)} unreadable, left out:", *gallery.unreadable.values()]
    if why := caution(gallery.origin):
        lines.append(f"note: {why}")
    return "\n".join(lines)


def _shown(answer: Answer) -> str:
    modality, source = answer.decision
    head = f"{answer.query}: {modality.name.lower()} ({KNOWN_BY[source]}), among the {answer.among.name.lower()} images"
    return "\n".join((head, *(f"{rank:4d}  {hit.score:7.4f}  {_of(hit)}" for rank, hit in enumerate(answer.hits, 1))))


def _of(hit: Hit) -> str:
    return f"{hit.path}{'  (modality uncertain)' if hit.decision.source == 'uncertain' else ''}"
