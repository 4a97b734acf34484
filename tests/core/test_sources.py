"""What a script runs: the closure of its imports, and a digest of what that says."""

from __future__ import annotations

from pathlib import Path

import pytest

from msclnet.core import sources
from msclnet.core.sources import Sources
from tests.conftest import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package of five modules and a script: one imported late, one named in a word, one that nothing uses."""
    files = {
        "msclnet/__init__.py": "from msclnet.unused import nothing\n",
        "msclnet/room/__init__.py": '"""A room."""\n',
        "msclnet/room/early.py": '"""Says."""\n\nVALUE = 1\n',
        "msclnet/room/late.py": "import os\n",
        "msclnet/named.py": "def row(): ...\n",
        "msclnet/unused.py": "",
        "script.py": (
            "import sys\nfrom msclnet.room.early import VALUE\n\nTABLE = 'msclnet.named:row'\n\n\n"
            "def run():\n    from msclnet.room import late\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(tree: Path, **options: object) -> str:
    sources._read.cache_clear()
    sources._exists.cache_clear()
    return Sources(tree).digest("script.py", **options)


def test_the_closure_has_what_is_imported_early_late_and_by_a_word(tree: Path) -> None:
    room = {f"msclnet/room/{name}.py" for name in ("__init__", "early", "late")}
    assert Sources(tree).closure("script.py") == {"script.py", "msclnet/named.py", *room}
    left = Sources(tree).closure("script.py", without=["msclnet.room"])
    assert left == {"script.py", "msclnet/named.py"}


def test_what_the_code_says_counts_and_nothing_else(tree: Path) -> None:
    before, without = digest(tree), digest(tree, without=["msclnet.room.early"])
    early = tree / "msclnet/room/early.py"
    early.write_text('"""Says more."""\n\nVALUE = 1  # a comment\n')
    (tree / "msclnet/unused.py").write_text("VALUE = 2\n")
    assert digest(tree) == before
    early.write_text("VALUE = 2\n")
    assert digest(tree) != before
    assert digest(tree, without=["msclnet.room.early"]) == without


def test_a_file_beside_counts(tree: Path) -> None:
    plugin = tree / "plugin.py"
    plugin.write_text("VALUE = 1\n")
    before = digest(tree, beside=[plugin])
    plugin.write_text("VALUE = 2\n")
    assert len({before, digest(tree, beside=[plugin]), digest(tree)}) == 3


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("train", ["training/batch_norm", "core/types", "losses/cascade", "data/augmentation", "model/mogrifier"]),
        ("features", ["evaluation/embedding", "data/augmentation", "model/backbone"]),
        ("evaluate", ["evaluation/metrics", "datasets/protocol", "datasets/sysu"]),
        ("plot", ["report/figures/cmc", "report/figures/style", "results/scores"]),
        ("register", ["tracking/registry", "model/files"]),
    ],
)
def test_the_scripts_closures_hold_what_was_once_forgotten(script: str, runs: list[str]) -> None:
    closure = Sources(ROOT).closure(f"workflow/scripts/{script}.py")
    assert {f"msclnet/{name}.py" for name in runs} <= closure
