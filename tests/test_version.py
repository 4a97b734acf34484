"""``msclnet --version`` and ``python -m msclnet``, and what an installed package holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from msclnet.cli import main
from tests.conftest import ROOT, git

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def run_module(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """``python -m msclnet`` from another folder, where ``path`` is looked through first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    command = [sys.executable, "-m", "msclnet", *arguments]
    return subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True)


def test_the_version_is_that_of_the_installed_package(tmp_path: Path) -> None:
    installed = tmp_path / "msclnet-9.8.7.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.4\nName: msclnet\nVersion: 9.8.7\n")
    done = run_module("--version", path=tmp_path)
    assert (done.returncode, done.stdout) == (0, "msclnet 9.8.7\n"), done.stderr


def test_without_an_installation_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [])  # where installed packages are looked for
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 1
    assert "pip install -e ." in capsys.readouterr().err


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = run_module("info", "absent.pt", path=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: absent.pt: ")


def test_a_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """``py.typed`` among them, so that a user's mypy reads our types."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    files = git("ls-files", "--cached", "--others", "--exclude-standard", "msclnet")
    files = [name for name in files if (ROOT / name).is_file()]  # one being deleted is still listed
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    subprocess.run([sys.executable, "-c", BUILD, "."], cwd=tmp_path, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
    assert "msclnet/py.typed" in files
    assert set(files) <= set(held)
