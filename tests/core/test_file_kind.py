"""What a file is said to be: real files of each kind, under a name that says nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from msclnet.core import torch_file
from msclnet.core.errors import DataError, reason
from msclnet.core.file_kind import kind_of


def image(format: str) -> Callable[[Path], object]:
    return lambda path: Image.new("RGB", (8, 16), (9, 99, 200)).save(path, format)


def content(value: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(value)


def stream(write: Callable[[io.BytesIO], object]) -> Callable[[Path], object]:
    def to(path: Path) -> None:
        write(buffer := io.BytesIO())
        path.write_bytes(buffer.getvalue())

    return to


def safetensors(path: Path) -> None:
    from safetensors.torch import save

    path.write_bytes(save({"w": torch.ones(3)}))


def program(path: Path) -> None:
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), path.with_suffix(".pt2"))
    path.with_suffix(".pt2").rename(path)


def onnx(path: Path) -> None:
    from onnx import TensorProto, helper, save_model

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node("Relu", ["x"], ["y"])
    save_model(helper.make_model(helper.make_graph([node], "g", [values[0]], [values[1]])), path)


def database(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE t (x)")


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("RegDB/idx/train_visible_1.txt", "x")


def tape(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("x"))


FEATURES = {"features": np.ones((2, 3)), "identities": np.ones(2), "cameras": np.ones(2), "modality": np.ones(2)}
KINDS: list[tuple[str, Callable[[Path], object]]] = [
    ("a checkpoint of this project", lambda path: torch_file.save(path, {"w": torch.ones(3)})),
    ("a file of torch.save without this project's sha256 at its end", stream(lambda file: torch.save({"a": 1}, file))),
    (
        "a file of torch.save, of a version before 1.6",
        stream(lambda file: torch.save({"a": 1}, file, _use_new_zipfile_serialization=False)),
    ),
    ("a TorchScript program of torch", lambda path: torch.jit.save(torch.jit.script(torch.nn.ReLU()), str(path))),
    ("a file of tensors (.safetensors)", safetensors),
    ("a network in ONNX", onnx),
    ("a NumPy array (.npy)", stream(lambda file: np.save(file, np.ones(3)))),
    ("a NumPy archive (.npz of a, b)", stream(lambda file: np.savez(file, a=1, b=2))),
    (
        "a file of features (.npz of features, identities, cameras, modality)",
        stream(lambda file: np.savez(file, **FEATURES)),
    ),
    ("a MATLAB file (.mat)", lambda path: savemat(path, {"x": np.ones(3)}, appendmat=False)),
    ("a MATLAB file (.mat) of version 4", lambda path: savemat(path, {"x": np.ones(3)}, appendmat=False, format="4")),
    ("a MATLAB file of version 7.3, which is HDF5", content(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))),
    ("an HDF5 file", content(b"\x89HDF\r\n\x1a\n" + bytes(100))),
    ("a Python pickle, which could run a program when it is read, so it was not", content(pickle.dumps({"a": [1]}))),
    ("an image (PNG)", image("PNG")),
    ("an image (JPEG)", image("JPEG")),
    ("an image (BMP)", image("BMP")),
    ("an image (GIF)", image("GIF")),
    ("an image (TIFF)", image("TIFF")),
    ("an image (WebP)", image("WEBP")),
    ("an image (HEIC)", content(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")),
    ("a video (MP4)", content(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2")),
    ("a web page (HTML): a download that ended at a page, perhaps", content(b"\n <!DOCTYPE html><html></html>")),
    ("a JSON file with split, rows", content(json.dumps({"split": 1, "rows": []}).encode())),
    ("a JSON list", content(b"[1, 2]")),
    ("a text ('# MSCLNet')", content(b"# MSCLNet\n\nText.")),
    ("a text ('{not: JSON')", content(b"{not: JSON")),
    ("a text in UTF-16", content("Text".encode("utf-16"))),
    ("a blank text", content(b"\n \n")),
    (
        "the pointer of Git LFS to a file, not the file: run git lfs pull",
        content(b"version https://git-lfs.github.com"),
    ),
    ("an SQLite database", database),
    ("a ZIP archive of RegDB/idx/train_visible_1.txt", archive),
    ("a TAR archive", tape),
    ("a file compressed by gzip", content(b"\x1f\x8b\x08" + bytes(20))),
    ("an empty file", content(b"")),
    ("a folder", Path.mkdir),
    ("a file of a kind that is not known here", content(bytes(range(200, 256)) * 9)),
]


@pytest.mark.parametrize(("words", "write"), KINDS, ids=[words for words, _ in KINDS])
def test_a_file_is_called_what_it_is(words: str, write: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write(path)
    assert str(kind_of(path)) == words


def test_a_program_is_called_what_it_is(tmp_path: Path) -> None:
    program(tmp_path / "model.pt")
    assert str(kind_of(tmp_path / "model.pt")) == "a program of torch.export (.pt2)"


def test_a_letter_that_the_end_of_what_is_read_cuts_is_text(tmp_path: Path) -> None:
    for shift in range(3):
        (tmp_path / "x").write_text("x" * shift + "é€" * 4000)
        assert kind_of(tmp_path / "x").format == "text"


@pytest.mark.parametrize("write", [write for _, write in KINDS], ids=[words for words, _ in KINDS])
def test_no_damage_to_a_file_is_a_traceback(write: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(path)
    if path.is_dir():
        return
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole[: rng.integers(len(whole) + 1)])
        for place in rng.integers(0, max(len(damaged), 1), 4) if damaged else ():
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        assert str(kind_of(path))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: a pipe; expected a regular file"):
        kind_of(tmp_path / "pipe")


class Planted:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("planted",)


def test_a_librarys_advice_to_run_what_is_in_a_file_is_not_passed_on() -> None:
    """What NumPy and torch really say."""
    saved: dict[str, io.BytesIO] = {name: io.BytesIO() for name in ("object", "array", "text")}
    torch.save({"x": Planted()}, saved["object"])
    np.save(saved["array"], np.array([{}], dtype=object))
    saved["text"].write(b"# MSCLNet")
    readers: dict[str, Callable[[io.BytesIO], object]] = {
        "object": lambda file: torch.load(file, weights_only=True),
        "array": lambda file: np.load(file, allow_pickle=False),
        "text": lambda file: torch.load(file, weights_only=True),
    }
    said = {}
    for name, read in readers.items():
        saved[name].seek(0)
        with pytest.raises(Exception, match=r"(?s).") as error:
            read(saved[name])
        said[name] = reason(error.value)
    assert said == {
        "object": "it holds an object of posix.mkdir, which could run a program when it is read",
        "array": "it holds Python objects, which could run a program: save numbers, and words as str",
        "text": "no tensors as torch saves them",
    }
    assert reason(ValueError("so and so\nand more")) == "so and so"
    assert reason(KeyError()) == "KeyError"
