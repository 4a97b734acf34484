"""Packing: to the pixel, the same on any number of workers, and never half."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from msclnet.cli import main
from msclnet.core.errors import ConfigError, DataError, SpoiledError, StorageError
from msclnet.core.files import sha256
from msclnet.core.types import Modality
from msclnet.data import manifest
from msclnet.data.images import decode
from msclnet.data.manifest import VERIFIED
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.regdb import RegDB
from msclnet.datasets.sysu import SYSU
from tests.conftest import ROOT
from tests.datasets import trees
from tests.patience import PATIENCE, until

SIZE = (48, 24)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trees.regdb(tmp_path_factory.mktemp("pack") / "RegDB")


def packed(root: Path, out: Path, workers: int = 1) -> Path:
    write_pack(RegDB().survey(root, (1, 3), real=False).require(), root, out, *SIZE, workers)
    return out


def test_images_are_pillows_own_to_the_pixel(root: Path, tmp_path: Path) -> None:
    pack = Pack.open(packed(root, tmp_path))
    for modality in Modality:
        assert len(pack.paths[modality]) == 12, "each image once, whatever the number of splits"
        for row, path in enumerate(pack.paths[modality]):
            image = Image.open(root / path).convert("RGB").resize(SIZE[::-1], Image.Resampling.LANCZOS)
            assert np.array_equal(pack.images[modality][row], np.asarray(image))


def test_rows_follow_the_index_files(root: Path, tmp_path: Path) -> None:
    pack, splits = Pack.open(packed(root, tmp_path)), RegDB().survey(root, (1, 3), real=False).require()
    for split in (1, 3):
        for part in ("train", "test"):
            for modality in Modality:
                records = [r for r in getattr(splits[split], part) if r.modality is modality]
                rows = pack.rows(split, part, modality)
                assert [pack.paths[modality][row] for row in rows] == [r.path for r in records]
                assert pack.identities[modality][rows].tolist() == [r.identity for r in records]
                assert pack.cameras[modality][rows].tolist() == [r.camera for r in records]


def test_those_that_a_set_lists_for_validation_are_known_and_others_are_none(root: Path, tmp_path: Path) -> None:
    sysu = trees.sysu(tmp_path / "SYSU-MM01")
    splits = SYSU().survey(sysu, real=False).require()
    write_pack(splits, sysu, tmp_path / "sysu", *SIZE, 1)
    pack = Pack.open(tmp_path / "sysu")
    for modality in Modality:
        found = [pack.paths[modality][row] for row in pack.rows(1, "validation", modality)]
        assert found == [record.path for record in splits[1].validation if record.modality is modality]
        assert set(pack.rows(1, "validation", modality)) < set(pack.rows(1, "train", modality))
    without = Pack.open(packed(root, tmp_path / "regdb"))
    assert all(not len(without.rows(1, "validation", modality)) for modality in Modality)
    assert without.splits["1"].keys() == {"train", "test"}


def test_workers_change_no_byte(root: Path, tmp_path: Path) -> None:
    one, two = packed(root, tmp_path / "one"), packed(root, tmp_path / "two", workers=2)
    for path in sorted(path for path in one.iterdir() if path.name != VERIFIED):
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name
    assert len(list(one.iterdir())) == 6


def test_sysu_keeps_its_cameras(tmp_path: Path) -> None:
    root = trees.sysu(tmp_path / "SYSU")
    write_pack(SYSU().survey(root, real=False).require(), root, tmp_path / "pack", *SIZE, 1)
    pack = Pack.open(tmp_path / "pack")
    for modality in Modality:
        assert [int(path[3]) for path in pack.paths[modality]] == pack.cameras[modality].tolist()
        assert pack.identities[modality].tolist() == sorted(pack.identities[modality].tolist())


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
    Image.fromarray(np.arange(64 * 32 * 3, dtype=np.uint8).reshape(64, 32, 3)).convert(mode).save(path)
    expected = Image.open(path).convert("RGB").resize(SIZE[::-1], Image.Resampling.LANCZOS)
    assert np.array_equal(decode(path, *SIZE), np.asarray(expected))


@pytest.mark.parametrize(
    ("values", "deep_range", "greys"),
    [
        ((0, 32768, 65535), (0, 65535), (0, 128, 255)),
        ((0, 8192, 16383), (0, 16383), (0, 128, 255)),  # counts of 14 bits
        ((0, 2048, 4095), (0, 4095), (0, 128, 255)),  # of 12
        ((270.0, 295.1, 330.0), (270, 320), (0, 128, 255)),  # kelvin
        ((-20.0, 0.1, 20.0), (-20, 20), (0, 128, 255)),  # degrees
        ((0.0, 0.5, 1.0), (0, 1), (0, 128, 255)),
    ],
)
def test_grey_of_more_than_8_bits_is_mapped_by_the_range_or_refused(
    tmp_path: Path, values: tuple[float, ...], deep_range: tuple[float, float], greys: tuple[int, ...]
) -> None:
    kind = np.uint16 if isinstance(values[0], int) else np.float32
    path = tmp_path / "deep.tif"
    Image.fromarray(np.repeat(np.array(values, kind), 16)[:, None].repeat(24, 1)).save(path)
    pixels = decode(path, 48, 24, deep_range)
    assert tuple(pixels[row, 0, 0] for row in (4, 24, 44)) == greys
    with pytest.raises(DataError, match=rf"{path}: grey values from .*, more than 8 bits; state what is black.*deep_"):
        decode(path, 48, 24)


def test_black_is_below_white(tmp_path: Path) -> None:
    Image.fromarray(np.full((48, 24), 7, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ConfigError, match="black at 5 and white at 5; expected black below white"):
        decode(tmp_path / "deep.png", 48, 24, (5, 5))


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((48, 24), np.nan, np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match="not finite"):
        decode(tmp_path / "deep.tif", 48, 24, (0, 1))


def test_the_range_is_recorded_and_leaves_8_bits_as_they_are(root: Path, tmp_path: Path) -> None:
    splits = RegDB().survey(root, (1, 3), real=False).require()
    write_pack(splits, root, tmp_path / "ranged", *SIZE, 1, deep_range=(0, 16383))
    plain = packed(root, tmp_path / "plain")
    for name in ("visible.npy", "infrared.npy", "index.csv", "splits.json"):
        assert (tmp_path / "ranged" / name).read_bytes() == (plain / name).read_bytes()
    ranged = json.loads((tmp_path / "ranged/pack.json").read_text())
    assert ranged.pop("deep_range") == [0, 16383]
    assert ranged == json.loads((plain / "pack.json").read_text())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_deep_images_through_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: str) -> None:
    root = trees.sysu(tmp_path / "SYSU")
    for image in root.glob("cam[36]/*/*.jpg"):
        image.unlink()
        Image.fromarray(np.full((48, 24), 8192, np.uint16)).save(image.with_suffix(".png"))
    command = ["sysu", str(root), "--any-size", "--workers", workers]
    assert main(["check-data", *command]) == 0
    assert main(["check-data", *command, "--thorough"]) == 1
    assert "more than 8 bits; state what is black and what is white" in capsys.readouterr().out
    assert main(["check-data", *command, "--thorough", "--deep-range", "0", "16383"]) == 0
    assert main(["export-npy", *command[:2], str(tmp_path / "out"), *command[2:]]) == 1
    assert main(["export-npy", *command[:2], str(tmp_path / "out"), *command[2:], "--deep-range", "0", "16383"]) == 0
    assert np.unique(np.load(tmp_path / "out/train_ir_resized_img.npy")).tolist() == [128]


def test_a_photographs_rotation_is_undone(tmp_path: Path) -> None:
    upright = Image.new("RGB", (32, 64), "red")
    upright.paste("blue", (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    upright.rotate(90, expand=True).save(tmp_path / "rotated.png", exif=exif)
    pixels = decode(tmp_path / "rotated.png", *SIZE).astype(int)
    assert pixels[2, 12, 2] > 200 > pixels[2, 12, 0]
    assert pixels[-3, 12, 0] > 200 > pixels[-3, 12, 2]


@pytest.mark.parametrize("damage", ["half", "text", "empty", "absent"])
def test_an_unreadable_image_stops_the_packing_by_name(root: Path, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "RegDB"))
    splits = RegDB().survey(copy, (1, 3), real=False).require()
    image = sorted((copy / "Thermal").rglob("*.bmp"))[3]
    content = image.read_bytes()
    image.write_bytes(
        {"half": content[: len(content) // 2], "text": b"not an image", "empty": b"", "absent": b""}[damage]
    )
    if damage == "absent":
        image.unlink()
    with pytest.raises(DataError, match=rf"{image.name}: (not a readable image|no such image).*copy it "):
        write_pack(splits, copy, tmp_path / "pack", *SIZE, workers=2 if damage == "half" else 1)
    with pytest.raises(DataError, match=r"pack\.json: absent, so .* holds no finished pack; make it with"):
        Pack.open(tmp_path / "pack")


def test_a_repacking_that_fails_does_not_leave_the_old_manifest(root: Path, tmp_path: Path) -> None:
    out = packed(root, tmp_path / "pack")
    with pytest.raises(DataError):
        write_pack(RegDB().survey(root, (1,), real=False).require(), tmp_path / "elsewhere", out, *SIZE, 1)
    assert not (out / "pack.json").exists()


def test_a_corrupt_pack_is_named(root: Path, tmp_path: Path) -> None:
    out = packed(root, tmp_path)
    Pack.open(out).verify()
    with (out / "infrared.npy").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    with pytest.raises(DataError, match=r"infrared\.npy: corrupt, its sha256 is not that in pack\.json"):
        Pack.open(out).verify()


def test_a_number_of_images_that_no_memory_holds_is_refused(root: Path, tmp_path: Path) -> None:
    out = packed(root, tmp_path)
    manifest = json.loads((out / "pack.json").read_text())
    manifest["images"]["visible"] = 10**15
    (out / "pack.json").write_text(json.dumps(manifest))
    with pytest.raises(SpoiledError, match=r"index\.csv: .*visible images, not one for each row"):
        Pack.open(out)


def test_changed_images_are_refused_by_whoever_opens_the_pack(root: Path, tmp_path: Path) -> None:
    """All visible images inverted, in place, with the file's old time put back."""
    out = packed(root, tmp_path)
    file = out / "visible.npy"
    before = file.stat()
    images = np.load(file, mmap_mode="r+")
    images[:] = 255 - images
    images.flush()
    del images
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(SpoiledError, match=r"visible\.npy: corrupt, its sha256 is not that in pack\.json") as caught:
        Pack.open(out)
    assert caught.value.path == out / "pack.json", "without it the workflow makes the pack again"


