"""What a file is, by its content: so that a wrong one is called what it is. Nothing in it is executed or unpacked."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from msclnet.core.files import open_regular

HEAD = 4096  # bytes that are looked at
WHOLE = 16 * 2**20  # bytes of a JSON file that is read
SHOWN = 8  # names listed
DIGEST = 64  # characters of the sha256 that closes this project's own files
LINE = 60  # characters of a text that are quoted
SIGNATURES = (
    (b"\x93NUMPY", "npy", "a NumPy array (.npy)"),
    (b"\x89HDF\r\n\x1a\n", "hdf5", "an HDF5 file"),
    (b"MATLAB 7.3 MAT-file", "hdf5", "a MATLAB file of version 7.3, which is HDF5"),
    (b"MATLAB 5.0 MAT-file", "mat", "a MATLAB file (.mat)"),
    # A number that torch wrote first, before its files were archives.
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "torch", "a file of torch.save, of a version before 1.6"),
    (b"\x89PNG\r\n\x1a\n", "image", "an image (PNG)"),
    (b"\xff\xd8\xff", "image", "an image (JPEG)"),
    (b"GIF87a", "image", "an image (GIF)"),
    (b"GIF89a", "image", "an image (GIF)"),
    (b"II*\x00", "image", "an image (TIFF)"),
    (b"MM\x00*", "image", "an image (TIFF)"),
    (b"\x00\x00\x00\x0cjP  ", "image", "an image (JPEG 2000)"),
    (b"8BPS", "image", "an image (Photoshop)"),
    (b"\x1aE\xdf\xa3", "video", "a video (Matroska)"),
    (b"%PDF-", "", "a PDF document"),
    (b"%!PS", "", "a PostScript document"),
    (b"\x1f\x8b", "", "a file compressed by gzip"),
    (b"BZh", "", "a file compressed by bzip2"),
    (b"\xfd7zXZ\x00", "", "a file compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "", "a file compressed by zstd"),
    (b"7z\xbc\xaf\x27\x1c", "", "a 7z archive"),
    (b"Rar!\x1a\x07", "", "a RAR archive"),
    (b"SQLite format 3\x00", "", "an SQLite database"),
    (b"PAR1", "", "a Parquet file"),
    (b"ARROW1", "", "an Arrow file"),
    (b"\x7fELF", "", "a program (ELF)"),
    (b"version https://git-lfs", "", "the pointer of Git LFS to a file, not the file: run git lfs pull"),
)
# In the box that opens a file of the ISO base media format.
BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"avif": "AVIF"}


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Attributes:
        format: ``own`` (torch's, closed by this project), ``torch``, ``npz``, ``npy``, ``mat``, ``hdf5``, ``export``,
            ``image``, ``folder`` and so on; empty where nothing here asks.
        words: for a message, with an article.
        names: what an archive, or JSON, holds; else empty.
    """

    format: str
    words: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.words


def kind_of(path: Path) -> Kind:
    """What a file is, whatever its name says.

    Args:
        path: a file or a folder that exists.

    Returns:
        Its kind; what is not known is said to be that.

    Raises:
        DataError: it is a pipe, a device or a socket.
        OSError: it cannot be read.
    """
    if path.is_dir():
        return Kind("folder", "a folder")
    with open_regular(path) as file:
        head = file.read(HEAD)
        if not head:
            return Kind("", "an empty file")
        found = _by_signature(head) or _zip(file, head) or _binary(file, head) or _text(file, head)
    return found or Kind("", "a file of a kind that is not known here")


def _by_signature(head: bytes) -> Kind | None:
    for start, format, words in SIGNATURES:
        if head.startswith(start):
            return Kind(format, words)
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"AVI "):
        return Kind("image", "an image (WebP)") if head[8:12] == b"WEBP" else Kind("video", "a video (AVI)")
    if head[4:8] == b"ftyp":
        name = BRANDS.get(head[8:12])
        return Kind("image", f"an image ({name})") if name else Kind("video", "a video (MP4)")
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return Kind("image", "an image (BMP)")
    if head[257:262] == b"ustar":
        return Kind("", "a TAR archive")
    return None


def _zip(file: BinaryIO, head: bytes) -> Kind | None:
    if head[:2] != b"PK":
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            names, comment = [member.filename for member in archive.infolist()], archive.comment
    except Exception:  # zipfile names a damaged one by half a dozen exception types
        return Kind("cut", "a ZIP archive, as torch and NumPy write, that is cut off or damaged")
    parts = {name.rpartition("/")[2] for name in names}
    if re.fullmatch(rb"[0-9a-f]{%d}" % DIGEST, comment) and "data.pkl" in parts:
        return Kind("own", "a checkpoint of this project")
    if "constants.pkl" in parts:
        return Kind("torch", "a TorchScript program of torch")
    if "archive_format" in parts or "serialized_exported_program.json" in parts:
        return Kind("export", "a program of torch.export (.pt2)")
    if "data.pkl" in parts:
        return Kind("torch", "a file of torch.save without this project's sha256 at its end")
    if names and all(name.endswith(".npy") for name in names):
        arrays = tuple(name.removesuffix(".npy") for name in names)
        what = "a file of features" if {"identities", "cameras", "modality"} <= set(arrays) else "a NumPy archive"
        return Kind("npz", f"{what} (.npz of {_listed(arrays)})", arrays)
    if "[Content_Types].xml" in parts:
        return Kind("", "an Office document")
    return Kind("", f"a ZIP archive of {_listed(names) or 'nothing'}", tuple(names))


def _binary(file: BinaryIO, head: bytes) -> Kind | None:
    """Formats that begin with numbers."""
    if head[0] == 0x80 and head[1:2] and head[1] <= 5:
        return Kind("pickle", "a Python pickle, which could run a program when it is read, so it was not")
    header = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= header <= file.seek(0, 2):
        return Kind("export", "a file of tensors (.safetensors)")
    if head[:1] == b"\x08" and head[1:2] and head[1] < 32 and head[2:3] in (b"\x12", b"\x1a", b":", b"B"):
        return Kind("export", "a network in ONNX")
    kind, imaginary, length = (int.from_bytes(head[at : at + 4], "little") for at in (0, 12, 16))
    name = head[20 : 20 + min(length, 64)]
    if kind < 100 and imaginary < 2 and re.fullmatch(rb"[A-Za-z]\w*\x00", name):
        return Kind("mat", "a MATLAB file (.mat) of version 4")
    return None


def _text(file: BinaryIO, head: bytes) -> Kind | None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Kind("text", "a text in UTF-16")
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < HEAD:  # not only a character that the end cuts
            return None
        text = head[: error.start].decode("utf-8-sig")
    if any(not sign.isprintable() and not sign.isspace() for sign in text):
        return None
    start = text.lstrip()
    if re.match(r"(?i)<!doctype html|<html|<head|<!--.*?-->\s*<html", start):
        return Kind("html", "a web page (HTML): a download that ended at a page, perhaps")
    if start.startswith("<?xml") or start.startswith("<svg"):
        return Kind("text", "an XML text")
    if start[:1] in ("{", "[") and (found := _json(file)):
        return found
    line = start.partition("\n")[0].strip()
    return Kind("text", f"a text ({line[:LINE]!r}{'...' if len(line) > LINE else ''})" if line else "a blank text")


def _json(file: BinaryIO) -> Kind | None:
    file.seek(0)
    try:
        content = json.loads(file.read(WHOLE))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return Kind("json", "a JSON list")
    names = tuple(content)
    return Kind("json", f"a JSON file with {_listed(names) or 'nothing in it'}", names)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:LINE] for name in names[:SHOWN]) + more
