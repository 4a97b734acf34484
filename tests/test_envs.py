"""The conda environments name the versions of the lock, so that --use-conda changes no result."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from msclnet.config import load
from msclnet.datasets.table import SETS
from tests.conftest import ROOT

ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda p: p.stem)
def test_an_environment_pins_what_the_lock_pins(path) -> None:
    *_, pip = yaml.safe_load(path.read_text())["dependencies"]
    text = (ROOT / "requirements.lock").read_text()
    for requirement in pip["pip"]:
        name, version = requirement.split("==")
        assert re.search(rf"^{re.escape(name)}=={re.escape(version)}[ \\]", text, re.MULTILINE), requirement


def test_every_rule_that_runs_code_names_an_environment() -> None:
    assert {environment for environment, _ in rules().values()} == {path.stem for path in ENVIRONMENTS}


def test_locks_carry_no_addresses_and_a_hash_for_each_package() -> None:
    for name in ("requirements.lock", "requirements-test.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pinned = re.findall(r"^[a-z0-9_.-]+==.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)+", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z0-9_.-]+==", text, re.MULTILINE)) > 50


# MLflow stands in `train` for the live mirror and the registry: training itself does without.
ABSENT = {
    "data": ("torch", "torchvision", "matplotlib", "mlflow"),
    "report": ("torch", "torchvision"),
    "train": ("matplotlib", "mlflow"),
}


def rules() -> dict[str, tuple[str, list[str]]]:
    """The environment of each rule that runs code, and its scripts."""
    text = "".join(file.read_text() for file in sorted((ROOT / "workflow/rules").glob("*.smk")))
    head = re.compile(r"^ *(?:use rule (?P<frame>\w+) as (?P<like>\w+) with|rule ?(?P<name>\w*)):$", re.MULTILINE)
    heads = list(head.finditer(text))
    figures = re.findall(r'^    "(\w+)": Drawn\(', text, re.MULTILINE)
    loops = {"evaluate": SETS.names(), "plot": figures, "score": list(load(str(ROOT / "config/config.yaml")).studies)}
    found: dict[str, tuple[str, list[str]]] = {}
    for rule, following in zip(heads, [*heads[1:], None], strict=True):
        body = text[rule.end() : following.start() if following else None]
        if rule["frame"]:
            found[rule["like"]] = found[rule["frame"]]
            continue
        environment = re.search(r'conda:\s+f"\{ENVS\}/(\w+)\.yaml"', body)
        assert environment, f"rule {rule['name']} has no conda environment"
        told = environment[1], re.findall(r"\$SCRIPTS/(\w+\.py)", body)
        names = [rule["name"]]
        if not rule["name"]:  # one of a loop
            (kind,) = re.findall(r'name:\s+f"(\w+)_\{', body)
            names = [f"{kind}_{each}" for each in loops[kind]]
        found |= dict.fromkeys(names, told)
    return found


SCRIPTS = sorted({(environment, script) for environment, scripts in rules().values() for script in scripts})


@pytest.mark.parametrize(("environment", "script"), SCRIPTS)
def test_a_rules_script_imports_only_what_its_environment_holds(environment: str, script: str) -> None:
    code = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({ABSENT[environment]!r})); "
        f"sys.argv = [{script!r}, '--help']; "
        f"runpy.run_path({str(ROOT / 'workflow/scripts' / script)!r}, run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")
