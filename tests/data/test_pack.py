"""Packing: to the pixel, the same on any number of workers, and never half."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msclnet.cli import main
from msclnet.core.errors import DataError
from msclnet.core.types import Modality
from msclnet.data.images import decode
from msclnet.data.pack import Pack, write_pack
from msclnet.datasets.regdb import RegDB
from msclnet.datasets.sysu import SYSU
from tests.conftest import ROOT
from tests.datasets import trees

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
    for path in sorted(one.iterdir()):
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name
    assert len(list(one.iterdir())) == 5


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


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 32), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert set(decode(tmp_path / "deep.png", *SIZE).ravel()) == {128}


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


def test_a_short_file_and_another_version_are_refused(root: Path, tmp_path: Path) -> None:
    out = packed(root, tmp_path)
    manifest = json.loads((out / "pack.json").read_text())
    (out / "pack.json").write_text(json.dumps(manifest | {"version": 0}))
    with pytest.raises(DataError, match="version 0, expected 2"):
        Pack.open(out)
    (out / "pack.json").write_text(json.dumps(manifest))
    (out / "visible.npy").write_bytes((out / "visible.npy").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"visible\.npy: not readable"):
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
    while not (tmp_path / "p/visible.npy").exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if not (tmp_path / "p/pack.json").exists():
        with pytest.raises(DataError, match="holds no finished pack"):
            Pack.open(tmp_path / "p")
    subprocess.run(command, check=True)
    whole = packed(root, tmp_path / "whole")
    for path in whole.iterdir():
        assert path.read_bytes() == (tmp_path / "p" / path.name).read_bytes()


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


def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path) -> None:
    root = trees.regdb(tmp_path / "RegDB")
    command = f"{sys.executable} -u -m msclnet.cli check-data regdb {root} | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == (f"RegDB in {root}\n", "")
