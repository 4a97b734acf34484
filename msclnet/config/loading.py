"""From YAML to the frozen configuration, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from msclnet.config import problems, rules
from msclnet.config.merging import merge, resolve
from msclnet.config.schema import Config, Method, Study
from msclnet.core import yaml_text
from msclnet.core.errors import ConfigError
from msclnet.core.section import Section

T = TypeVar("T", bound=Section)


def build(cls: type[T], values: object, where: str = "") -> T:
    """Values as a section of the configuration, checked key by key; the whole also one key against another.

    Args:
        cls: the section's class.
        values: its mapping of keys.
        where: the dotted key above, for messages. One that ends in a space is a file's name, ``<file>: ``.

    Returns:
        The section, frozen.

    Raises:
        ConfigError: one error with all problems, a line each. A line has the dotted key below ``where``, what was found
            and what is allowed.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'configuration'}: expected a mapping, found {problems.show(values)}")
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        found = problems.lines(cls, error, where)
        if issubclass(cls, Config):
            found += rules.broken(_sound(cls, values, error))
        raise problems.summed(found) from None


def replace(section: T, **changes: Any) -> T:
    """A copy of ``section`` with other values, checked as the first were; raises ConfigError."""
    return build(type(section), {**dict(section), **changes})


def plain(value: Any) -> Any:
    """A section, or a container of some, as the mapping that ``build`` takes back: for YAML, JSON and checkpoints."""
    if isinstance(value, Section):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value


def read_yaml(text_or_path: str) -> Any:
    """The mapping in a YAML file, or in the argument itself when it begins with ``{`` (a rule passes it inline).

    Raises ConfigError naming a file that is absent or is not YAML.
    """
    try:
        inline = text_or_path.lstrip().startswith("{")
        return yaml_text.read(text_or_path if inline else Path(text_or_path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{text_or_path}: no such configuration file") from None
    except OSError as error:
        raise ConfigError(f"{text_or_path}: {error.strerror}; expected YAML that this user may read") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{text_or_path}: not readable as a text of UTF-8 ({error}); expected YAML") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{text_or_path}: not valid YAML: {error}") from None


def load(*paths: str) -> Config:
    """The configuration in some files, each laid over those before it.

    Args:
        *paths: YAML files, or mappings written inline, which begin with ``{``.

    Returns:
        The configuration, frozen.

    Raises:
        ConfigError: a file is absent or is not YAML, or a key or value in it is wrong.
    """
    values: dict[str, Any] = {}
    for path in paths:
        over = read_yaml(path)
        if not isinstance(over, Mapping | None):  # a file of comments alone is empty
            raise ConfigError(f"{path}: expected a mapping of keys, found {problems.show(over)}")
        values = merge(values, over or {})
    return build(Config, values)


def _sound(cls: type[Section], values: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """The sections in which nothing is wrong, for the rules that need no other."""
    wrong = {item["loc"][0] for item in error.errors(include_url=False) if item["loc"]}
    sound: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        kind = field.annotation
        if name not in wrong and name in values and isinstance(kind, type) and issubclass(kind, Section):
            sound[name] = kind.model_validate(values[name])
    if "methods" not in wrong and "methods" in values:
        sound["methods"] = resolve(values["methods"], TypeAdapter(dict[str, Method]).validate_python)
    if "studies" not in wrong and "studies" in values:
        sound["studies"] = {name: Study.model_validate(study) for name, study in values["studies"].items()}
    return sound
