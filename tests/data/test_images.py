"""What an image file may hold: pixels in one of a few formats, and nothing that starts, hangs or fills anything."""

from __future__ import annotations

import io
import os
import re
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageFile, ImageOps

from msclnet.core.errors import DataError
from msclnet.data import images
from msclnet.data.images import FORMATS, decode, read_rgb

PACKAGE = Path(images.__file__).parents[1]
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 48\n%%EndComments\n"


def test_one_place_opens_images() -> None:
    opening = [path for path in PACKAGE.rglob("*.py") if re.search(r"\bImage\.open\(|imread\(", path.read_text())]
    assert opening == [Path(images.__file__)]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_formats_that_are_meant_are_read(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (24, 48), (250, 10, 10)).save(tmp_path / "image", kind)
    assert np.allclose(decode(tmp_path / "image", 48, 24), (250, 10, 10), atol=4)


def test_postscript_by_another_name_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow draws it by Ghostscript."""
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **_: started.append(args))
    (tmp_path / "person.jpg").write_bytes(POSTSCRIPT)
    with pytest.raises(DataError, match=r"person\.jpg: not a readable image \(none of BMP, JPEG, PNG, TIFF, WEBP\)"):
        read_rgb(tmp_path / "person.jpg")
    assert not started


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(("make", "what"), [(fifo, "a pipe"), (device, "a device"), (listening, "a socket")])
def test_what_is_no_file_is_refused_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], what: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    make(Path("x.png"))
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(DataError, match=rf"x\.png: {what}; expected a regular file"):
        read_rgb(Path("x.png"))


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r": not a readable image \(.*Is a directory"):
        read_rgb(tmp_path)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (14000, 14000)).save(tmp_path / "huge.png")  # of which Pillow raises an error
    Image.new("1", (12000, 8000)).save(tmp_path / "large.png")  # of which it warns
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    for name in ("huge", "large"):
        with pytest.raises(DataError, match=rf"{name}\.png: not a readable image \(.*pixels"):
            read_rgb(tmp_path / f"{name}.png")


def test_a_damaged_resolution_is_no_reason_to_refuse_a_photograph(tmp_path: Path) -> None:
    """EXIF is read for the orientation alone, and never written again."""
    content = io.BytesIO()
    Image.new("RGB", (36, 72)).save(content, "JPEG")
    jpeg = content.getvalue()
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + struct.pack("<HHII", 274, 3, 1, 6)
    exif += struct.pack("<HHII", 282, 10, 1, 38) + b"\0" * 4 + struct.pack("<ii", -1, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "e.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    assert read_rgb(tmp_path / "e.jpg").size == (72, 36)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_pillows_own(tmp_path: Path, orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    with Image.open(tmp_path / "x.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "x.png")), expected)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, KeyError, struct.error, ZeroDivisionError])
def test_whatever_a_decoder_raises_is_a_bad_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    Image.new("RGB", (24, 48)).save(tmp_path / "x.png")

    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    with pytest.raises(DataError, match=rf"x\.png: not a readable image \({error.__name__.split('.')[-1]}\)"):
        decode(tmp_path / "x.png", 48, 24)


@pytest.mark.filterwarnings("ignore:::PIL")
def test_damaged_bytes_are_images_or_errors_of_this_project(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in FORMATS:
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (48, 24, 3), dtype=np.uint8)).save(content, kind)
        for _ in range(60):
            damaged = bytearray(content.getvalue())
            for place in rng.integers(0, min(len(damaged), 400), 3):
                damaged[place] = rng.integers(0, 256)
            (tmp_path / "x").write_bytes(damaged)
            with suppress(DataError):
                assert decode(tmp_path / "x", 48, 24).shape == (48, 24, 3)
