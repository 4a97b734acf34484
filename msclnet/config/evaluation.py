"""A data set's own part of ``evaluate``, as a script takes it on its command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msclnet.config.loading import build, read_yaml
from msclnet.core.errors import ConfigError
from msclnet.core.section import Section
from msclnet.datasets.dataset import DataSet


def evaluation(data_set: DataSet, given: str | Mapping[str, Any]) -> Section | None:
    """``given`` as the set's ``Evaluation``, the defaults for what it does not name; None for a set without one.

    ``given`` is a YAML file, or ``{...}`` inline, or the values themselves. Raises ConfigError for what the
    protocol has not.
    """
    values = read_yaml(given) if isinstance(given, str) else given
    where = f"evaluate.{data_set.name}"
    if data_set.Evaluation:
        return build(data_set.Evaluation, values, where)
    if values:
        raise ConfigError(f"{where}: found {values}; {data_set.title} has nothing to choose: leave it out")
    return None