def test_images_are_read_once_to_be_verified_and_again_after_a_change(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = packed(root, tmp_path)
    read: list[str] = []
    monkeypatch.setattr(manifest, "sha256", lambda path: read.append(path.name) or sha256(path))
    Pack.open(out)
    assert read == [], "packing has noted what it wrote"
    (out / VERIFIED).unlink()
    Pack.open(out)
    Pack.open(out)
    assert sorted(read) == ["index.csv", "infrared.npy", "splits.json", "visible.npy"]
    read.clear()
    (out / "visible.npy").touch()
    Pack.open(out)
    assert read == ["visible.npy"]
    read.clear()
    (out / VERIFIED).write_text("[1]")
    Pack.open(out).verify()
    assert len(read) == 8, "verify reads all, whatever is noted"


def test_a_short_file_and_another_version_are_refused(root: Path, tmp_path: Path) -> None:
    out = packed(root, tmp_path)
    manifest = json.loads((out / "pack.json").read_text())
    (out / "pack.json").write_text(json.dumps(manifest | {"version": 0}))
    with pytest.raises(DataError, match="version 0, expected 2"):
        Pack.open(out)
    (out / "pack.json").write_text(json.dumps(manifest))
    (out / "visible.npy").write_bytes((out / "visible.npy").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"visible\.npy: corrupt, its sha256 is not that in pack\.json"):
        Pack.open(out)


def test_an_unknown_split_lists_those_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no split 2; it holds 1, 3"):
        Pack.open(packed(root, tmp_path)).rows(2, "train", Modality.VISIBLE)


def test_the_scripts_run_by_hand(root: Path, tmp_path: Path) -> None:
    def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "workflow/scripts" / script), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    checked = run("check_data.py", "--set", "regdb", "--root", root, "--splits", 1, 2, "--out", tmp_path / "c.json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads((tmp_path / "c.json").read_text()) == {
        "identities": 6, "visible images": 12, "thermal images": 12,
        "lines of the shortest index file": 6, "lines of the longest index file": 6,
    }  # fmt: skip
    made = run(
        "pack.py",
        "--set",
        "regdb",
        "--root",
        root,
        "--splits",
        1,
        "--height",
        48,
        "--width",
        24,
        "--out",
        tmp_path / "p",
    )
    assert made.returncode == 0, made.stderr
    assert Pack.open(tmp_path / "p").height == 48
    refused = run("check_data.py", "--set", "sysu", "--root", root)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert refused.stderr.startswith("error: ")


