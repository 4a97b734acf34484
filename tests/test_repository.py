"""What a repository says of itself: its version, how to cite it, hooks, public CI, issue forms, editor settings."""

from __future__ import annotations

import configparser
import datetime
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, git

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements-test.lock").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
QUESTIONS = {"checkboxes", "dropdown", "input", "textarea"}  # of a form; the other kind of part is text


def loaded(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


# Version and citation -----------------------------------------------------------------------------------------------


def test_the_version_is_cut_in_the_changelog_and_cited() -> None:
    sections = re.findall(r"^## (\S+)(?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == ("Unreleased", "")
    version, date = sections[1]
    citation = loaded("CITATION.cff")
    assert (PROJECT["version"], citation["version"]) == (version, version)
    assert citation["date-released"] == date == str(datetime.date.fromisoformat(date))


def test_the_citation_has_what_the_format_requires() -> None:
    """Of Citation File Format 1.2.0: its required keys; of the paper what finds it."""
    citation = loaded("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[key] for key in ("message", "title", "authors"))
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert paper["type"] == "conference-paper"
    assert [author["family-names"] for author in paper["authors"]] == ["Zhang", "Zhao", "Kang", "Shen"]
    assert re.fullmatch(r"10\.\d{4,}/\S+", paper["doi"])


# Hooks and public CI ------------------------------------------------------------------------------------------------


def recipe(target: str) -> str:
    """The commands of a target of the Makefile."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found, target
    return found[1]


def hooks() -> dict[str, dict[str, Any]]:
    return {hook["id"]: hook for repo in loaded(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}


def test_hooks_are_pinned_to_the_lock() -> None:
    pins = [pin for hook in hooks().values() for pin in hook["additional_dependencies"]]
    assert len(pins) == len(hooks())
    for pin in pins:
        assert re.search(rf"^{re.escape(pin)}[ \\]", LOCK, re.MULTILINE), f"{pin}: the lock has another version"


def test_hooks_are_what_make_check_runs() -> None:
    ours = {
        " ".join(word for word in shlex.split(hook["entry"], comments=True)[:2] if word[0] != "-")
        for hook in hooks().values()
    }
    lines = [line.split() for line in recipe("check").splitlines()]
    theirs = {" ".join(line[:2]) if line[0] == "ruff" else line[0] for line in lines}
    assert ours == theirs - {"snakemake"}  # its lint plans the whole workflow: too slow for a commit


def test_public_ci_does_what_ours_does() -> None:
    workflow = loaded(".github/workflows/ci.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    runs = {step["run"].removeprefix("sudo ") for step in steps if "run" in step}
    ours = (ROOT / ".ci/run").read_text().split("\n\n")[-1].splitlines()
    assert runs == {line for line in ours if re.match(r"make |\.ci/", line)}
    assert all(step["uses"].startswith("actions/") for step in steps if "uses" in step)


def test_public_ci_tests_the_pythons_that_are_allowed() -> None:
    tested = loaded(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={tested[0]}"
    minors = [int(version.removeprefix("3.")) for version in tested]
    assert minors == list(range(minors[0], minors[-1] + 1))


# Issue forms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in FORMS if path.stem != "config"], ids=lambda path: path.stem)
def test_an_issue_form_asks_and_leads_somewhere(path: Path) -> None:
    form = loaded(str(path.relative_to(ROOT)))
    assert form["name"]
    assert form["description"]
    questions = [part for part in form["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in questions} <= QUESTIONS
    assert all(part["attributes"]["label"] for part in questions)
    names = [part["id"] for part in questions]
    assert len(set(names)) == len(names) > 2
    assert any(part["validations"]["required"] for part in questions)
    for link in re.findall(r"\]\(\.\./blob/main/([^)]+)\)", path.read_text()):
        assert (ROOT / link).is_file(), link


def test_a_bug_is_told_with_what_an_answer_needs() -> None:
    form = loaded(".github/ISSUE_TEMPLATE/bug.yml")
    required = {part["id"] for part in form["body"] if part.get("validations", {}).get("required")}
    assert {"version", "command", "configuration", "log", "environment"} <= required


# Editor settings ----------------------------------------------------------------------------------------------------


def texts() -> list[str]:
    """The tracked files that are text, as git sees it."""
    return [name for name in git("grep", "--cached", "-I", "--files-with-matches", "") if (ROOT / name).is_file()]


def test_files_are_as_editors_are_told_to_write_them() -> None:
    settings = configparser.ConfigParser()
    settings.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert (settings["*"]["charset"], settings["*"]["end_of_line"]) == ("utf-8", "lf")
    for name in texts():
        content = (ROOT / name).read_bytes().decode("utf-8")
        assert "\r" not in content, name
        assert content.endswith("\n"), f"{name}: no newline at its end"
        assert not re.search(r"[ \t]$", content, re.MULTILINE), f"{name}: white space at the end of a line"
        assert name == "Makefile" or not re.search(r"^ *\t", content, re.MULTILINE), f"{name}: a tab"
