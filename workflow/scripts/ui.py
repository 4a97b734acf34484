"""Opens MLflow's pages on this machine, of mlflow.db in the working directory, until Ctrl-C.

python workflow/scripts/ui.py --port 5000
"""

import argparse
import socket
import sys
from pathlib import Path

from msclnet.core.command import run, whole
from msclnet.core.errors import UserError
from msclnet.results.layout import DEFAULT, Layout
from msclnet.tracking.pages import HOST, serve
from msclnet.tracking.record import read_record
from msclnet.tracking.server import resolve
from msclnet.tracking.views import NESTED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=whole(0, 65535), default=5000, help="of the loopback interface (default: 5000)")
    port = parser.parse_args().port
    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port}: {error}; choose another: make ui UI_PORT={min(port, 65534) + 1}") from None
    with listening:
        home = f"http://{HOST}:{listening.getsockname()[1]}/"
        print("MLflow starts ...", file=sys.stderr, flush=True)
        serve(resolve(""), listening, lambda: say(home))


def say(home: str) -> None:
    """Where the runs of each data set are, of all experiments, and last where all begins."""
    for pattern in (Layout(DEFAULT).tracked("*"), Layout("*").tracked("*")):
        for file in sorted(Path().glob(pattern)):
            if found := read_record(file).experiment:
                print(f"{found.name}: {home}{NESTED.page(found.id)}")
    print(f"MLflow, until Ctrl-C: {home}", flush=True)


if __name__ == "__main__":
    run(main)
