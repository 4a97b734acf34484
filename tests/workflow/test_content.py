"""What a user's paths hold, and what the workflow has made: a change of content is seen, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from tests.conftest import ROOT
from tests.workflow.test_dag import TINY, planned, snakemake

MODEL, FEATURES = (f"results/experiments/mine/toy/base/split1/{file}" for file in ("model.pt", "features.npz"))
SUMMARY = "results/experiments/mine/toy_summary.csv"


def run(folder: Path, *arguments: str, check: bool = True) -> str:
    return snakemake(
        folder, *arguments, "--", SUMMARY, FEATURES, MODEL, configs=(TINY, folder / "own.yaml"), check=check
    )


def plan(folder: Path) -> Counter[str]:
    return planned(run(folder, "-n"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished table of a method on a folder of images of one's own, from weights of one's own."""
    from torchvision.models import resnet18

    folder = tmp_path_factory.mktemp("content")
    (folder / "toy.py").write_text((ROOT / "tests/datasets/toy.py").read_text())
    draw = [sys.executable, str(ROOT / "workflow/scripts/draw_stand_in.py"), "--set", "toy", "--seed", "0"]
    draw += ["--options", '{"like": "", "images": 2}', "--out", str(folder / "images"), "--workers", "1"]
    subprocess.run(draw, env={**os.environ, "MSCLNET_PLUGINS": str(folder / "toy.py")}, check=True)
    torch.save(resnet18().state_dict(), folder / "weights.pth")
    own = {
        "plugins": ["toy.py"],
        "run": {"name": "mine", "sets": ["toy"], "methods": ["base"]},
        "data": {"toy": {"root": "images", "epochs": 1, "processes": 1}},
        "stand_in": {"toy": {"like": "", "images": 2}},
        "model": {"backbone": "resnet18", "weights": "weights.pth", "parts": 1},
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(own))
    run(folder)
    assert not plan(folder)
    return folder


def test_new_times_alone_are_nothing_to_be_done(done: Path) -> None:
    for path in (done / "weights.pth", *(done / "images").rglob("*.png")):
        path.touch()
    assert not plan(done)


def test_another_image_is_packed_and_trained_on(done: Path) -> None:
    path = sorted((done / "images/day/1").iterdir())[0]
    before = path.read_bytes()
    image = Image.open(path)
    Image.new("RGB", image.size, "red").save(path)
    jobs = plan(done)
    assert {"check_data", "pack", "train"} <= jobs.keys()
    path.write_bytes(before)
    assert not plan(done), "the old content is back"


def test_other_weights_are_trained_from_again(done: Path) -> None:
    model = done / MODEL
    before = model.read_bytes()
    state = torch.load(done / "weights.pth", weights_only=True)
    state["conv1.weight"] *= 2
    torch.save(state, done / "weights.pth")
    jobs = plan(done)
    assert jobs["train"] == 2, "the method's and the untrained network's"
    assert not {"check_data", "pack"} & jobs.keys()
    run(done)
    assert model.read_bytes() != before, "what was finished from other weights is not put back"
    assert not plan(done)


def test_a_spoiled_pack_ends_the_job_and_is_made_again(done: Path) -> None:
    (pack,) = (done / "data/packs").iterdir()
    (done / FEATURES).unlink()
    images = np.load(pack / "visible.npy", mmap_mode="r+")
    images[:] = 255 - images
    images.flush()
    whole = 255 - np.array(images)
    summary = (done / SUMMARY).read_bytes()
    run(done, check=False)
    log = (done / "results/experiments/mine/logs/features_toy_base_split1.log").read_text()
    assert "visible.npy: corrupt, its sha256 is not that in pack.json" in log
    assert f"put aside as {pack / 'pack.json.spoiled'}: the next snakemake makes it again" in log
    run(done)
    assert np.array_equal(np.load(pack / "visible.npy"), whole)
    assert (done / SUMMARY).read_bytes() == summary


@pytest.mark.parametrize("file", ["model.pt", "features.npz"])
def test_a_spoiled_model_or_features_are_made_again(done: Path, file: str) -> None:
    path = (done / MODEL if file == "model.pt" else done / FEATURES).resolve()
    summary = (done / SUMMARY).read_bytes()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    os.utime(path)
    path.write_bytes(content)
    run(done, "--forcerun", "features" if file == "model.pt" else "evaluate_toy", check=False)
    assert not path.exists()
    run(done)
    assert path.read_bytes() != content
    assert (done / SUMMARY).read_bytes() == summary
