"""Trained models in MLflow's registry: logged with their training's run, and found again by name and alias.

    mlflow.pyfunc.load_model("models:/msclnet-regdb@msclnet").predict(images)[:, 1]  # as infrared images

The registered model of a data set is ``msclnet-<set>``, or ``msclnet-<set>-<experiment>`` of an experiment with a name;
its versions are one training of each method. MLflow is imported late, torch is not.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from msclnet.config import STAND_IN
from msclnet.config.schema import BEST, BY_TEST
from msclnet.core.errors import DataError
from msclnet.core.files import sha256
from msclnet.core.types import Modality
from msclnet.data.augmentation import normalise
from msclnet.model.files import load_model
from msclnet.model.msclnet import MSCLNet
from msclnet.results.layout import MODEL
from msclnet.results.training import Training
from msclnet.tracking.delivery import Delivery, Scored, read
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.record import read_record
from msclnet.tracking.server import connect, import_mlflow, readable_errors, resolve, when_free

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXAMPLE = 2  # images of the example: of one, the exported model would take batches of one only
DIGEST = "sha256"  # a version's tag: of the model.pt it was made from
PACKAGES = ("torch", "numpy")  # what the logged model needs


class BothStreams(nn.Module):
    """Images as they are, embedded as either modality: a registered model takes one input and tells no modality."""

    def __init__(self, network: MSCLNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """RGB uint8 ``[B, H, W, 3]`` -> unit ``bn`` features ``[B, 2, C]``: 0 as visible, 1 as infrared images."""
        normal = normalise(images)
        return torch.stack([self.network.embed(normal, modality).bn for modality in Modality], dim=1)


@dataclass(frozen=True)
class Candidate:
    """The training that stands for its method."""

    training: Training
    rank1: float  # percent, the headline's on the test images
    mean: float  # over all trainings of the method
    run_id: str
    merit: float  # percent: what the methods are chosen by, mean over all trainings of the method
    choice: str  # how it was chosen among the method's trainings, in words; empty: there is one


def register(uri: str, delivery: Delivery, record: Path) -> list[dict[str, Any]]:
    """Logs and registers one training's model of each method; returns a row of each. May be run again.

    Where every training was validated, the one of the highest validation mAP stands for its method, and the alias
    ``best`` goes to the method of the highest mean over its splits. Without validation both are chosen by the headline
    Rank-1 on the test images, and the alias says so: ``chosen-by-test``. The other of the two aliases is taken away. On
    drawn images each alias ends in ``-stand-in``.

    ``record`` is the file track.py wrote, with the runs' ids. A model that is registered already is not logged again.

    Raises DataError for files that are missing or do not belong together, and TrackingError.
    """
    runs, tracked = _runs(record), delivery.tracked
    trainings = read(delivery)
    validated = all(scored.training.validated for mine in trainings.values() for scored in mine)
    chosen, stale = (BEST, BY_TEST) if validated else (BY_TEST, BEST)
    candidates = [_candidate(mine, validated, runs, record) for mine in trainings.values()]
    address = resolve(uri)

    def write() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        with readable_errors(address):
            client = connect(address)
            mlflow = import_mlflow()
            mlflow.set_tracking_uri(address)
            home = client.get_run(candidates[0].run_id).info.experiment_id
            mlflow.set_experiment(experiment_id=home)  # of the logged models, too; not their run's by itself
            _ensure(client, tracked)
            client.delete_registered_model_alias(tracked.model, _alias(stale, tracked.data))
            winner = max(candidates, key=lambda candidate: candidate.merit)
            for candidate in candidates:
                job = candidate.training.job
                version = _version(client, tracked, candidate)
                aliases = [_alias(name, tracked.data) for name in (job.method_name, *[chosen] * (candidate is winner))]
                for alias in aliases:
                    client.set_registered_model_alias(tracked.model, alias, version)
                rows.append({
                    "method": job.method_name, "split": job.split, "rank1": candidate.rank1, "mean": candidate.mean,
                    "run_id": candidate.run_id, "folder": str(candidate.training.folder), "version": version,
                    "aliases": aliases,
                })  # fmt: skip
        return rows

    return when_free(write)


def _candidate(mine: Sequence[Scored], validated: bool, runs: Mapping[tuple[str, int], str], record: Path) -> Candidate:
    """The training that stands for its method: by validation mAP, or by test Rank-1; of equal ones the first."""
    ranks = [statistics.fmean(scored.scores["rank1"]) for scored in mine]
    merits = [line["mAP"] for scored in mine if (line := scored.training.validated)] if validated else ranks
    place = merits.index(max(merits))
    training = mine[place].training
    run = training.job.method_name, training.job.split
    if run not in runs:
        raise DataError(f"{record}: no run of {run[0]} split {run[1]}; track the trainings first, with track.py")
    by = "validation mAP" if validated else "test Rank-1, so no fair estimate"
    choice = f", of {len(mine)} splits the one of the highest {by}" if len(mine) > 1 else ""
    return Candidate(
        training, ranks[place], statistics.fmean(ranks), runs[run], merit=statistics.fmean(merits), choice=choice
    )


def _alias(name: str, data: str) -> str:
    """No stand-in's model is taken for a real one."""
    return f"{name}-{STAND_IN}" if data == STAND_IN else name


def _runs(record: Path) -> dict[tuple[str, int], str]:
    """The run's id of each method and split."""
    return {(run.method, run.split): run.run_id for run in read_record(record).runs if run.split is not None}


def _ensure(client: MlflowClient, tracked: TrackedSet) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            tracked.model,
            description=f"MSCLNet and its baselines on {tracked.name}: RGB images in, BN features of unit length out, "
            "to be compared by cosine. [:, 0] are the features as visible, [:, 1] as infrared images.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version(client: MlflowClient, tracked: TrackedSet, candidate: Candidate) -> str:
    """The version made from the candidate's model.pt and run, logged and registered where there is none."""
    path, job, model = candidate.training.folder / MODEL, candidate.training.job, tracked.model
    network = load_model(path)
    digest = sha256(path)
    for known in client.search_model_versions(f"name = '{model}'"):
        if (known.tags.get(DIGEST), known.run_id) == (digest, candidate.run_id):
            return str(known.version)
    made = _log(BothStreams(network).eval(), job.height, job.width, candidate.run_id, model)
    tags = {
        DIGEST: digest,
        "data": tracked.data,
        "method": job.method_name,
        "split": job.split,
        "rank1": f"{candidate.rank1:.2f}",
    }
    for key, value in tags.items():
        client.set_model_version_tag(model, made, key, str(value))
    about = f"{job.method_name} on {tracked.name}, split {job.split}{candidate.choice}"
    note = f"{about}: Rank-1 {candidate.rank1:.2f} % on its test images."
    client.update_model_version(model, made, note)
    return made


def _log(network: BothStreams, height: int, width: int, run_id: str, model: str) -> str:
    """Logs the network as an exported graph, nothing of which is executed as Python on loading; returns the version."""
    from mlflow import pytorch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    shape = (height, width, 3)
    example = np.random.default_rng(0).integers(0, 256, (EXAMPLE, *shape), dtype=np.uint8)
    channels = network.network.backbone.channels
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.uint8), (-1, *shape))]),
        Schema([TensorSpec(np.dtype(np.float32), (-1, len(Modality), channels))]),
    )
    made = pytorch.log_model(
        network,
        name="model",
        signature=signature,
        input_example=example,
        serialization_format="pt2",
        registered_model_name=model,
        pip_requirements=[f"{package}=={version(package).split('+')[0]}" for package in PACKAGES],
        run_id=run_id,
    )
    return str(made.registered_model_version)
