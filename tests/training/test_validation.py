"""Scores during a training: on whom, without a trace in the training, and which weights are kept by them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from msclnet import evaluate
from msclnet.config import Config, TrainJob, replace, train_job
from msclnet.core.errors import ConfigError
from msclnet.core.types import Modality
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.datasets.table import SETS
from msclnet.evaluation.embedding import embed
from msclnet.evaluation.metrics import Scores
from msclnet.model.files import open_model
from msclnet.results.training import read_training
from msclnet.training import validation
from msclnet.training.checkpoint import Checkpointer
from msclnet.training.learner import Learner
from msclnet.training.trainer import Options, recipe, train
from msclnet.training.validation import Validation, held_out
from tests.training.test_trainer import ALONE, Killed, interrupt, lines, pack, with_recipe

__all__ = ["pack"]

EPOCHS, STEPS = 4, 3  # of the training, and of each of its epochs


@pytest.fixture
def job(default: Config) -> TrainJob:
    """RegDB's rules, on two of the pack's four identities; the other two are held out."""
    recipe = replace(
        default.train, identities=2, images=1, rate=0.05, warmup=1, milestones=(2,), factors=(0.5,), log_every=1,
        padding=2, validate_every=1, validation_fraction=0.5,
    )  # fmt: skip
    model = replace(default.model, parts=3, hidden=8, rank=4, rounds=2)
    whole = train_job(default, "regdb", "msclnet", 1)
    method = replace(whole.method, nonlocal_="none")  # finite features after the first steps, too
    return replace(whole, method=method, train=recipe, model=model, epochs=EPOCHS, processes=1, height=48, width=24)


def curve(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "time"} for line in lines(folder / "metrics.jsonl", "validation")]


def steps(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "time"} for line in lines(folder / "metrics.jsonl", "step")]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return open_model(folder / "model.pt").network.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_who_is_held_out_is_a_function_of_set_seed_and_split(job: TrainJob, pack: Path, default: Config) -> None:
    opened = Pack.open(pack)
    people = held_out(job, opened)
    assert len(people) == 2
    assert list(people) == sorted(people)
    other = replace(train_job(default, "regdb", "agw", 1), train=job.train)
    assert held_out(other, opened) == people, "of every method the same"
    assert {held_out(replace(job, seed=seed), opened) for seed in range(20)} > {people}
    assert held_out(with_recipe(job, validate_every=0), opened) == ()


def test_the_draw_has_the_stated_size_for_any_set() -> None:
    everyone, nobody = np.arange(3, 209), np.arange(0)
    for split in range(1, 11):
        drawn = SETS.get("regdb").held_out(everyone, nobody, 0.1, (0, split))
        assert len(set(drawn.tolist())) == 21, "a tenth of 206, rounded"
        assert set(drawn.tolist()) <= set(everyone.tolist())
        assert (np.diff(drawn) > 0).all()
    assert SETS.get("sysu").held_out(everyone, np.array([5, 9]), 0.1, (0, 1)).tolist() == [5, 9], "its own list"


@pytest.mark.parametrize(
    ("data", "fraction", "message"),
    [
        (
            "regdb",
            0.1,
            r"train\.validation_fraction: 0\.1 of 4 training identities is 0; expected 2 identities or more",
        ),
        (
            "sysu",
            0.5,
            r"train\.validate_every: exp/val_id\.txt names 0 identities of .*pack to validate on; expected 2",
        ),
    ],
)
def test_fewer_than_two_are_refused(job: TrainJob, pack: Path, data: str, fraction: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        held_out(replace(with_recipe(job, validation_fraction=fraction), set=data), Pack.open(pack))


def test_no_batch_has_a_held_out_identity_and_labels_are_dense(job: TrainJob, pack: Path) -> None:
    opened = Pack.open(pack)
    people = held_out(job, opened)
    images = TrainingImages(opened, recipe(job, people))
    assert set(images.identities.tolist()) == {1, 2, 3, 4} - set(people)
    for modality in Modality:
        found = opened.identities[modality][images.rows[modality]]
        assert set(found.tolist()).isdisjoint(people)
        assert images.labels[modality].tolist() == np.searchsorted(images.identities, found).tolist()
    assert images.steps == STEPS
    labels = torch.cat([batch.labels for batch in images.epoch(1, ALONE.device)])
    assert labels.unique().tolist() == [0, 1]
    scored = Validation(job, opened, people, ALONE).images
    assert set(scored.identities.tolist()) == set(people)
    assert len(scored.paths) == 2 * 2 * 3, "all their images of both modalities"


def test_scoring_leaves_no_trace_in_the_training(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    """After each epoch, after the last alone, and never: the same steps to the same weights."""
    for every in (1, EPOCHS):
        train(with_recipe(job, validate_every=every), pack, tmp_path / str(every))

    def nothing(self: Validation, epoch: int, network: object) -> dict[str, float]:
        self.kept = {"epoch": epoch}
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validation, "score", nothing)
        train(job, pack, tmp_path / "never")
    assert [len(curve(tmp_path / name)) for name in ("1", str(EPOCHS))] == [EPOCHS, 1]
    assert curve(tmp_path / "1")[-1] == curve(tmp_path / str(EPOCHS))[0]
    for other in (str(EPOCHS), "never"):
        assert steps(tmp_path / "1") == steps(tmp_path / other)
        assert same(weights(tmp_path / "1"), weights(tmp_path / other))


def test_a_score_changes_neither_network_nor_random_state(job: TrainJob, pack: Path) -> None:
    opened = Pack.open(pack)
    learner = Learner.of(job, 2, ALONE)
    learner.model.train()
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    Validation(job, opened, held_out(job, opened), ALONE).score(1, learner.network)
    assert same(before, learner.network.state_dict())
    assert all(module.training for module in learner.network.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]  # noqa: NPY002


def test_the_curve_is_what_the_model_scores_on_the_held_out_images(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    train(job, pack, tmp_path)
    opened = Pack.open(pack)
    people = held_out(job, opened)
    saved = open_model(tmp_path / "model.pt")
    assert saved.network.identities == 2
    rows = {m: np.flatnonzero(np.isin(opened.identities[m], people)) for m in Modality}
    features = np.concatenate([embed(saved.network, opened.images[m][rows[m]], m) for m in Modality])
    images = (
        np.concatenate([values[m][rows[m]] for m in Modality])
        for values in (
            opened.identities,
            opened.cameras,
            {m: np.full(len(opened.cameras[m]), int(m)) for m in Modality},
        )
    )
    arrays = list(images)
    directions = ("visible-to-infrared", "infrared-to-visible")
    means = [evaluate(features, *arrays, data="regdb", direction=direction)["mean"] for direction in directions]
    last = curve(tmp_path)[-1]
    for metric in ("rank1", "mAP", "mINP"):
        assert last[metric] == pytest.approx(sum(mean[metric] for mean in means) / 2, abs=1e-4), metric
    assert saved.validation == {"identities": 2, **{k: last[k] for k in ("epoch", "rank1", "mAP", "mINP")}}
    assert lines(tmp_path / "metrics.jsonl", "end")[0]["kept_epoch"] == EPOCHS
    training = read_training(tmp_path)
    assert training.validated
    assert training.validated["epoch"] == EPOCHS


def test_it_tells_the_terminal(
    job: TrainJob,
    pack: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(replace(job, epochs=2), pack, tmp_path)
    (first, second) = curve(tmp_path)
    error = capsys.readouterr().err
    for line in (first, second):
        assert f"epoch {line['epoch']}, validation: Rank-1 {line['rank1']:.2f}, mAP {line['mAP']:.2f}, mINP " in error


def test_features_that_are_no_numbers_score_nothing(
    job: TrainJob, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As those of a deep network whose batch normalisation has seen too few steps: the training goes on."""
    opened = Pack.open(pack)
    network = Learner.of(job, 2, ALONE).network
    with torch.no_grad():
        network.bottleneck.running_var.fill_(float("nan"))
    scored = Validation(job, opened, held_out(job, opened), ALONE)
    assert scored.score(1, network) == {"rank1": 0.0, "mAP": 0.0, "mINP": 0.0}
    assert "warning: epoch 1: features of the validation are not finite" in capsys.readouterr().err


