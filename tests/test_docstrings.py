"""What docs/reference/python.md shows says of every parameter and every result what it is."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

griffe = pytest.importorskip("griffe", reason="comes with mkdocstrings")

NAMES = re.findall(r"^::: (\S+)$", (ROOT / "docs/reference/python.md").read_text(encoding="utf-8"), re.MULTILINE)
STARS = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
NOTHING = {"None", "NoReturn"}
RESULTS = {griffe.DocstringSectionKind.returns, griffe.DocstringSectionKind.yields}


@pytest.fixture(scope="module")
def package() -> griffe.Module:
    """The package as mkdocstrings reads it: by its text, importing nothing."""
    return griffe.load("msclnet", search_paths=[str(ROOT)], docstring_parser="google", allow_inspection=False)


def resolved(package: griffe.Module, name: str) -> griffe.Object:
    found = package[name.removeprefix("msclnet.")]
    return found.final_target if found.is_alias else found


def functions(shown: griffe.Object) -> Iterator[griffe.Function]:
    """The object itself, or the public functions and constructors within it: what the page has a signature of."""
    if shown.is_function:
        yield shown
    for name, member in shown.members.items():
        if not member.is_alias and (name == "__init__" or not name.startswith("_")):
            yield from functions(member)


def classes(shown: griffe.Object) -> Iterator[griffe.Class]:
    members = shown.members.values() if shown.is_module else ()
    found = [shown, *(member for member in members if not member.is_alias)]
    yield from (each for each in found if each.is_class and not each.name.startswith("_"))


def holds_fields(cls: griffe.Class) -> bool:
    """Whether its constructor is made from its fields, so that these are to be documented."""
    return "dataclass" in cls.labels or any(str(base) == "NamedTuple" for base in cls.bases)


def said(shown: griffe.Object, kind: griffe.DocstringSectionKind) -> dict[str, str]:
    """What a section of a docstring names, with the words on it."""
    sections = shown.docstring.parsed if shown.docstring else []
    return {item.name: item.description for section in sections if section.kind is kind for item in section.value}


def test_a_name_leads_to_what_has_a_docstring(package: griffe.Module) -> None:
    assert NAMES
    assert not [name for name in NAMES if not resolved(package, name).docstring]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_said(package: griffe.Module, name: str) -> None:
    for function in functions(resolved(package, name)):
        if function.name == "__init__" and holds_fields(function.parent):
            continue
        wanted = [
            STARS.get(parameter.kind, "") + parameter.name
            for parameter in function.parameters
            if not (function.parent.is_class and parameter.name in ("self", "cls"))
        ]
        found = said(function, griffe.DocstringSectionKind.parameters)
        assert list(found) == wanted, function.path
        assert all(found.values()), function.path


@pytest.mark.parametrize("name", NAMES)
def test_every_result_is_said(package: griffe.Module, name: str) -> None:
    for function in functions(resolved(package, name)):
        sections = function.docstring.parsed if function.docstring else []
        results = [item for section in sections if section.kind in RESULTS for item in section.value]
        if function.name == "__init__" or str(function.returns) in NOTHING:
            assert not results, function.path
            continue
        hint = ast.parse(str(function.returns), mode="eval").body
        one_each = len(hint.slice.elts) if isinstance(hint, ast.Subscript) and ast.unparse(hint.value) == "tuple" else 1
        # More would be a line that goes on and is not indented: it is shown as a result of its own.
        assert len(results) in (1, one_each), function.path
        assert not any(item.name for item in results), f"{function.path}: a colon makes a name of the first word"


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_said(package: griffe.Module, name: str) -> None:
    for cls in filter(holds_fields, classes(resolved(package, name))):
        fields = [
            field for field, member in cls.members.items() if member.is_attribute and "property" not in member.labels
        ]
        assert list(said(cls, griffe.DocstringSectionKind.attributes)) == fields, cls.path


def test_the_parser_has_nothing_to_say(package: griffe.Module, caplog: pytest.LogCaptureFixture) -> None:
    """No section it misreads, and no name that the signature lacks."""
    with caplog.at_level(logging.INFO):
        for name in NAMES:
            shown = resolved(package, name)
            for each in (*functions(shown), *classes(shown)):
                if each.docstring:
                    each.docstring.parse("google")
    assert not caplog.messages
