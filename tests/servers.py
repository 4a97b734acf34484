"""Real programs for tests: MLflow's tracking server, PostgreSQL behind it, a browser before it."""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.patience import PATIENCE, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_BROWSER = "no chromium here; apt-get install chromium"
MILLISECONDS = 300_000  # for a page on a busy machine


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that has time to start, and to show what is expected of its pages."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"], timeout=MILLISECONDS)
        yield browser
        browser.close()


def visitor(browser: Browser, width: int = 1280, height: int = 800, **options: Any) -> BrowserContext:
    """Who comes for the first time, and has time; ``options`` are playwright's of a context."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(MILLISECONDS)
    return context


HELD: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody else is given until this process ends; a server that is told its number can listen on it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: then both may have it
    held.bind(("127.0.0.1", 0))
    HELD.append(held)
    return int(held.getsockname()[1])


@contextmanager
def tracking_server(folder: Path, store: str) -> Iterator[str]:
    """The address of a tracking server as a group runs it: it keeps the files as well, in ``folder``."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", store, "--artifacts-destination", str(folder)]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([*command, *stores], stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _wait_for(f"http://127.0.0.1:{port}", process, folder / "server.log")
        with mock.patch.dict(os.environ, {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(PATIENCE)}):
            yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers; on a busy machine it takes minutes to start."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    until(answers, log.read_text)


@contextmanager
def pages(folder: Path) -> Iterator[list[str]]:
    """The lines that ``make ui`` says in ``folder``, once MLflow's pages can be opened; ended by Ctrl-C."""
    script = Path(__file__).parents[1] / "workflow/scripts/ui.py"
    with (folder / "pages.log").open("w") as log:
        command = [sys.executable, str(script), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=folder, text=True)
    assert process.stdout
    try:
        lines = []
        while not lines or "until Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline().strip())
            assert lines[-1], (folder / "pages.log").read_text()  # empty when it has ended
        yield lines
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=PATIENCE)[0]
    assert (process.returncode, rest) == (0, ""), (folder / "pages.log").read_text()


@contextmanager
def demo_page(folder: Path, *arguments: str | Path) -> Iterator[str]:
    """The address that ``msclnet demo`` says, as a person starts it; ended by Ctrl-C. ``folder`` is the working one."""
    command = [sys.executable, "-m", "msclnet", "demo", "--port", "0", *map(str, arguments)]
    with (folder / "demo.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=folder, text=True)
    assert process.stdout
    try:
        address = process.stdout.readline().strip()  # empty when it has ended
        assert address.startswith("http://127.0.0.1:"), (folder / "demo.log").read_text()
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        ended = process.wait(timeout=PATIENCE)
        process.stdout.close()
    assert ended == 0, (folder / "demo.log").read_text()


def postgresql_programs() -> Path | None:
    """Where PostgreSQL's server programs are: Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def no_postgresql() -> str:
    """Why no PostgreSQL can be started here, or nothing."""
    if postgresql_programs() is None:
        return "no PostgreSQL here; apt-get install postgresql"
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        return "PostgreSQL does not run as root, and there is no runuser on the PATH; apt-get install util-linux"
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@contextmanager
def postgresql() -> Iterator[str]:
    """The URI of an empty database of a PostgreSQL server of the test's own."""
    where = "/tmp" if os.geteuid() == 0 else None  # TMPDIR may be closed to the server's user, too
    temporary = tempfile.TemporaryDirectory(prefix="msclnet-postgresql-", dir=where, ignore_cleanup_errors=True)
    with temporary as folder, _postgresql(Path(folder)) as address:
        yield address


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    """Its files are in ``folder``; none above that is pytest's, which is closed to the server's user."""
    programs, port = postgresql_programs(), free_port()
    assert programs
    as_user: list[str] = []
    if os.geteuid() == 0:  # whom it refuses
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data, log = folder / "data", folder / "log"
    run = functools.partial(subprocess.run, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    run([*as_user, programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-N"])
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    server = [*as_user, programs / "pg_ctl", "-D", data, "-l", log, "-w", "-t", str(PATIENCE)]
    run([*server, "-o", options, "start"])
    try:
        yield f"postgresql://tests@127.0.0.1:{port}/postgres"
    finally:
        run([*server, "-m", "immediate", "stop"])
