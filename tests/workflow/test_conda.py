"""--use-conda really run: each rule in its own environment, built from envs/ by a front end that needs no channel."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from msclnet import config as settings
from msclnet.results import shared, studies
from tests.conftest import ROOT
from tests.test_envs import rules
from tests.workflow.test_dag import TINY, planned, snakemake

HERE = ROOT / "tests/workflow/conda"
CONFIGS = (TINY, HERE / "config.yaml")
TABLES = ["results/sysu_summary.csv", "results/sysu_trials.csv"]
OTHERS = [f"results/{name}/untrained/split1/scores.json" for name in ("regdb", "llcm")]
# The wheels of the lock, which pip would look for anew. And a compiled copy of what is imported: there is none yet.
FRONT_END = {
    "PATH": f"{HERE / 'bin'}:{os.environ['PATH']}",
    "UV_CONSTRAINT": str(ROOT / "requirements.lock"),
    "PYTHONDONTWRITEBYTECODE": "",
}
# Python imports this at its start, in the environment that holds it.
RECORDER = """import json, sys
with open(f"{sys.prefix}/starts.jsonl", "a") as file:
    file.write(json.dumps([sys.orig_argv[1:3], sys.path]) + "\\n")
"""


def environments(folder: Path) -> dict[str, Path]:
    """The environments that Snakemake made, by the name of the YAML it keeps beside each."""
    sources = {path.read_text(): path.stem for path in (ROOT / "envs").glob("*.yaml")}
    return {sources[path.read_text()]: path.with_suffix("") for path in folder.glob(".snakemake/conda/*.yaml")}


def starts(prefix: Path) -> list[tuple[list[str], list[str]]]:
    """The first words of each Python process of an environment, and where it could import from."""
    return [json.loads(line) for line in (prefix / "starts.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Counter[str]]]:
    """The folder of a run of every rule, and its jobs. The environments, gigabytes, go at the end."""
    folder = tmp_path_factory.mktemp("conda")
    targets = ["all", *OTHERS, "--use-conda"]
    snakemake(folder, *targets, "--conda-create-envs-only", configs=CONFIGS, environment=FRONT_END)
    for prefix in environments(folder).values():
        (packages,) = prefix.glob("lib/python*/site-packages")
        (packages / "recorder.py").write_text(RECORDER)
        (packages / "recorder.pth").write_text("import recorder")
    jobs = planned(snakemake(folder, *targets, configs=CONFIGS, environment=FRONT_END))
    yield folder, jobs + studies_of_one_training(folder)
    shutil.rmtree(folder / ".snakemake/conda")


def studies_of_one_training(folder: Path) -> Counter[str]:
    """The studies' own rules, on copies: one training stands for every variant's. Returns their jobs."""
    config = settings.load(str(ROOT / "config/config.yaml"), *map(str, CONFIGS))
    plans = studies.plans(config)[0].values()
    homes = [
        folder / home
        for plan in plans
        for variant in plan.variants
        for home in plan.folders("results", variant.name, 1)
    ]
    for of in studies.trainings(list(plans)).values():
        trained = folder / shared.training(*of)
        trained.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "results/sysu/msclnet/split1/model.pt", trained)

    def only(*targets: str, rules: list[str]) -> Counter[str]:
        arguments = [*targets, "--use-conda", "--allowed-rules", *rules]
        return planned(snakemake(folder, *arguments, configs=CONFIGS, environment=FRONT_END))

    targets = [next(home for home in homes if f"/{plan.name}/" in str(home)) / "scores.json" for plan in plans]
    jobs = only(
        *(str(scores.relative_to(folder)) for scores in targets), rules=[f"score_{plan.name}" for plan in plans]
    )
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "scores.json").exists():
            shutil.copy(targets[0], home)
    tables = [f"results/figures/{plan.name}.{config.figures.format}" for plan in plans]
    return jobs + only(*tables, rules=["study", "plot_study"])


def test_every_job_ran_in_its_own_environment(run: tuple[Path, Counter[str]]) -> None:
    folder, jobs = run
    made = environments(folder)
    assert set(made) == {path.stem for path in (ROOT / "envs").glob("*.yaml")}
    expected: Counter[tuple[str, str]] = Counter()
    for rule, (environment, scripts) in rules().items():
        expected.update({(environment, script): jobs[rule] for script in scripts if jobs[rule]})
    found: Counter[tuple[str, str]] = Counter()
    for environment, prefix in made.items():
        words = [next((word for word in argv if not word.startswith("-")), "") for argv, _ in starts(prefix)]
        scripts = [Path(word).name for word in words if Path(word).parent == ROOT / "workflow/scripts"]
        found.update((environment, script) for script in scripts)
    assert found == expected
    assert set(rules()) <= set(jobs), "every rule was run"


def test_nothing_leaks_in_from_outside(run: tuple[Path, Counter[str]]) -> None:
    for prefix in environments(run[0]).values():
        for argv, path in starts(prefix):
            packages = [Path(p) for p in path if Path(p).name in ("site-packages", "dist-packages")]
            assert packages, argv
            assert all(p.is_relative_to(prefix) for p in packages), (argv, path)


def test_no_process_missed_a_package(run: tuple[Path, Counter[str]]) -> None:
    """Also one whose failure stops no rule: the live mirror of a training."""
    logs = {path.name: path.read_text() for path in (run[0] / "results/logs").iterdir()}
    assert {name: text for name, text in logs.items() if "No module named" in text} == {}
    assert ["-m", "msclnet.tracking.mirror"] in [argv for argv, _ in starts(environments(run[0])["train"])]


def test_the_tables_are_those_of_a_run_without_conda_byte_for_byte(
    run: tuple[Path, Counter[str]], tmp_path: Path
) -> None:
    snakemake(tmp_path, *TABLES, configs=CONFIGS)
    for table in TABLES:
        assert (run[0] / table).read_bytes() == (tmp_path / table).read_bytes()


def test_a_package_that_its_environment_lacks_fails_the_rule(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for name in ("config", "envs", "msclnet", "workflow"):
        shutil.copytree(ROOT / name, checkout / name)
    shutil.copy(ROOT / "Snakefile", checkout)
    environment = checkout / "envs/data.yaml"
    text, removed = re.subn(r"(?m)^ +- scipy==.*\n", "", environment.read_text())
    assert removed == 1
    environment.write_text(text)
    config = settings.load(str(ROOT / "config/config.yaml"), *map(str, CONFIGS))
    arguments = (
        f"{shared.stand_in(config, 'sysu')}/drawn.json",
        "--use-conda",
        "--snakefile",
        str(checkout / "Snakefile"),
    )
    output = snakemake(tmp_path / "run", *arguments, configs=CONFIGS, environment=FRONT_END, check=False)
    assert "Error in rule stand_in" in output
    assert "No module named 'scipy'" in output
