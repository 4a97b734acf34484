"""The configuration: what may be set, how files are laid over one another, and the part that each job reads."""

from msclnet.config.jobs import TrainJob, data_label, splits, title, train_job
from msclnet.config.loading import build, load, plain, read_yaml, replace
from msclnet.config.merging import merge
from msclnet.config.schema import UNTRAINED, Config, Evaluate, Method, Model, StandIn, Study, Train
from msclnet.core.errors import ConfigError
from msclnet.datasets.dataset import STAND_IN

__all__ = [
    "STAND_IN",
    "UNTRAINED",
    "Config",
    "ConfigError",
    "Evaluate",
    "Method",
    "Model",
    "StandIn",
    "Study",
    "Train",
    "TrainJob",
    "build",
    "data_label",
    "load",
    "merge",
    "plain",
    "read_yaml",
    "replace",
    "splits",
    "title",
    "train_job",
]
