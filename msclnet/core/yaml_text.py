"""The one reader and the one writer of YAML: what either gives, the other takes, and Snakemake's reader as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

# Every way to write a decimal number. PyYAML's own rule takes 1e-3, 5e-05 and 1E-3 for words.
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
FLOAT = re.compile(rf"(?=.*[.eE])(?:{NUMBER.pattern})$")


class _Loader(yaml.SafeLoader):
    """PyYAML's, which reads every float of YAML 1.2 as one, and takes no key twice: the first would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if before := lines.get((key.tag, key.value)):
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice, first in line {before}: join the two",
                    problem_mark=key.start_mark,
                )
            lines[key.tag, key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """PyYAML's, which quotes a word that the loader would read as a float."""


for _either in (_Loader, _Dumper):
    _either.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


class Untyped(str):
    """A value that has lost its type on the way, as all that Snakemake's ``--config key={...}`` holds."""

    __slots__ = ()


def read(text: str) -> Any:
    """The value that a text of YAML says.

    Args:
        text: YAML, of which JSON is a part.

    Returns:
        Mappings, lists, words, numbers, true and false, and None.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    return yaml.load(text, _Loader)


def write(values: Any) -> str:
    """A text of YAML that ``read`` reads as the same values, its keys in their order.

    Args:
        values: mappings, lists, words, numbers, true and false, and None.

    Returns:
        The text, which ends with a line feed.
    """
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def words(text: str) -> Any:
    """A text of YAML as Snakemake reads a value of ``--config``: every word and number is a word.

    Args:
        text: YAML.

    Returns:
        Mappings, lists and words.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    return yaml.load(text, yaml.BaseLoader)


def untyped(values: Any) -> Any:
    """Values of Snakemake's command line, with a mark at every word in them: its type is not known any more.

    Args:
        values: a word, or mappings and lists of them.

    Returns:
        The same, each word an ``Untyped``.
    """
    if isinstance(values, Mapping):
        return {key: untyped(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [untyped(value) for value in values]
    return Untyped(values) if isinstance(values, str) else values
