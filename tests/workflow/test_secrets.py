"""A password in the tracking server's address is nowhere but in the configuration and the environment of jobs."""

from __future__ import annotations

import sys
from pathlib import Path

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
    secret.write_text(f"tracking: {{uri: 'http://ann:{PASSWORD}@127.0.0.1:1'}}\nrun: {{name: default}}\n")
    path = f"{shim.parent}:{Path(sys.executable).parent}:/usr/bin:/bin"
    output = snakemake(
        run,
        *("--printshellcmds", "--verbose", "results/trainings/ready.json"),
        configs=(TINY, secret),
        environment={"PATH": path, "SAID": str(said)},
    )
    assert "track_prepare.py" in said.read_text()
    assert "given" in said.read_text()
    assert '"ready": false' in (run / "results/trainings/ready.json").read_text()
    told = {"output": output, "command lines": said.read_text()}
    told |= {str(file): file.read_text(errors="replace") for file in run.rglob("*") if file.is_file()}
    assert any("/metadata/" in name for name in told)
    assert any("/.snakemake/log/" in name for name in told)
    assert [name for name, text in told.items() if "XYZZY" in text or "geh" in text] == []
