"""How MLflow's pages list an experiment's runs: views of it with a name, which its menu of views offers to everyone.

A view is a tag of the experiment. MLflow's pages begin without any, so the description links to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msclnet.results.scores import HEADLINES

SPREAD = HEADLINES[:2]  # whose spread a table of runs has room for
COLUMNS = [f"metrics.`{name}{ending}`" for name in SPREAD for ending in ("", "_std")]
LIVE = "tags.superseded IS NULL"  # of the present configuration and code
METHODS = f"tags.role = 'method' and {LIVE}"
TABLE: dict[str, Any] = {"selectedColumns": COLUMNS, "columnOrder": COLUMNS}


@dataclass(frozen=True)
class View:
    """What a page of runs shows, in the words of MLflow's pages."""

    key: str
    name: str
    state: Mapping[str, Any]
    charts: bool = False  # else a table

    def page(self, experiment: str) -> str:
        """Where it is shown: after host and /."""
        mode = "&compareRunsMode=CHART" if self.charts else ""
        return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={self.key}{mode}"

    def tag(self) -> dict[str, str]:
        """As the experiment keeps it."""
        kept = {"name": self.name, "createdAt": 0, "updatedAt": 0, "state": json.dumps(self.state)}
        return {f"mlflow.sharedViewState.{self.key}": json.dumps(kept)}


# A method's splits are folded below it only where the time of creation sorts the runs: by a score, the luckiest split
# would come first. So the other views leave the splits out.
NESTED = View(
    "table",
    "Methods and their splits",
    TABLE | {"searchFilter": LIVE, "orderByKey": "attributes.start_time", "orderByAsc": True},
)
BEST = TABLE | {"searchFilter": METHODS, "orderByKey": COLUMNS[0], "orderByAsc": False}
RANKED = View("best", "Methods, best mean first", BEST)
CURVES = View("curves", "Curves of the methods", BEST | {"chartsSearchFilter": "epoch/"}, charts=True)
VIEWS = (NESTED, RANKED, CURVES)
