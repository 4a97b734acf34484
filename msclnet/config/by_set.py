"""The sections that have a part for each data set, which the set's own file defines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator

from msclnet.config.problems import Problem, merged
from msclnet.core.errors import ConfigError, nearest
from msclnet.core.section import Section
from msclnet.datasets.dataset import DataSet
from msclnet.datasets.table import SETS


class BySet(Section):
    """Keys of its own, and one named for each data set; ``of`` gives a set's part."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def part(cls, kind: DataSet) -> type[Section] | None:
        """What a data set has here; None: nothing."""
        raise NotImplementedError

    @classmethod
    def parts(cls) -> dict[str, type[Section]]:
        """What each data set has here, by its name."""
        return {kind.name: part for kind in SETS if (part := cls.part(kind))}

    @classmethod
    def key_names(cls) -> list[str]:
        return [*super().key_names(), *cls.parts()]

    @classmethod
    def declared(cls, key: str) -> tuple[Any, list[Any]]:
        return (cls.parts()[key], []) if key in cls.parts() else super().declared(key)

    @model_validator(mode="wrap")
    @classmethod
    def _with_parts(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(values, Mapping):
            return handler(values)
        errors: list[Problem] = []
        own, parts = {}, cls.parts()
        for key, value in values.items():
            if key in parts:
                try:
                    own[key] = parts[key].model_validate(value)
                except ValidationError as error:
                    errors.append(Problem((key,), value, error))
            elif key in cls.key_names() or key in cls.model_fields:
                own[key] = value
            else:
                errors.append(Problem((str(key),), value, f"unknown key; {nearest(key, cls.key_names())}"))
        try:
            built = handler(own)
        except ValidationError as error:
            errors.append(Problem((), values, error))
        if errors:
            raise merged(cls.__name__, errors)
        return built

    def has(self, name: str) -> bool:
        return name in (self.model_extra or {})

    def _of(self, name: str) -> Any:
        if not self.has(name):
            raise ConfigError(f"{type(self).__name__.lower()}: has no section {name}; write one")
        return (self.model_extra or {})[name]
