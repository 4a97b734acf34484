"""What a checkpoint says of itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from msclnet.cli import main
from msclnet.config import TrainJob, plain
from msclnet.core import torch_file
from msclnet.core.errors import DataError
from msclnet.inference.info import info
from msclnet.model.files import open_model, save_model
from msclnet.training.learner import build_network, build_optimiser
from tests.core.test_file_kind import onnx, program, safetensors
from tests.inference.conftest import IDENTITIES
from tests.results.test_tables import HOW, row, write


def test_a_model_says_what_it_is_and_on_what_it_was_trained(model: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["info", str(model)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{model}: method msclnet, backbone small, ")
    assert "5 training identities, features of 128 numbers" in text
    assert (
        "Trained on drawn people, a stand-in in RegDB's layout, split 1, 14 epochs, seed 0, images of 48 x 24" in text
    )
    assert f"no scores: there is no {model.with_name('scores.json')}" in text
    assert "\nmethod_name: msclnet\n" in text, "its configuration"


def test_scores_beside_a_model_are_those_of_all_splits_of_its_method(model: Path, tmp_path: Path) -> None:
    for split, rank1 in ((1, 40.0), (2, 50.0)):
        write(
            tmp_path, "msclnet", split, [row(rank1, **HOW, feature="bn", direction="visible-to-infrared", split=split)]
        )
    copy = Path(shutil.copyfile(model, tmp_path / "msclnet/split1/model.pt"))
    text = info(copy)
    assert "mean and standard deviation over 2 splits" in text
    expected = [
        "bn",
        "no",
        "no",
        "standard",
        "visible-to-infrared",
        "45.00",
        "7.07",
        "47.00",
        "22.50",
        "3.54",
        "15.00",
        "2.36",
    ]
    assert text.splitlines()[5].split() == expected
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("model.pt", "scores.json"):
        shutil.copyfile(copy.with_name(name), alone / name)
    assert "scores in percent, of one split:" in info(alone / "model.pt")
    (alone / "scores.json").write_text("{}")
    with pytest.raises(DataError, match=r"alone/scores\.json: not a scores\.json"):
        info(alone / "model.pt")


@pytest.mark.parametrize(("keep", "which"), [("best_validation", "the highest validation mAP"), ("last", "the last")])
def test_a_validated_model_says_which_epoch_it_is(model: Path, tmp_path: Path, keep: str, which: str) -> None:
    """Also in the card of its export."""
    saved = open_model(model)
    origin = saved.origin | {"train": saved.origin["train"] | {"keep": keep}}
    scores = {"epoch": 9, "identities": 21, "rank1": 30.0, "mAP": 31.257, "mINP": 20.0}
    save_model(tmp_path / "model.pt", saved.network, origin, scores)
    words = (
        f"Weights of epoch 9, {which}; on 21 training identities held out for validation: Rank-1 30.00, mAP 31.26, "
        "mINP 20.00"
    )
    assert words in info(tmp_path / "model.pt").splitlines()
    assert main(["export", str(tmp_path / "model.pt"), "--format", "safetensors"]) == 0
    assert f"images of 48 x 24 pixels. {words}." in (tmp_path / "model.safetensors.md").read_text()
    assert "held out" not in info(model)


def test_an_unfinished_training_says_how_far_it_is(job: TrainJob, tmp_path: Path) -> None:
    network = build_network(job, IDENTITIES)
    state = {
        "step": 66,
        "network": network.state_dict(),
        "optimiser": build_optimiser(network, job).state_dict(),
    }
    torch_file.save(
        tmp_path / "checkpoint-66.pt", {"origin": plain(job) | {"pack": None}, "epoch": 3, "taken": 0, **state}
    )
    text = info(tmp_path / "checkpoint-66.pt")
    assert "an unfinished training, epoch 3 of 14, step 66" in text
    assert "in RegDB's layout, split 1" in text
    assert "A training goes on from checkpoints in its own folder work/, and this lies elsewhere" in text
    work = tmp_path / "training/work"
    work.mkdir(parents=True)
    moved = (tmp_path / "checkpoint-66.pt").rename(work / "checkpoint-66.pt")
    assert f"A training of the same configuration in {work.parent} goes on from the newest checkpoint" in info(moved)
    (work.parent / "model.pt").touch()
    assert f"The training in this folder has ended since, and left {work.parent}/model.pt" in info(moved)


def test_what_is_no_checkpoint_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pt")
    assert main(["info", str(tmp_path / "other.pt")]) == 1
    said = capsys.readouterr().err
    assert "other.pt: a file of torch.save without this project's sha256 at its end; expected a checkpoint of" in said
    assert "`msclnet import`" in said
    torch_file.save(tmp_path / "other.pt", {"weights": torch.zeros(1)})
    assert main(["info", str(tmp_path / "other.pt")]) == 1
    assert "other.pt: holds weights; expected a model.pt with format, identities" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "none.pt")]) == 1
    assert "none.pt: no such checkpoint" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe.pt")
    assert main(["info", str(tmp_path / "pipe.pt")]) == 1
    assert "pipe.pt: a pipe; expected a regular file" in capsys.readouterr().err
    assert main(["info", str(tmp_path)]) == 1
    assert f"{tmp_path}: a folder; expected a file: name the model.pt in it" in capsys.readouterr().err


EXPORTED = {".onnx": onnx, ".pt2": program, ".safetensors": safetensors}


@pytest.mark.parametrize("suffix", EXPORTED)
def test_an_export_is_not_called_damaged(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    EXPORTED[suffix](tmp_path / f"person{suffix}")
    assert main(["info", str(tmp_path / f"person{suffix}")]) == 1
    error = capsys.readouterr().err
    assert f"person{suffix}: an export, which other programs run; expected the model.pt it was made from" in error
    assert f"its card, {tmp_path}/person{suffix}.md" in error
