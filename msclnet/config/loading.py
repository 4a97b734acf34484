"""From YAML to the frozen configuration, and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from msclnet.config.schema import Config
from msclnet.core.errors import ConfigError

T = TypeVar("T")


def build(cls: type[T], values: object, where: str = "") -> T:
    """``values`` as the dataclass ``cls``, checked key by key.

    Raises ConfigError naming the dotted key: unknown (with the nearest valid ones), missing, or of the wrong type.
    A field whose name is a Python keyword ends in an underscore here and has none in the file.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'configuration'}: expected a mapping, found {_show(values)}")
    hints = typing.get_type_hints(cls)
    fields = {f.name.rstrip("_"): f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            near = get_close_matches(str(key), fields, n=3, cutoff=0.5) or sorted(fields)
            raise ConfigError(f"{_join(where, key)}: unknown key; did you mean {' or '.join(map(repr, near))}?")
    missing = [_join(where, key) for key in fields if key not in values]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: missing; config/README.md says what belongs there")
    return cls(**{fields[key]: _convert(hints[fields[key]], values[key], _join(where, key)) for key in fields})


def _convert(hint: Any, value: object, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if origin in (typing.Union, types.UnionType):
        for option in args:
            try:
                return _convert(option, value, where)
            except ConfigError:
                continue
        raise ConfigError(f"{where}: expected {_name(hint)}, found {_show(value)}")
    if origin is Literal:
        if value in args and type(value) in {type(a) for a in args}:
            return value
    elif origin is tuple:
        if isinstance(value, list | tuple):
            if args[-1] is Ellipsis:
                return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
            if len(value) == len(args):
                return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True)))
    elif origin is dict:
        if isinstance(value, Mapping):
            return {str(k): _convert(args[1], v, _join(where, k)) for k, v in value.items()}
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    raise ConfigError(f"{where}: expected {_name(hint)}, found {_show(value)}")


def plain(value: Any) -> Any:
    """A configuration object as the mapping that ``build`` takes back: for YAML, JSON, checkpoints and parameters."""
    if dataclasses.is_dataclass(value):
        return {f.name.rstrip("_"): plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``base``: mappings are merged, everything else replaced (as Snakemake merges its files)."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def read_yaml(text_or_path: str) -> Any:
    """The mapping in a YAML file, or in the argument itself when it begins with ``{`` (a rule passes it inline).

    Raises ConfigError naming a file that is absent or is not YAML.
    """
    try:
        inline = text_or_path.lstrip().startswith("{")
        return yaml.safe_load(text_or_path if inline else Path(text_or_path).read_text())
    except FileNotFoundError:
        raise ConfigError(f"{text_or_path}: no such configuration file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{text_or_path}: not valid YAML: {error}") from None


def load(*paths: str) -> Config:
    """The configuration in the files ``paths``, each laid over those before it."""
    values: dict[str, Any] = {}
    for path in paths:
        values = merge(values, read_yaml(path))
    return build(Config, values)


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _name(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(repr(a) for a in args)
    if origin is tuple:
        inner = "any number" if args[-1] is Ellipsis else str(len(args))
        return f"a list ({inner}) of {_name(args[0])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if a is type(None) else _name(a) for a in args)
    return getattr(hint, "__name__", str(hint))


def _show(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"
