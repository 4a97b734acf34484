"""What MLflow calls an experiment here: a data set's results, of one experiment of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msclnet.config import TrainJob, title
from msclnet.results.layout import DEFAULT
from msclnet.tracking.relocation import ARTIFACTS, folder_of
from msclnet.tracking.server import TrackingError, database_of
from msclnet.tracking.views import VIEWS

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAGS = {  # a page of its kind, where MLflow goes by it; the way to it is in pages.py
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "rank1",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    **{key: value for view in VIEWS for key, value in view.tag().items()},
}


@dataclass(frozen=True)
class TrackedSet:
    """A data set's results of one experiment. No other experiment's runs, figures or aliases are touched."""

    set: str
    data: str  # what the images are: the real set's name, or "stand-in"
    experiment: str = DEFAULT

    @classmethod
    def of(cls, job: TrainJob, experiment: str) -> TrackedSet:
        """Where a training of ``experiment`` belongs."""
        return cls(job.set, job.data, experiment)

    @property
    def name(self) -> str:
        """Of MLflow's experiment."""
        suffix = "" if self.experiment == DEFAULT else f", {self.experiment}"
        return f"{title(self.set, self.data)}{suffix}"

    @property
    def model(self) -> str:
        """Of the registered model."""
        suffix = "" if self.experiment == DEFAULT else f"-{self.experiment}"
        return f"msclnet-{self.set}{suffix}"


def experiment_of(client: MlflowClient, address: str, tracked: TrackedSet) -> str:
    """The id of MLflow's experiment, made when there is none.

    Its files lie in mlartifacts beside an SQLite database; elsewhere the server decides.
    """
    from mlflow.exceptions import MlflowException

    name = tracked.name
    if client.get_experiment_by_name(name) is None:
        database = database_of(address)
        location = (database.parent / ARTIFACTS / folder_of(name)).as_uri() if database else None
        try:
            client.create_experiment(name, artifact_location=location, tags=TAGS)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # a sibling was faster
                raise
    found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment {name!r} was deleted on the tracking server; bring it back with "
            "mlflow experiments restore, or remove it for good with mlflow gc"
        )
    for key, value in TAGS.items():
        if found.tags.get(key) != value:
            client.set_experiment_tag(found.experiment_id, key, value)
    return found.experiment_id
