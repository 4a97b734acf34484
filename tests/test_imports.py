"""Imports point down only, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

LAYERS = [  # a room imports those of later rows alone
    {"cli"},
    {"inference", "report", "tracking", "doctor"},
    {"training"},  # above the evaluation, which it scores held-out identities by
    {"evaluation"},
    {"results"},
    {"model", "data"},
    {"launch"},
    {"config"},
    {"datasets", "losses"},
    {"standin"},
    {"core", "examples"},
]
SETS = re.compile("regdb|sysu|llcm", re.IGNORECASE)
EXAMPLES = "msclnet/examples.py"  # lines that a person types: no choices
PAPERS_OWN = {"msclnet/results/studies.py": "SYSU-MM01"}  # where its Table 1 was measured: a fact, and no choice
CORE = {"annotated_types", "numpy", "PIL", "pydantic", "pydantic_core", "yaml", "torch", "torchvision", "msclnet"}
STDLIB_AND_CORE = {*CORE, *sys.stdlib_module_names}
HEAVY = {"datasets": {"scipy"}, "results": {"scipy"}, "tracking": {"mlflow", "uvicorn"}}
HEAVY["report"] = {"matplotlib", "sklearn"}
HEAVY["model"] = {"timm"}
HEAVY["inference"] = {"faiss", "onnx", "onnxruntime", "onnxscript", "safetensors", "starlette", "tqdm", "uvicorn"}
HEAVY["cli"] = {"shtab"}


def modules() -> list[tuple[str, ast.Module]]:
    files = sorted((ROOT / "msclnet").rglob("*.py"))
    assert len(files) > 20
    return [(str(f.relative_to(ROOT / "msclnet").with_suffix("")), ast.parse(f.read_text())) for f in files]


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(room: str) -> int:
    return next(i for i, rooms in enumerate(LAYERS) if room in rooms)


@pytest.mark.parametrize(("name", "tree"), modules(), ids=[name for name, _ in modules()])
def test_imports_point_down(name: str, tree: ast.Module) -> None:
    room = name.split("/")[0]
    if room in ("__init__", "__main__"):
        return
    for target in imported(tree):
        top, *rest = target.split(".")
        assert top in STDLIB_AND_CORE | HEAVY.get(room, set()), f"{name} imports {target}"
        if top == "msclnet":
            other = rest[0]
            assert other == room or layer(other) > layer(room), f"{name} imports {target}"


def test_the_map_of_the_code_has_every_folder_of_the_package() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = {name.split("/")[0] for name, _ in modules() if "/" in name}
    assert {folder for folder in folders if f"`msclnet/{folder}/`" not in page} == set()


def test_heavy_libraries_are_imported_late() -> None:
    """Importing any module of msclnet loads no MLflow, nor (figures aside) what draws, nor what ``use`` needs."""
    names = [name.replace("/", ".").removesuffix(".__init__") for name, _ in modules()]
    wanted = [f"msclnet.{n}" if n != "__init__" else "msclnet" for n in names if not n.startswith("report.figures")]
    late = set().union(*HEAVY.values()) - {"tqdm"}  # torch.hub imports it where it is installed
    code = (
        f"import sys, importlib; [importlib.import_module(n) for n in {wanted!r}]; print({late!r} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_planning_needs_neither_torch_nor_images_nor_mlflow() -> None:
    """What the Snakefile reads: its seconds are spent before every run."""
    rules = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
    lines = [line for rule in rules for line in rule.read_text().splitlines() if line.startswith("from msclnet")]
    assert len(lines) > 10
    code = "\n".join(("import sys", *lines, "print(sorted({'torch', 'PIL', 'scipy', 'mlflow'} & set(sys.modules)))"))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name and text of a module, with its line; comments and docstrings aside."""
    rooms = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = [node for node in ast.walk(tree) if isinstance(node, rooms) and ast.get_docstring(node) is not None]
    docstrings = {id(node.body[0].value) for node in documented if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield line, node.value
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(word := getattr(node, field, None), str):
                yield line, word


def test_no_code_but_a_data_sets_own_file_names_it() -> None:
    """One table names the sets; whatever differs between them is asked of their objects."""
    modules = [path for path in (ROOT / "msclnet").rglob("*.py") if path.parent.name != "datasets"]
    modules.remove(ROOT / EXAMPLES)
    files = [*modules, *(ROOT / "workflow/scripts").glob("*.py")]
    named = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in sorted(files)
        for line, word in words(ast.parse(path.read_text()))
        if SETS.search(word) and PAPERS_OWN.get(str(path.relative_to(ROOT))) != word
    ]
    for path in sorted([ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]):
        code = re.sub(
            r'""".*?"""|#[^\n]*', lambda found: "\n" * found[0].count("\n"), path.read_text(), flags=re.DOTALL
        )
        named += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
            for number, line in enumerate(code.splitlines(), start=1)
            if SETS.search(line)
        ]
    assert not named, "\n".join(named)


@pytest.mark.parametrize(("name", "tree"), modules(), ids=[name for name, _ in modules()])
def test_network_losses_and_data_do_not_know_each_other(name: str, tree: ast.Module) -> None:
    """Training joins them: it asks the network for what the losses read."""
    strangers = {"model", "losses", "data"}
    room = name.split("/")[0]
    if room in strangers:
        known = {target.split(".")[1] for target in imported(tree) if target.startswith("msclnet.")}
        assert not known & (strangers - {room}), name


def test_loading_a_model_pulls_in_no_training_and_no_losses_code() -> None:
    model = ROOT / "tests/model/fixtures/released.pt"
    code = f"""
import sys, msclnet
msclnet.load_model({str(model)!r})
rooms = ("msclnet.training", "msclnet.launch", "msclnet.losses.objective", "mlflow")
print([name for name in sys.modules if name.startswith(rooms)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
