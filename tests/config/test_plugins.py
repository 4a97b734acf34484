"""A file outside the package adds a data set and a loss; the configuration knows their keys."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LOSS = """
from msclnet.losses.table import TERMS, Term
TERMS.register(Term("hetero", "nowhere:hetero", ("visible", "infrared", "labels")))
"""
MINE = """
plugins: [toy.py, loss.py]
run: {{sets: [toy], methods: [agw, mine]}}
data: {{toy: {{root: stand-in, epochs: {epochs}, processes: 1}}}}
stand_in: {{toy: {{like: "", images: 2}}}}
methods: {{mine: {{like: agw, losses: {{{term}: 0.5}}}}}}
train: {{identities: 4, milestones: [], factors: [], warmup: 1}}
"""
READ = f"""
import sys
from msclnet.config import load, splits, train_job, title
config = load({str(ROOT / "config/config.yaml")!r}, "mine.yaml")
print(config.run.sets, config.stand_in.of("toy"), config.methods["mine"].losses, splits(config, "toy"))
print(train_job(config, "toy", "mine", 1).data, title("toy", "stand-in"))
"""


def read(folder: Path, epochs: str = "2", term: str = "hetero") -> subprocess.CompletedProcess[str]:
    """In a process of its own: the tables are the process's."""
    shutil.copyfile(ROOT / "tests/datasets/toy.py", folder / "toy.py")
    (folder / "loss.py").write_text(LOSS)
    (folder / "mine.yaml").write_text(MINE.format(epochs=epochs, term=term))
    command = [sys.executable, "-c", READ]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_keys_of_what_a_plugin_adds_are_known(tmp_path: Path) -> None:
    done = read(tmp_path)
    assert done.stdout.splitlines() == [
        "('toy',) like='' images=2 {'identity': 1.0, 'wrt': 1.0, 'hetero': 0.5} (1,)",
        "stand-in Toy (stand-in)",
    ], done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "0"}, "data.toy.epochs: expected a whole number of at least 1, found 0"),
        ({"term": "hetreo"}, "methods.mine.losses.hetreo: unknown key; did you mean 'hetero'?"),
    ],
)
def test_they_are_checked_as_any_other(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    assert read(tmp_path, **changes).stderr.splitlines()[-1].endswith(message)
