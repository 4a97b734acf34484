"""The registered model is the trained network: found by name and alias, whichever way it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from msclnet import config as settings
from msclnet.core.errors import DataError
from msclnet.data.augmentation import normalise
from msclnet.model.files import load_model, save_model
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.publish import publish
from msclnet.tracking.registry import register
from msclnet.training.learner import build_network
from tests.results.files import DIRECTIONS, WHOLE, scored, train, validated
from tests.tracking.test_tracking import client, prepared, uri

__all__ = ["prepared", "uri"]


def trained(folder: Path, job: settings.TrainJob, rank1: float, lines: list[dict[str, Any]] = WHOLE) -> Path:
    """What a training leaves, with its model, and its scores in both directions."""
    home = train(folder, job, lines)
    save_model(home / "model.pt", build_network(job, 4), settings.plain(job))
    scored("regdb", home, [rank1], DIRECTIONS)
    return home


def test_one_split_of_each_method_is_registered_once_and_loads(
    tmp_path: Path, uri: str, default: settings.Config
) -> None:
    import mlflow

    folders = [
        trained(tmp_path, settings.train_job(default, "regdb", method, split), rank1)
        for method, split, rank1 in (("agw", 1, 30.0), ("msclnet", 1, 50.0), ("msclnet", 2, 60.0))
    ]
    methods = ["agw", "msclnet"]
    record = tmp_path / "regdb.json"
    record.write_text(json.dumps(publish(uri, Delivery(TrackedSet("regdb", "stand-in"), methods, folders))))

    def registered() -> list[dict[str, Any]]:
        return register(uri, Delivery(TrackedSet("regdb", "stand-in"), methods, folders), record)

    rows = registered()
    assert [(row["method"], row["split"], row["version"], row["aliases"]) for row in rows] == [
        ("agw", 1, "1", ["agw-stand-in"]),
        ("msclnet", 2, "2", ["msclnet-stand-in", "chosen-by-test-stand-in"]),
    ]
    assert registered() == rows, "again: nothing new"
    chosen = client(uri).get_model_version_by_alias("msclnet-regdb", "chosen-by-test-stand-in")
    assert (str(chosen.version), chosen.run_id) == ("2", rows[1]["run_id"])
    assert (chosen.tags["data"], chosen.tags["rank1"], chosen.tags["split"]) == ("stand-in", "60.00", "2")
    assert chosen.description == (
        "msclnet on RegDB (stand-in), split 2, of 2 splits the one of the highest test Rank-1, so no fair estimate: "
        "Rank-1 60.00 % on its test images."
    )
    run = client(uri).get_run(rows[1]["run_id"])
    home = client(uri).get_experiment(run.info.experiment_id)
    models = client(uri).search_logged_models([home.experiment_id])
    assert len(models) == 2, "they are listed with the data set's runs"
    assert all(found.artifact_location.startswith(home.artifact_location) for found in models)
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1_700_000_030_000), "logging a model does not reopen it"

    address = "models:/msclnet-regdb@chosen-by-test-stand-in"
    images = np.random.default_rng(1).integers(0, 256, (3, 72, 36, 3), dtype=np.uint8)
    network = load_model(folders[2] / "model.pt")
    with torch.no_grad():
        expected = [network.embed(normalise(torch.from_numpy(images)), m).bn.numpy() for m in ("visible", "infrared")]
    function = mlflow.pyfunc.load_model(address)
    found = function.predict(images)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-5)
    np.testing.assert_array_equal(mlflow.pytorch.load_model(address)(torch.from_numpy(images)).detach().numpy(), found)
    assert function.metadata.signature.inputs.inputs[0].shape == (-1, 72, 36, 3)
    assert function.metadata.signature.outputs.inputs[0].shape == (-1, 2, 128)
    assert function.metadata.saved_input_example_info is not None


def aliases(uri: str) -> dict[str, str]:
    return {name: str(n) for name, n in client(uri).get_registered_model("msclnet-regdb").aliases.items()}


def test_best_is_what_validation_chose_and_no_other(tmp_path: Path, uri: str, default: settings.Config) -> None:
    """The split and the method of the best validation have the worst test scores; without validation `best` goes."""
    jobs = [settings.train_job(default, "regdb", method, split) for method in ("agw", "msclnet") for split in (1, 2)]
    record, tracked = tmp_path / "regdb.json", TrackedSet("regdb", "stand-in")
    tested = (30.0, 10.0, 50.0, 60.0)

    def registered(name: str, lines: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        folders = [
            trained(tmp_path / name, job, rank1, mine) for job, rank1, mine in zip(jobs, tested, lines, strict=True)
        ]
        delivery = Delivery(tracked, ["agw", "msclnet"], folders)
        record.write_text(json.dumps(publish(uri, delivery)))
        return register(uri, delivery, record)

    by_epoch = ((40.0, 20.0, 1), (70.0, 90.0, 2), (30.0, 99.0, 1), (20.0, 10.0, 1))  # mAP after each, and which is kept
    rows = registered("validated", [validated(*mAP, kept=kept) for *mAP, kept in by_epoch])
    assert [(row["method"], row["split"], row["rank1"], row["aliases"]) for row in rows] == [
        ("agw", 2, 10.0, ["agw-stand-in", "best-stand-in"]),
        ("msclnet", 1, 50.0, ["msclnet-stand-in"]),
    ]
    assert aliases(uri).keys() == {"agw-stand-in", "msclnet-stand-in", "best-stand-in"}
    best = client(uri).get_model_version_by_alias("msclnet-regdb", "best-stand-in")
    assert best.description.startswith(
        "agw on RegDB (stand-in), split 2, of 2 splits the one of the highest validation"
    )

    one_is_not = [*(validated(50.0, 60.0, kept=2) for _ in jobs[1:]), WHOLE]
    rows = registered("not", one_is_not)
    assert [row["aliases"] for row in rows] == [["agw-stand-in"], ["msclnet-stand-in", "chosen-by-test-stand-in"]]
    assert aliases(uri).keys() == {"agw-stand-in", "msclnet-stand-in", "chosen-by-test-stand-in"}, "`best` is gone"
    registered("validated", [validated(*mAP, kept=kept) for *mAP, kept in by_epoch])
    assert "chosen-by-test-stand-in" not in aliases(uri)


def test_what_is_missing_is_named(tmp_path: Path, default: settings.Config) -> None:
    folder = trained(tmp_path, settings.train_job(default, "regdb", "agw", 1), 30.0)
    record = tmp_path / "regdb.json"
    with pytest.raises(DataError, match=r"regdb.json: no such file; expected the record of track.py"):
        register("", Delivery(TrackedSet("regdb", "stand-in"), ["agw"], [folder]), record)
    record.write_text("[]")
    with pytest.raises(DataError, match=r"regdb.json: not the record of track.py \("):
        register("", Delivery(TrackedSet("regdb", "stand-in"), ["agw"], [folder]), record)
    record.write_text('{"runs": []}')
    with pytest.raises(DataError, match=r"regdb.json: no run of agw split 1; track the trainings first"):
        register("", Delivery(TrackedSet("regdb", "stand-in"), ["agw"], [folder]), record)
    with pytest.raises(DataError, match=r"msclnet: none of its trainings is given"):
        register("", Delivery(TrackedSet("regdb", "stand-in"), ["agw", "msclnet"], [folder]), record)
