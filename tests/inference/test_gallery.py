"""A folder is embedded once, follows its files, and answers across modalities."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import msclnet
from msclnet.config import TrainJob
from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.inference import gallery as room
from msclnet.inference.feature_cache import Store
from msclnet.inference.gallery import Answer, Gallery
from tests.inference.conftest import write_model


def opened(folder: Path, model: Path, **options: str) -> Gallery:
    return Gallery(folder, model, cache=folder.parent / "cache", **options)  # type: ignore[arg-type]


def test_only_what_is_new_or_has_changed_is_embedded(folder: Path, model: Path) -> None:
    first = opened(folder, model)
    assert (first.embedded, len(first.images)) == (24, 24)
    assert opened(folder, model).embedded == 0
    gone, changed, moved = sorted((folder / "Visible").rglob("*.bmp"))[:3]
    gone.unlink()
    shutil.copyfile(next((folder / "Visible/6").iterdir()), changed)
    moved.rename(folder / "Visible/new.bmp")
    os.utime(changed, ns=(1, 1))
    again = opened(folder, model)
    assert again.embedded == 2
    assert len(again.images) == 23
    assert "Visible/new.bmp" in again.images
    assert not {gone, moved} & {folder / path for path in again.images}
    features = again.store.features(again.store.rows(Modality.VISIBLE))
    assert np.allclose(features, whole(again, model, Modality.VISIBLE), atol=1e-6), "the changed one is the new one"


def whole(gallery: Gallery, model: Path, modality: Modality) -> np.ndarray:
    """All images of a modality embedded anew, in the order of their rows."""
    paths = [gallery.folder / gallery.store.path(row) for row in gallery.store.rows(modality).tolist()]
    return msclnet.embed(msclnet.load_model(model), paths, modality)


def test_another_model_or_feature_has_a_cache_of_its_own(
    folder: Path, model: Path, job: TrainJob, tmp_path: Path
) -> None:
    opened(folder, model)
    assert opened(folder, write_model(tmp_path / "other.pt", job, seed=1)).embedded == 24
    assert opened(folder, model, feature="pooled").embedded == 24
    copy = shutil.copyfile(model, tmp_path / "copy.pt")
    assert opened(folder, copy).embedded == 0, "the model's content counts, not its name"


def test_a_stated_modality_embeds_again_those_it_changes(folder: Path, model: Path) -> None:
    opened(folder, model)
    infrared = opened(folder, model, modality="infrared")
    assert infrared.embedded == 12
    assert {decision for decision in infrared.images.values()} == {(Modality.INFRARED, "flag")}
    assert opened(folder, model).embedded == 12


def test_a_killed_run_goes_on_where_it_was(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BATCH", 6)
    put, calls = Store.put, []

    def killed(self: Store, images: list, features: np.ndarray) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(images))
        put(self, images, features)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(folder, model)
    assert opened(folder, model).embedded == 24 - sum(calls) == 12


def test_unreadable_images_are_named_left_out_and_tried_again(folder: Path, model: Path) -> None:
    broken = sorted((folder / "Thermal").rglob("*.bmp"))[0]
    content = broken.read_bytes()
    opened(folder, model)
    broken.write_bytes(content[:500])
    (folder / "Visible/link.png").symlink_to(folder / "nowhere.png")
    (folder / "Visible/notes.txt").write_text("no image")
    (folder / "Visible/.hidden.png").write_bytes(content)
    gallery = opened(folder, model)
    assert sorted(gallery.unreadable) == [broken.relative_to(folder).as_posix(), "Visible/link.png"]
    assert f"{broken}: not a readable image" in gallery.unreadable[broken.relative_to(folder).as_posix()]
    assert len(gallery.images) == 23
    broken.write_bytes(content)
    assert opened(folder, model).embedded == 1


def test_what_would_hang_fill_or_start_something_is_named_and_left_out(folder: Path, model: Path) -> None:
    os.mkfifo(folder / "Visible/pipe.png")
    (folder / "Visible/zero.png").symlink_to("/dev/zero")
    Image.new("1", (14000, 14000)).save(folder / "Visible/bomb.png")
    (folder / "Visible/script.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 48\n%%EndComments\n")
    gallery = opened(folder, model)
    assert sorted(gallery.unreadable) == [
        f"Visible/{name}" for name in ("bomb.png", "pipe.png", "script.jpg", "zero.png")
    ]
    assert len(gallery.images) == 24
    with pytest.raises(DataError, match=r"pipe\.png: a pipe; expected a regular file"):
        gallery.search([folder / "Visible/pipe.png"])


def test_nobody_else_reads_the_features(folder: Path, model: Path) -> None:
    """By them a person can be found again. What an earlier version left open is closed."""
    before = os.umask(0)
    try:
        gallery = opened(folder, model)
        gallery.search([next((folder / "Visible/1").iterdir())], method="index")
        kept = list(gallery.cache.iterdir())
        assert {path.suffix for path in kept} == {".sqlite", ".f32", ".faiss"}
        assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
        kept[0].chmod(0o644)
        assert opened(folder, model).embedded == 0
        assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    finally:
        os.umask(before)


def test_a_name_that_cannot_be_printed_is_told(folder: Path, model: Path) -> None:
    image = next((folder / "Visible/1").iterdir())
    shutil.copyfile(image, os.fsencode(folder) + b"/Visible/\xff.bmp")
    gallery = opened(folder, model)
    assert list(gallery.unreadable.values()) == ["'Visible/\\udcff.bmp': not a printable name; rename the file"]


def test_the_answers_are_the_nearest_of_the_other_modality(folder: Path, model: Path) -> None:
    gallery = opened(folder, model)
    queries = [*sorted((folder / "Thermal").rglob("*.bmp"))[:2], sorted((folder / "Visible").rglob("*.bmp"))[0]]
    network = msclnet.load_model(model)
    for answer, query in zip(gallery.search(queries, top=5), queries, strict=True):
        own = Modality.INFRARED if "Thermal" in query.parts else Modality.VISIBLE
        other = Modality(1 - own)
        assert (answer.query, answer.decision, answer.among) == (query, (own, "folder"), other)
        files = sorted((folder / ("Visible" if own else "Thermal")).rglob("*.bmp"))
        scores = msclnet.embed(network, files, other) @ msclnet.embed(network, query, own)[0]
        best = np.argsort(-scores)[:5]
        assert [hit.path for hit in answer.hits] == [files[i] for i in best]
        assert [hit.score for hit in answer.hits] == pytest.approx(scores[best].tolist(), abs=1e-6)
    (same,) = gallery.search(queries[2:], 100, among="visible")
    assert same.hits[0].path == queries[2], "itself, when asked for its own modality"
    assert len(same.hits) == 12


def test_the_index_answers_as_the_exact_search(folder: Path, model: Path) -> None:
    queries = sorted((folder / "Thermal").rglob("*.bmp"))[:3]
    gallery = opened(folder, model)
    assert shown(gallery.search(queries, method="index")) == shown(gallery.search(queries, method="exact"))
    assert len(list(gallery.cache.glob("visible-*.faiss"))) == 1
    sorted((folder / "Visible").rglob("*.bmp"))[0].unlink()
    Image.new("RGB", (24, 48), (200, 10, 10)).save(folder / "Visible/red.png")
    gallery = opened(folder, model)
    answers = gallery.search(queries, top=12, method="index")
    assert shown(answers) == shown(gallery.search(queries, top=12, method="exact"))
    assert folder / "Visible/red.png" in {hit.path for hit in answers[0].hits}


def shown(answers: list[Answer]) -> list[tuple[str, str]]:
    """Paths and scores, as they are printed."""
    return [(str(hit.path), f"{hit.score:.4f}") for answer in answers for hit in answer.hits]


def test_a_query_is_decided_by_its_colours_where_no_folder_says(folder: Path, model: Path, tmp_path: Path) -> None:
    query = Path(shutil.copyfile(sorted((folder / "Thermal").rglob("*.bmp"))[0], tmp_path / "query.bmp"))
    (answer,) = opened(folder, model).search([query])
    assert answer.decision == (Modality.INFRARED, "colour")
    (answer,) = opened(folder, model).search([query], modality="visible")
    assert (answer.decision, answer.among) == ((Modality.VISIBLE, "flag"), Modality.INFRARED)


def test_a_folder_that_cannot_be_read_is_an_error(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a person would be missed, and the next best shown in their place."""
    closed, scandir = folder / "Thermal", os.scandir

    def scan(place: Path) -> object:
        if Path(place) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(closed))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(DataError, match=r"Thermal: Permission denied; a person in it would be missed: make the folder"):
        opened(folder, model)


def test_what_cannot_be_searched_is_said(folder: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder; expected one with images"):
        opened(tmp_path / "nowhere", model)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no image; expected files of \.bmp, \.jpeg"):
        opened(tmp_path / "empty", model)
    gallery = opened(folder / "Thermal", model)
    with pytest.raises(DataError, match=r"none of 12 images is visible.*state the modality"):
        gallery.search([next((folder / "Thermal/1").iterdir())], modality="infrared")
    with pytest.raises(DataError, match=r"absent\.png: no such image"):
        gallery.search([tmp_path / "absent.png"])
