"""What is wrong with a configuration, in words: a line each, with its key, what was found and what is allowed."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails

from msclnet.core.errors import ConfigError, nearest
from msclnet.core.section import Section, Words

SHOWN = 60  # characters of a value in a message
REMEDY = "config/README.md explains every key"


def summed(lines: Sequence[str]) -> ConfigError:
    """All problems of a configuration in one error: a line each."""
    if len(lines) == 1:
        return ConfigError(lines[0])
    return ConfigError("\n  ".join((f"{len(lines)} problems ({REMEDY})", *lines)))


def lines(cls: type[Section], error: ValidationError, where: str = "") -> list[str]:
    """The problems of values that are no ``cls``, in the order of the keys; ``where`` is what ``cls`` itself is
    called."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False):
        loc, kind = item["loc"], item["type"]
        if kind == "missing" and isinstance(loc[-1], int):
            loc, kind = loc[:-1], "too_short"  # a list without its last entries
        key, allowed, known = _place(cls, loc, where)
        if not any(other.startswith(f"{key}[") for other in found):  # a list whose wrong entries are named already
            found.setdefault(key, f"{key or 'configuration'}: {_words(kind, item, allowed, known)}")
    return list(found.values())


class Problem(NamedTuple):
    """Something wrong at a place within a section, found apart from the rest of it."""

    place: tuple[str, ...]  # the keys that lead there
    found: object
    error: ValidationError | str  # or its words


def merged(
    title: str, problems: Iterable[Problem], keep: Callable[[tuple[Any, ...]], bool] = lambda place: True
) -> ValidationError:
    """Problems found apart as one error; those at a place that ``keep`` refuses are left out."""
    details: list[InitErrorDetails] = []
    for place, found, error in problems:
        if isinstance(error, str):
            details.append({"type": "value_error", "loc": place, "input": found, "ctx": {"error": ValueError(error)}})
            continue
        for item in error.errors(include_url=False):
            context = item.get("ctx", {})
            details.append(
                {"type": item["type"], "loc": (*place, *item["loc"]), "input": item["input"], "ctx": context}
            )
    return ValidationError.from_exception_data(title, [detail for detail in details if keep(detail["loc"])])


def describe(hint: Any, metadata: Sequence[Any] = ()) -> str:
    """The values that a type allows, e.g. ``a number from 0 to 1``."""
    origin, args = get_origin(hint), get_args(hint)
    words = [part.text for part in metadata if isinstance(part, Words)]
    if words:
        return words[-1]
    if origin is Annotated:
        field = [part for extra in args[1:] for part in (extra.metadata if isinstance(extra, FieldInfo) else [extra])]
        return describe(args[0], [*field, *metadata])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in args)
    if origin is Literal:
        return " or ".join(map(show, args))
    if origin is tuple and args[-1] is Ellipsis:
        least = "one or more" if any(hasattr(m, "min_length") for m in metadata) else "any number"
        return f"a list of {least}, each {describe(args[0])}"
    if origin is tuple:
        return f"a list of {len(args)}, each {describe(args[0])}"
    if hint is type(None):
        return "null"
    if hint is str:
        return "text" if any(hasattr(m, "min_length") for m in metadata) else "text, or empty"
    if hint is bool:
        return "true or false"
    if hint in (int, float):
        return " ".join(("a whole number" if hint is int else "a number", *_range(metadata)))
    return "a mapping"


def show(value: object) -> str:
    """A value as a file says it."""
    text = (
        {None: "null", True: "true", False: "false"}[value] if value is None or value is True or value is False else ""
    )
    text = text or repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def join(where: str, key: object) -> str:
    return f"{where}{'' if where.endswith(' ') else '.'}{key}" if where else str(key)


def _range(metadata: Iterable[Any]) -> list[str]:
    """``from 0 to 1`` and the like."""
    limit = {
        name: getattr(m, name) for m in metadata for name in ("ge", "gt", "le", "lt", "multiple_of") if hasattr(m, name)
    }
    match limit:
        case {"ge": low, "le": high}:
            ends = f"from {low} to {high}"
        case {"ge": low, "lt": high}:
            ends = f"from {low} to below {high}"
        case {"gt": low, "le": high}:
            ends = f"above {low}, at most {high}"
        case {"gt": low}:
            ends = f"above {low}"
        case {"ge": low}:
            ends = f"of at least {low}"
        case _:
            ends = ""
    step = f"and a multiple of {limit['multiple_of']}" if "multiple_of" in limit else ""
    return [part for part in (ends, step) if part]


def _place(cls: type[Section], loc: Sequence[str | int], where: str) -> tuple[str, str, list[str]]:
    """What pydantic's path to a value leads to: the dotted key, what is allowed there, and the keys of its mapping."""
    key, metadata = where, list[Any]()
    hint: Any = cls
    known: list[str] = []
    for part in loc:
        while get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        args = get_args(hint)
        if part == "[key]":
            break  # the name itself is wrong
        if isinstance(hint, type) and issubclass(hint, Section):
            key, known = join(key, part), hint.key_names()
            hint, metadata = hint.declared(str(part))
        elif get_origin(hint) is dict:
            key, hint, metadata = join(key, part), args[1], []
        elif get_origin(hint) is tuple and isinstance(part, int):
            key, hint, metadata = f"{key}[{part}]", args[0], []
        else:
            break  # a member of a union, of which all are named together
    return key, describe(hint, metadata), known


def _words(kind: str, item: Any, allowed: str, known: list[str]) -> str:
    if kind == "invalid_key" or (item["loc"][-1:] == ("[key]",) and kind != "value_error"):
        return f"expected a name, found {show(item['loc'][-2] if item['loc'][-1] == '[key]' else item['loc'][-1])}"
    match kind:
        case "value_error":
            return str(item["ctx"]["error"])
        case "extra_forbidden":
            return f"unknown key; {nearest(item['loc'][-1], known)}"
        case "missing":
            return f"missing; expected {allowed}"
        case _:
            return f"expected {allowed}, found {show(item['input'])}"
