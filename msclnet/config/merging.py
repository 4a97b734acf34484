"""Mappings laid over one another: a file over those before it, and a method over the one it is ``like``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from msclnet.config.problems import Problem, merged, show
from msclnet.core.errors import nearest

LIKE = "like"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``base``: mappings are merged, everything else replaced (as Snakemake merges its files)."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def resolve(methods: Any, validate: Callable[[Any], Any]) -> Any:
    """``methods`` as ``validate`` returns them, each ``like`` followed; chains are allowed.

    Raises ValidationError with every ``like`` that names no method or goes in a circle, and with what ``validate``
    finds wrong in the others.
    """
    if not isinstance(methods, Mapping):
        return validate(methods)
    whole: dict[Any, Any] = {}
    wrong: dict[Any, str] = {}  # by the method whose ``like`` it is
    for name in methods:
        try:
            whole[name] = _whole(methods, name, ())
        except _LeadsNowhere as error:
            wrong[error.name] = error.words
    errors = [Problem((str(name), LIKE), methods[name], words) for name, words in wrong.items()]
    built: Any = {}
    try:
        if whole or not errors:
            built = validate(whole)
    except ValidationError as error:
        errors.append(Problem((), methods, error))
    if errors:
        raise merged("methods", errors, _own(methods, [problem for problem in errors if not problem.place]))
    return built


def _own(methods: Mapping[Any, Any], problems: list[Problem]) -> Callable[[tuple[Any, ...]], bool]:
    """Whether a method's problem is its own: one of the method that it is like is told there."""
    places = {item["loc"] for p in problems if isinstance(p.error, ValidationError) for item in p.error.errors()}

    def keep(place: tuple[Any, ...]) -> bool:
        method = methods.get(place[0])
        like = method.get(LIKE) if isinstance(method, Mapping) else None
        return not isinstance(like, str) or (like, *place[1:]) not in places

    return keep


class _LeadsNowhere(Exception):
    def __init__(self, name: object, words: str) -> None:
        """``name`` is the method whose ``like`` is wrong."""
        self.name, self.words = name, words


def _whole(methods: Mapping[Any, Any], name: Any, before: tuple[Any, ...]) -> Any:
    """The method ``name`` without ``like``; ``before`` are those that led to it."""
    method = methods[name]
    if not isinstance(method, Mapping) or LIKE not in method:
        return method
    path, other = (*before, name), method[LIKE]
    if other in path:
        way = " -> ".join(map(str, (*path[path.index(other) :], other)))
        raise _LeadsNowhere(name, f"goes in a circle, {way}; let one of them state its own keys")
    if not isinstance(other, str) or other not in methods:
        known = [key for key in methods if key != name]
        raise _LeadsNowhere(name, f"expected another name under methods, found {show(other)}; {nearest(other, known)}")
    base, own = _whole(methods, other, path), {key: value for key, value in method.items() if key != LIKE}
    return merge(base, own) if isinstance(base, Mapping) else own
