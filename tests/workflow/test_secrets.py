"""A password in the tracking server's address is nowhere but in the configuration and the environment of jobs."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.patience import until
from tests.workflow.test_dag import TINY, snakemake

PASSWORD = "geh@eim/XYZZY"
# Says how it, and the shell around it, were called; then does what it was called for.
SHIM = """#!/bin/sh
tr '\\0' ' ' < /proc/$PPID/cmdline >> "$SAID"
echo "| $*" >> "$SAID"
[ -n "$MSCLNET_TRACKING_URI" ] && echo given >> "$SAID"
exec {python} "$@"
"""


def test_a_password_is_in_no_command_line_log_or_metadata(tmp_path: Path) -> None:
    shim, said = tmp_path / "bin/python", tmp_path / "said"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(python=sys.executable))
    shim.chmod(0o755)
    secret, run = tmp_path / "secret.yaml", tmp_path / "run"
    secret.write_text(
        f"tracking: {{uri: 'http://ann:{PASSWORD}@127.0.0.1:1', live_every: 0.001}}\nrun: {{name: default}}\n"
    )
    environment = {"PATH": f"{shim.parent}:{Path(sys.executable).parent}:/usr/bin:/bin", "SAID": str(said)}
    options = {"configs": (TINY, secret), "environment": environment}
    verbose = ("--printshellcmds", "--verbose")
    output = snakemake(run, *verbose, "results/regdb/base/split1/model.pt", **options)
    planned = snakemake(run, *verbose, "--dry-run", **options)
    assert "train.py" in said.read_text()
    assert "given" in said.read_text()
    (log,) = (run / "results/logs").glob("train_regdb-base-split1-*.log")
    until(lambda: "error: tracking at http://***@127.0.0.1:1: " in log.read_text())  # the live mirror's: nobody waits
    for script in ("track.py", "register.py"):
        assert script in planned
    told = {"output": output, "plan": planned, "command lines": said.read_text()}
    told |= {str(file): file.read_text(errors="replace") for file in run.rglob("*") if file.is_file()}
    assert any("/metadata/" in name for name in told)
    assert any("/.snakemake/log/" in name for name in told)
    assert [name for name, text in told.items() if "XYZZY" in text or "geh@" in text] == []
