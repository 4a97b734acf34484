"""The command ``msclnet search``: who of a folder is on these images?"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msclnet.core.errors import printable
from msclnet.core.types import Modality
from msclnet.data.depth import DeepRange
from msclnet.data.images import read_rgb
from msclnet.inference.gallery import Among, Answer, Gallery, Method
from msclnet.inference.page import KNOWN_BY, write_page


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
    """Prints the answers to stdout, and what the gallery holds to stderr; writes them to ``out`` as a page, too."""
    for query in queries:
        read_rgb(query, deep_range)  # one that cannot be read is said now, not after a large gallery has been embedded
    gallery = Gallery(folder, model, gallery_modality, cache=cache, deep_range=deep_range)
    print(printable(_contents(gallery)), file=sys.stderr)
    answers = gallery.search(queries, top, query_modality, among, method)
    print(printable("\n\n".join(map(_shown, answers))))
    if out:
        write_page(out, answers, str(model), folder, deep_range)
        print(printable(f"page: {out}"), file=sys.stderr)


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
    if sources["uncertain"]:
        lines.append(
            "state --gallery-modality, or sort them into folders visible/ and infrared/, to settle the uncertain"
        )
    if gallery.unreadable:
        lines += [f"{len(gallery.unreadable)} unreadable, left out:", *gallery.unreadable.values()]
    return "\n".join(lines)


def _shown(answer: Answer) -> str:
    modality, source = answer.decision
    head = f"{answer.query}: {modality.name.lower()} ({KNOWN_BY[source]}), among the {answer.among.name.lower()} images"
    return "\n".join((head, *(f"{rank:4d}  {hit.score:7.4f}  {hit.path}" for rank, hit in enumerate(answer.hits, 1))))