def broken(root: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the set, and its image that cannot be read."""
    copy = Path(shutil.copytree(root, tmp_path / "RegDB"))
    image = sorted((copy / "Thermal").rglob("*.bmp"))[3]
    image.write_bytes(image.read_bytes()[:100])
    return copy, image


@pytest.mark.parametrize("workers", [1, 2])
def test_a_skipped_image_is_listed_and_leaves_the_others_as_they_are(root: Path, tmp_path: Path, workers: int) -> None:
    copy, image = broken(root, tmp_path)
    splits = RegDB().survey(copy, (1, 3), real=False).require()
    write_pack(splits, copy, tmp_path / "pack", *SIZE, workers, on_bad_image="skip")
    whole, pack = Pack.open(packed(root, tmp_path / "whole")), Pack.open(tmp_path / "pack")
    pack.verify()
    name = str(image.relative_to(copy))
    skipped = json.loads((tmp_path / "pack/pack.json").read_text())["skipped"]
    assert list(skipped) == [name]
    assert f"{image}: not a readable image" in skipped[name]
    kept = [row for row, path in enumerate(whole.paths[Modality.INFRARED]) if path != name]
    assert pack.paths[Modality.INFRARED] == [whole.paths[Modality.INFRARED][row] for row in kept]
    assert np.array_equal(pack.images[Modality.INFRARED], whole.images[Modality.INFRARED][kept])
    for split in (1, 3):
        for part in ("train", "test"):
            rows = whole.rows(split, part, Modality.INFRARED).tolist()
            expected = [kept.index(row) for row in rows if row in kept]
            assert pack.rows(split, part, Modality.INFRARED).tolist() == expected
    assert sorted(p.name for p in (tmp_path / "pack").iterdir()) == sorted(
        p.name for p in (tmp_path / "whole").iterdir()
    )


def test_skipping_the_last_image_of_an_identity_is_refused(root: Path, tmp_path: Path) -> None:
    copy, image = broken(root, tmp_path)
    for other in image.parent.iterdir():
        other.write_bytes(b"")
    splits = RegDB().survey(copy, (1,), real=False).require()
    with pytest.raises(DataError, match=rf"identity {image.parent.name} of the \w+ half: none of its infrared images"):
        write_pack(splits, copy, tmp_path / "pack", *SIZE, 1, on_bad_image="skip")
    assert not (tmp_path / "pack/pack.json").exists()


def test_a_killed_packing_never_looks_whole_and_starts_again(root: Path, tmp_path: Path) -> None:
    """Killed as soon as the first array lies there, and run again: the bytes of an undisturbed packing."""
    command = [sys.executable, str(ROOT / "workflow/scripts/pack.py"), "--set", "regdb", "--root", str(root)]
    command += ["--splits", "1", "3", "--height", "48", "--width", "24", "--workers", "2", "--out", str(tmp_path / "p")]
    process = subprocess.Popen(command, start_new_session=True)
    while not (tmp_path / "p/visible.npy").exists() and process.poll() is None:
        time.sleep(0.005)
    assert (tmp_path / "p/visible.npy").exists()
    with contextlib.suppress(ProcessLookupError):  # it was faster
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if not (tmp_path / "p/pack.json").exists():
        with pytest.raises(DataError, match="holds no finished pack"):
            Pack.open(tmp_path / "p")
    subprocess.run(command, check=True)
    whole = packed(root, tmp_path / "whole")
    for path in (path for path in whole.iterdir() if path.name != VERIFIED):
        assert path.read_bytes() == (tmp_path / "p" / path.name).read_bytes()


def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """A disk that has ``free`` bytes."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))


def test_a_disk_without_room_is_said_before_an_image_is_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(tmp_path, monkeypatch, 24 * 48 * 24 * 3 - 1)
    with pytest.raises(StorageError, match=rf"^{tmp_path}/pack: 1 MiB are needed there, 0 MiB are free"):
        packed(root, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
    full(tmp_path, monkeypatch, 24 * 48 * 24 * 3)
    packed(root, tmp_path / "pack")
    full(tmp_path, monkeypatch, 0)  # what is written over is room
    packed(root, tmp_path / "pack")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_fills_while_packing_ends_it_with_a_word(root: Path, tmp_path: Path, workers: int) -> None:
    """A limit on the size of files stands for the full disk: EFBIG where that has ENOSPC."""
    script = str(ROOT / "workflow/scripts/pack.py")
    command = [sys.executable, script, "--set", "regdb", "--root", str(root), "--splits", "1", "--height", "288"]
    command += ["--width", "144", "--workers", str(workers), "--out", str(tmp_path / "p")]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))

    found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, preexec_fn=limit)
    assert (found.returncode, found.stdout) == (1, "")
    assert re.fullmatch(rf"error: {tmp_path}/p: 2 MiB are needed there, \d+ MiB are free; .*\n", found.stderr)
    assert [path.name for path in (tmp_path / "p").iterdir()] == []


