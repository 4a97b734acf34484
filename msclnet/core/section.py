"""What every section of the configuration is made of."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
)

from msclnet.core import yaml_text


@dataclass(frozen=True)
class Words:
    """Beside a type: the values it allows in words, where the type says less."""

    text: str


def problem(error: ValidationError) -> str:
    """The first problem of something that was read, in a few words."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")[:80]


Home = Annotated[str, AfterValidator(os.path.expanduser), Words("a path")]  # a leading ~ is the home folder


class Section(BaseModel):
    """A frozen group of keys; an unknown key is refused. Key names are the fields', or their alias where Python forbids
    the word.

    Types are strict, with three exceptions for what files and command lines cannot say. A list is read as a tuple.
    Where a float stands, a word that is a number is read as that number. A word that has lost its type is read as YAML,
    where no word is wanted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)

    added: ClassVar[Mapping[str, Any]] = {}  # keys of later versions, with what was so before them

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without an added key that says what was so before: a training of before keeps its name."""
        values: dict[str, Any] = handler(self)
        return {key: value for key, value in values.items() if key not in self.added or value != self.added[key]}

    @field_validator("*", mode="before")
    @classmethod
    def _as_declared(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name
        return _read(cls.model_fields[info.field_name].annotation, value)

    @classmethod
    def key_names(cls) -> list[str]:
        """The keys as a file names them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def declared(cls, key: str) -> tuple[Any, list[Any]]:
        """What a section says of a key.

        Args:
            key: as a file names it.

        Returns:
            The key's type; ``Any`` for a key that there is not.
            The constraints on it.
        """
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        return (fields[key].annotation, fields[key].metadata) if key in fields else (Any, [])


def each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Validates a list in which nothing may stand twice."""
    if twice := [value for place, value in enumerate(values) if value in values[:place]]:
        raise ValueError(f"names {', '.join(map(repr, twice))} twice; name each once")
    return values


def options(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself; constraints aside.

    Args:
        hint: a type, perhaps a union, perhaps with constraints (``Annotated``).

    Returns:
        Types, none of them a union.
    """
    if get_origin(hint) is Annotated:
        return options(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(option for member in get_args(hint) for option in options(member))
    return (hint,)


def _read(hint: Any, value: Any) -> Any:
    """``value`` from a file in the types of ``hint``; what does not fit is left for the validation to name."""
    if isinstance(value, yaml_text.Untyped):
        value = str(value) if _is_a_word(hint, value) else yaml_text.read(value)
    for option in options(hint):
        origin, args = get_origin(option), get_args(option)
        if origin is tuple and isinstance(value, list | tuple):
            inner = [args[0]] * len(value) if args[-1] is Ellipsis else args
            if len(inner) == len(value):
                return tuple(_read(i, v) for i, v in zip(inner, value, strict=True))
            return tuple(value)
        if origin is dict and isinstance(value, Mapping):
            return {key: _read(args[1], v) for key, v in value.items()}
        if option is float and isinstance(value, str) and yaml_text.NUMBER.fullmatch(value):
            return float(value)
    return value


def _is_a_word(hint: Any, value: str) -> bool:
    allowed = options(hint)
    return str in allowed or any(get_origin(option) is Literal and value in get_args(option) for option in allowed)