def scoring(monkeypatch: pytest.MonkeyPatch, by_epoch: list[float]) -> None:
    """Makes the validations of a training, and of those that go on with it, have these mAP."""
    real = Validation.score

    def score(self: Validation, epoch: int, network: Any) -> dict[str, float]:
        def scored(*args: Any) -> Iterator[tuple[None, Scores]]:
            yield None, Scores(np.array([0.5]), by_epoch[epoch - 1], 0.1, 6, 0, 6)

        monkeypatch.setattr(validation, "scored", scored)
        return real(self, epoch, network)

    monkeypatch.setattr(Validation, "score", score)


def test_the_weights_of_the_best_epoch_are_kept_of_equal_ones_the_earliest(
    job: TrainJob,
    pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(replace(job, epochs=2), pack, tmp_path / "two")
    scoring(monkeypatch, [0.2, 0.5, 0.5, 0.1])
    train(with_recipe(job, keep="best_validation"), pack, tmp_path / "best")
    train(job, pack, tmp_path / "last")
    assert same(weights(tmp_path / "best"), weights(tmp_path / "two"))
    assert not same(weights(tmp_path / "best"), weights(tmp_path / "last"))
    assert steps(tmp_path / "best") == steps(tmp_path / "last"), "what is kept changes no step"
    kept = open_model(tmp_path / "best/model.pt").validation
    assert (kept["epoch"], kept["mAP"]) == (2, pytest.approx(50.0))
    assert lines(tmp_path / "best/metrics.jsonl", "end")[0]["kept_epoch"] == 2
    assert open_model(tmp_path / "last/model.pt").validation["epoch"] == EPOCHS


@pytest.mark.parametrize("moment", [2, 7, 8, 12, "before a checkpoint"])
def test_killed_and_started_again_it_keeps_the_same(
    job: TrainJob,
    pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: int | str,
) -> None:
    """In an epoch after the best one, just after a validation, and where it was scored but not yet in a checkpoint."""
    scoring(monkeypatch, [0.2, 0.5, 0.4, 0.1])
    best = with_recipe(job, keep="best_validation")
    train(best, pack, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(moment, int):
            interrupt(patch, moment)
        else:
            write = Checkpointer.write

            def written(self: Checkpointer, contents: Any) -> None:
                if len(lines(tmp_path / "halves/work/metrics.jsonl", "validation")) == 2:
                    raise Killed
                write(self, contents)

            patch.setattr(Checkpointer, "write", written)
        with pytest.raises(Killed):
            train(best, pack, tmp_path / "halves", Options(checkpoint_every=0))
    train(best, pack, tmp_path / "halves", Options(checkpoint_every=0))
    assert curve(tmp_path / "halves") == curve(tmp_path / "whole")
    assert same(weights(tmp_path / "halves"), weights(tmp_path / "whole"))
    assert open_model(tmp_path / "halves/model.pt").validation == open_model(tmp_path / "whole/model.pt").validation


def test_without_it_a_model_says_nothing_of_a_validation(job: TrainJob, pack: Path, tmp_path: Path) -> None:
    off = with_recipe(job, validate_every=0)
    train(replace(off, epochs=1), pack, tmp_path / "off")
    assert open_model(tmp_path / "off/model.pt").validation == {}
    assert open_model(tmp_path / "off/model.pt").network.identities == 4
    assert "kept_epoch" not in lines(tmp_path / "off/metrics.jsonl", "end")[0]
    train(replace(job, epochs=0), pack, tmp_path / "untrained")
    assert open_model(tmp_path / "untrained/model.pt").validation == {}
    assert open_model(tmp_path / "untrained/model.pt").network.identities == 2, "the network that the others begin with"
    assert read_training(tmp_path / "untrained").validated is None