def test_a_worker_that_is_killed_ends_the_packing_by_name(tmp_path: Path) -> None:
    """As the kernel does it, for want of memory."""
    Image.new("RGB", (600, 1200)).save(tmp_path / "big.png")
    code = (
        "import sys; from pathlib import Path; from msclnet.core.errors import UserError\n"
        "from msclnet.core.files import atomic_write; from msclnet.core.types import ImageRecord\n"
        "from msclnet.data.pack import write_images\n"
        f"root = Path({str(tmp_path)!r}); records = [ImageRecord('big.png', 1, 1, 0)] * 20000\n"
        "try:\n    with atomic_write(root / 'a.npy') as out: write_images(records, root, out, 72, 36, 2)\n"
        "except UserError as error: sys.exit(f'error: {error}')"
    )
    packing = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    until(lambda: _one_at_work(packing.pid)).kill()
    _, said = packing.communicate(timeout=PATIENCE)
    assert packing.returncode == 1
    assert said.startswith(f"error: a worker at {tmp_path}/big.png was ended by SIGKILL: "), said
    assert [path.name for path in tmp_path.iterdir()] == ["big.png"]


def _one_at_work(caller: int) -> psutil.Process | None:
    """A process of the caller's that has an image open, stopped so that it keeps it."""
    for process in psutil.Process(caller).children(recursive=True):
        process.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            time.sleep(0.005)
        if any(file.path.endswith("big.png") for file in process.open_files()):
            return process
        process.resume()
    return None


