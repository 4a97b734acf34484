"""What ``make ui`` says, and when; the pages themselves are looked at by a browser in tests/browser."""

from __future__ import annotations

import runpy
import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from msclnet import config as settings
from msclnet.core.errors import UserError
from msclnet.core.files import write_text
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.pages import serve
from msclnet.tracking.publish import publish
from tests.conftest import ROOT
from tests.patience import PATIENCE
from tests.results.files import scored, train
from tests.servers import pages
from tests.tracking.test_tracking import prepared, uri

__all__ = ["prepared", "uri"]


def test_the_address_is_the_last_line_and_answers_at_once(tmp_path: Path, uri: str, default: settings.Config) -> None:
    folder = train(tmp_path, settings.train_job(default, "regdb", "msclnet", 3))
    scored("regdb", folder, [60.0])
    sent = publish(uri, Delivery(TrackedSet("regdb", "stand-in"), ["msclnet"], [folder]))["experiment"]
    for name, root in ((sent["name"], "results"), ("RegDB, wide", "results/experiments/wide")):
        record = f'{{"experiment": {{"name": "{name}", "id": "{sent["id"]}"}}, "runs": []}}'
        write_text(tmp_path / root / "tracking/regdb.json", record)
    with pages(tmp_path) as lines:
        first, second, last = lines
        home = last.removeprefix("MLflow, until Ctrl-C: ")
        text = urllib.request.urlopen(home, timeout=PATIENCE).read().decode()
    assert home.startswith("http://127.0.0.1:")
    assert first.startswith(f"RegDB (stand-in): {home}#/experiments/{sent['id']}/runs?workflowType=machine_learning")
    assert second.startswith(f"RegDB, wide: {home}#/")
    assert text.index('"mlflow.workflowType_v1": "machine_learning"') < text.index("<script defer"), (
        "before MLflow's own"
    )
    assert f'ExperimentPage-[\\"{sent["id"]}\\"]-ReactComponentState' in text
    assert 'ExperimentPage-[\\"0\\"]' not in text, "others' experiments are left alone"
    assert (tmp_path / "pages.log").read_text() == "MLflow starts ...\n"


def test_a_port_that_is_taken_names_the_way_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["ui.py", "--port", port])
        with pytest.raises(SystemExit, match=rf"error: port {port}: .*in use.*make ui UI_PORT="):
            runpy.run_path(str(ROOT / "workflow/scripts/ui.py"), run_name="__main__")
    assert not (tmp_path / "mlflow.db").exists()


def test_a_server_has_pages_of_its_own() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as free,
        pytest.raises(UserError, match="http://server: expected a database"),
    ):
        serve("http://server", free, lambda: None)
