"""MLflow's own pages on this machine, made to begin with trainings: what a browser has not yet chosen is chosen for it.

MLflow's pages keep in the browser which of two kinds of work they show, and begin with language models; so do they keep
each experiment's columns and order, and begin with no score. The server can set neither, so its first page does.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msclnet.core.errors import UserError
from msclnet.tracking.relocation import ARTIFACTS, relocate
from msclnet.tracking.server import connect, database_of, import_mlflow, readable_errors
from msclnet.tracking.views import NESTED

if TYPE_CHECKING:
    import socket

HOST = "127.0.0.1"
CHOICES = {  # by MLflow's key in the browser
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.home.getting-started.collapsed_v1": True,  # experiments come first
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,  # a third of the window
    "mlflow.settings.telemetry.enabled_v1": False,
    "mlflow.telemetry.info.alert.dismissed_v1": True,
}
SCRIPT = """<script>for (const [key, value] of Object.entries(%s))
  if (localStorage.getItem(key) === null) localStorage.setItem(key, JSON.stringify(value));</script>"""


def serve(address: str, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serves the pages of a database until it is interrupted.

    Args:
        address: of an SQLite database, as ``resolve`` gives it; made where there is none.
        listening: where browsers reach it.
        ready: called when the pages can be opened.

    Raises:
        UserError: it is no SQLite database.
        TrackingError: it cannot be read.
    """
    database = database_of(address)
    if database is None:
        raise UserError(f"{address}: expected a database on this machine; a server has pages of its own")
    with readable_errors(address):
        connect(address)
        relocate(database)  # the pages delete and write, too
        from mlflow.server import constants

        root = database.parent / ARTIFACTS
        os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = address  # read when the pages are imported
        os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = str(root)
        os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
        os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = str(root)
        os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
        with warnings.catch_warnings(action="ignore"):  # of what MLflow will have to change
            import uvicorn
            from mlflow.server import app as pages
            from mlflow.server.fastapi_app import app

    text = Path(str(pages.static_folder), "index.html").read_text(encoding="utf-8")
    pages.view_functions["serve"] = lambda: (begin(text, address), {"Cache-Control": "no-store"})

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    with suppress(KeyboardInterrupt):  # raised again by the server when it has ended
        Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def begin(text: str, address: str) -> str:
    """MLflow's first page with the choices in it, made before its own scripts look for them."""
    script = SCRIPT % json.dumps(choices(address)).replace("<", "\\u003c")
    return text.replace("<head>", f"<head>{script}", 1)


def choices(address: str) -> dict[str, Any]:
    """What is chosen, with a first view of each experiment of this package."""
    client = import_mlflow().MlflowClient(address)
    mine = [found for found in client.search_experiments() if NESTED.tag().keys() <= found.tags.keys()]
    keys = [f'MLflowLocalStorage-1.1-ExperimentPage-["{found.experiment_id}"]-ReactComponentState' for found in mine]
    return CHOICES | dict.fromkeys(keys, NESTED.state)
