"""A tracking server with PostgreSQL behind it holds what an SQLite file holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msclnet import config as settings
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.mirror import mirror
from msclnet.tracking.publish import publish
from msclnet.tracking.server import prepare
from tests.results.files import POINTS, scored, train
from tests.servers import no_postgresql, postgresql, tracking_server
from tests.tracking.test_tracking import client, expected_points

pytestmark = pytest.mark.skipif(bool(no_postgresql()), reason=no_postgresql())


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Of the tracking server, and of its database."""
    with (
        postgresql() as database,
        tracking_server(tmp_path_factory.mktemp("server"), database) as server,
    ):
        yield server, database


def points(address: str, run: str) -> list[tuple[str, int, float]]:
    api = client(address)
    names = [
        name for name in api.get_run(run).data.metrics if "/" in name and name.split("/")[0] != "visible-to-infrared"
    ]
    return sorted((name, m.step, m.value) for name in names for m in api.get_metric_history(run, name))


def test_a_run_is_held_once_and_whole(addresses: tuple[str, str], tmp_path: Path, default: settings.Config) -> None:
    """Through the server, a second time, and past it into the database itself."""
    job = settings.train_job(default, "regdb", "msclnet", 1)
    folders = [train(tmp_path, settings.replace(job, split=split)) for split in (1, 2)]
    for folder, rank1 in zip(folders, (60.0, 62.0), strict=True):
        scored("regdb", folder, [rank1])
    table = tmp_path / "regdb_summary.csv"
    table.write_text("data,method,feature,direction,trials,rank1\nstand-in,msclnet,bn,both,2,61.00\n")
    sent: list[Any] = []
    for address in (*addresses, addresses[0]):
        prepare(address)
        mirror(folders[0], address)
        sent.append(publish(address, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], folders, [table])))
    assert sent[0] == sent[1] == sent[2]
    method, *trainings = sent[0]["runs"]
    assert [run["points"] for run in trainings] == [POINTS, POINTS]
    for address in addresses:
        assert len(client(address).search_runs([sent[0]["experiment"]["id"]])) == 3
        for run in trainings:
            assert points(address, run["run_id"]) == expected_points()
        held = client(address).get_run(method["run_id"]).data.metrics
        key = "visible-to-infrared/bn/rank1"
        assert (held[key], held[f"{key}_std"]) == (61.0, 1.41), "as the tables round them"
    files = client(addresses[0]).list_artifacts(method["run_id"], "tables")
    assert [file.path for file in files] == ["tables/regdb_summary.csv"]