def test_the_fields_arrays(tmp_path: Path) -> None:
    """Against the preprocessing of the field, done by hand: sorted identities, cameras, files; labels by identity."""
    root = trees.sysu(tmp_path / "SYSU")
    assert main(["export-npy", "sysu", str(root), str(tmp_path / "out"), "--any-size", "--workers", "2"]) == 0
    for name, cameras in (("rgb", (1, 2, 4, 5)), ("ir", (3, 6))):
        images, labels, seen = [], [], []
        for label, identity in enumerate((1, 2, 3, 4)):
            for camera in cameras:
                for path in sorted((root / f"cam{camera}/{identity:04d}").glob("*.jpg")):
                    images.append(np.array(Image.open(path).resize((144, 288), Image.Resampling.LANCZOS)))
                    labels.append(label)
                    seen.append(camera)
        img, label, cam = (
            np.load(tmp_path / f"out/train_{name}_resized_{what}.npy") for what in ("img", "label", "cam")
        )
        assert np.array_equal(img, np.array(images))
        assert img.dtype == np.uint8
        assert (label.tolist(), cam.tolist()) == (labels, seen)


def test_the_arrays_of_one_of_several_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = trees.regdb(tmp_path / "RegDB"), tmp_path / "out"
    command = ["export-npy", "regdb", str(root), str(out), "--any-size", "--height", "16", "--width", "8"]
    assert main([*command, "--split", "3", "--workers", "1"]) == 0
    train = RegDB().survey(root, (3,), real=False).require()[3].train
    infrared = sorted((r.identity, r.path) for r in train if r.modality is Modality.INFRARED)
    labels = {identity: label for label, identity in enumerate(sorted({identity for identity, _ in infrared}))}
    assert np.load(out / "train_ir_resized_label.npy").tolist() == [labels[identity] for identity, _ in infrared]
    assert np.array_equal(np.load(out / "train_ir_resized_img.npy")[0], decode(root / infrared[0][1], 16, 8))
    capsys.readouterr()
    assert main(command) == 1
    assert capsys.readouterr().err == "error: split: RegDB has the splits 1, 2, 3, 4, 5, 6, 7, 8, 9, 10; name one\n"
    assert main(["export-npy", "sysu", str(trees.sysu(tmp_path / "SYSU")), str(out), "--any-size", "--split", "2"]) == 1
    assert capsys.readouterr().err == "error: split: found 2, expected 1: SYSU-MM01 has no other\n"
    for wrong, said in (("--height", "--height: found '0'"), ("--workers", "--workers: found '0'")):
        with pytest.raises(SystemExit):
            main([*command, "--split", "3", wrong, "0"])
        assert f"argument {said}, expected a number of 1 or more" in capsys.readouterr().err


