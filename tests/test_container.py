"""The Dockerfile held against the repository, for there is no Docker here; and the workflow catalog's metadata."""

from __future__ import annotations

import re

import yaml

from msclnet.launch.usable import COMPILERS
from tests.conftest import ROOT, git

DOCKERFILE = (ROOT / "Dockerfile").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
OF_AN_IMAGE = {"--system", "--no-cache"}  # where the packages go, and no cache in a layer
OF_A_VENV = {"--python", "$(BIN)/python"}


def copied() -> set[str]:
    return {source for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()}


def test_what_is_copied_is_in_the_repository() -> None:
    known = git("ls-files")
    assert copied() <= {name for path in known for name in (path, path.split("/")[0])}


def test_everything_a_run_needs_is_copied() -> None:
    assert {"Snakefile", "msclnet", "workflow", "config", "profiles", "envs", "requirements.lock"} <= copied()


def test_it_installs_what_make_run_installs() -> None:
    """The same uv, the lock with its hashes, then the package alone."""
    assert re.findall(r"UV_VERSION=(\S+)", DOCKERFILE) == re.findall(r"^UV_VERSION := (\S+)", MAKEFILE, re.MULTILINE)
    recipe = MAKEFILE[MAKEFILE.index("$(VENV)/run.installed: requirements.lock") :].split("\n\n")[0]
    theirs = [set(words.split()) - OF_A_VENV for words in re.findall(r"uv pip install (.*)", recipe)]
    ours = [set(words.split()) - OF_AN_IMAGE for words in re.findall(r"uv pip install (.*)", DOCKERFILE)]
    assert ours == theirs
    assert "--require-hashes" in ours[0]


def test_it_has_what_a_compiled_training_asks_for() -> None:
    (installed,) = re.findall(r"apt-get install .*--no-install-recommends (.*?) &&", DOCKERFILE)
    assert "g++" in installed.split(), "which brings gcc"
    assert {names[0] for _, names, _ in COMPILERS.values()} == {"gcc", "g++"}
    assert re.search("^FROM python:", DOCKERFILE, re.MULTILINE), "which has Python's headers"


def test_it_runs_snakemake_as_an_ordinary_user() -> None:
    instructions = [line.split(" ", 1) for line in DOCKERFILE.splitlines() if re.match("[A-Z]+ ", line)]
    assert [value for name, value in instructions if name == "USER"] == ["msclnet"]
    assert dict(instructions)["ENTRYPOINT"] == '["snakemake", "--snakefile", "/opt/msclnet/Snakefile"]'


def test_the_catalogs_metadata_say_what_is_so() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment"}
    deployment = usage["software-stack-deployment"]
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert deployment["conda"] == ("conda:" in rules)
    assert deployment["apptainer"] == ("container:" in rules + (ROOT / "Snakefile").read_text())
    assert deployment["report"] == ("report(" in rules)
    assert (ROOT / "config/README.md").is_file()
