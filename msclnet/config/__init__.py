"""The configuration: what may be set, how files are laid over one another, and the part that each job reads."""

from msclnet.config.jobs import TrainJob, data_label, splits, title, train_job
from msclnet.config.loading import build, load, merge, plain, read_yaml
from msclnet.config.schema import (
    STAND_IN,
    TITLE,
    UNTRAINED,
    Config,
    LLCMStandIn,
    Losses,
    Method,
    Model,
    Objective,
    RegDBStandIn,
    SetName,
    StandIn,
    Studies,
    SYSUStandIn,
    Train,
)

__all__ = [
    "STAND_IN",
    "TITLE",
    "UNTRAINED",
    "Config",
    "LLCMStandIn",
    "Losses",
    "Method",
    "Model",
    "Objective",
    "RegDBStandIn",
    "SYSUStandIn",
    "SetName",
    "StandIn",
    "Studies",
    "Train",
    "TrainJob",
    "build",
    "data_label",
    "load",
    "merge",
    "plain",
    "read_yaml",
    "splits",
    "title",
    "train_job",
]