def test_a_split_that_the_set_has_not_is_no_file_to_look_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = trees.regdb(tmp_path / "RegDB")
    assert main(["check-data", "regdb", str(root), "--any-size", "--splits", "3", "11"]) == 1
    said = capsys.readouterr()
    assert said.err == "error: split: found 11, expected 1, 2, 3, 4, 5, 6, 7, 8, 9, 10: RegDB has no other\n"
    assert said.out == ""


def test_check_data_prints_counts_and_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.sysu(tmp_path / "SYSU")
    assert main(["check-data", "sysu", str(root), "--any-size"]) == 0
    out = capsys.readouterr().out
    assert "no problems" in out
    assert re.search(r"query images +\d+ +3,803  differs", out)
    assert main(["check-data", "sysu", str(root)]) == 1
    out = capsys.readouterr().out
    assert re.search(r"training identities +4 +395  differs", out)
    assert f"{root}: 4 training identities, expected 395; unpack the set again" in out
    assert main(["check-data", "llcm", str(root)]) == 1
    assert "has no vis, nir, test_vis, test_nir, idx" in capsys.readouterr().err


def spoilt(tmp_path: Path) -> Path:
    """A set with a link to nothing, an empty file, a folder, and a text for images."""
    root = trees.sysu(tmp_path / "SYSU")
    images = sorted(root.glob("cam1/0001/*.jpg"))
    (images[0].with_name("gone.jpg")).symlink_to("nowhere.jpg")
    (images[0].with_name("empty.jpg")).touch()
    (images[0].with_name("folder.jpg")).mkdir()
    (images[0].with_name("text.jpg")).write_text("no image")
    return root


def test_check_data_finds_what_packing_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = spoilt(tmp_path)
    folder = root / "cam1/0001"
    fast = [
        f"{folder}/empty.jpg: empty; copy it again",
        f"{folder}/folder.jpg: no file; expected an image",
        f"{folder}/gone.jpg: a link to nowhere.jpg, which is not there; copy it again",
    ]
    assert main(["check-data", "sysu", str(root), "--any-size"]) == 1
    out = capsys.readouterr().out
    assert "3 problems\n" in out
    assert [line in out for line in fast] == [True] * 3
    for workers in ("1", "2"):
        assert main(["check-data", "sysu", str(root), "--any-size", "--thorough", "--workers", workers]) == 1
        out = capsys.readouterr().out
        assert "4 problems\n" in out
        assert [line in out for line in (*fast, f"{folder}/text.jpg: not a readable image")] == [True] * 4


def test_what_is_to_be_skipped_is_a_note(tmp_path: Path) -> None:
    root = spoilt(tmp_path)
    command = [sys.executable, str(ROOT / "workflow/scripts/check_data.py"), "--set", "sysu", "--root", str(root)]
    stopped, skipped = (
        subprocess.run([*command, "--on-bad-image", what], capture_output=True, text=True) for what in ("stop", "skip")
    )
    assert (stopped.returncode, skipped.returncode) == (1, 0)
    assert "left out: 3 problems" in skipped.stdout
    assert "no problems" in skipped.stdout


def test_a_name_that_is_not_utf_8_is_found_before_packing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.sysu(tmp_path / "SYSU")
    image = sorted(root.glob("cam1/0001/*.jpg"))[0]
    shutil.copyfile(image, os.fsdecode(os.fsencode(image.parent) + b"/caf\xe9.jpg"))
    assert main(["check-data", "sysu", str(root), "--any-size"]) == 1
    said = f"{image.parent}: 'caf\\udce9.jpg' is no name in UTF-8, or has control characters; rename the file"
    assert said in capsys.readouterr().out
    assert main(["export-npy", "sysu", str(root), str(tmp_path / "out"), "--any-size"]) == 1
    assert said in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path) -> None:
    root = trees.regdb(tmp_path / "RegDB")
    command = f"{sys.executable} -u -m msclnet.cli check-data regdb {root} | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == (f"RegDB in {root}\n", "")
