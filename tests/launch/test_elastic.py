"""torchrun's agent starts processes, says how they ended, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.patience import PATIENCE

SCRIPT = """import os, sys
os.write(1, f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']}\\n".encode())  # whole: two share the pipe
sys.exit(int(sys.argv[1]) * int(os.environ["RANK"]))
"""


@pytest.mark.parametrize("status", [0, 3])
def test_processes_are_started_and_leave_no_file_behind(tmp_path: Path, status: int) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "msclnet.launch.elastic", "--processes", "2", str(tmp_path / "script.py")]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [*command, str(status)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    began = set(done.stdout.splitlines())
    assert began == {"process 0 of 2", "process 1 of 2"} if status == 0 else "process 1 of 2" in began
    assert (done.returncode != 0) == (status != 0)
    assert ("exitcode  : 3" in done.stderr) == (status != 0)
    assert "Traceback" not in done.stderr
    assert not list(temporary.iterdir())
