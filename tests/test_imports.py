"""Imports point down only, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# Each room may import those after it, and what its own row names beside itself.
LAYERS = [
    {"cli"},
    {"inference", "report", "tracking"},
    {"training", "evaluation", "results"},
    {"model", "losses", "data", "standin"},
    {"launch"},
    {"config"},
    {"datasets"},
    {"core"},
]
STDLIB_AND_CORE = {"numpy", "PIL", "yaml", "torch", "torchvision", "msclnet", *sys.stdlib_module_names}
HEAVY = {"datasets": {"scipy"}, "tracking": {"mlflow", "sqlalchemy"}}
HEAVY["report"] = {"matplotlib", "sklearn"}
HEAVY["inference"] = {"faiss", "onnx", "onnxruntime", "onnxscript", "safetensors", "tqdm"}


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
    if room == "__init__":
        return
    for target in imported(tree):
        top, *rest = target.split(".")
        assert top in STDLIB_AND_CORE | HEAVY.get(room, set()), f"{name} imports {target}"
        if top == "msclnet":
            other = rest[0]
            results = {room, other} <= LAYERS[2] and other == "results"
            assert other == room or layer(other) > layer(room) or results, f"{name} imports {target}"


def test_heavy_libraries_are_imported_late() -> None:
    """Importing any module of msclnet loads no MLflow, nor (figures aside) what draws, nor what ``use`` needs."""
    names = [name.replace("/", ".").removesuffix(".__init__") for name, _ in modules()]
    wanted = [f"msclnet.{n}" if n != "__init__" else "msclnet" for n in names if not n.startswith("report.figures")]
    late = set().union(*HEAVY.values()) - {"sqlalchemy", "tqdm"}  # torch.hub imports the last where it is installed
    code = (
        f"import sys, importlib; [importlib.import_module(n) for n in {wanted!r}]; print({late!r} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_the_configuration_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, msclnet.config; print(sorted({'torch', 'numpy', 'mlflow'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
