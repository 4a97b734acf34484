"""What is written from the models of the configuration: config/schema.json, and the table of keys in config/README.md.

python tools/configuration.py            writes both
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from msclnet.config.by_set import BySet
from msclnet.config.merging import LIKE
from msclnet.config.problems import describe
from msclnet.config.schema import Config, Method
from msclnet.core.section import Section
from msclnet.losses.table import TERMS

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "config/schema.json"
PAGE = ROOT / "config/README.md"
TABLE = re.compile(r"(?<=<!-- keys: written by `make schema` -->\n).*?(?=<!-- end of keys -->)", re.DOTALL)
LIKE_WORDS = "another method, whose keys this one takes, its own laid over them (also one weight over another)"


def schema() -> dict[str, Any]:
    """The JSON schema of a configuration file, which may name as few keys as it likes."""
    whole = Config.model_json_schema(by_alias=True)
    definitions = whole["$defs"]
    for field in Config.model_fields.values():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BySet):
            section = definitions[kind.__name__]
            for name, part in kind.parts().items():
                own = part.model_json_schema(by_alias=True)
                definitions |= own.pop("$defs", {})
                section["properties"][name] = own
            section["additionalProperties"] = {"type": "object", "description": "of a data set from a plugin"}
    method = definitions[Method.__name__]["properties"]
    method[LIKE] = {"type": "string", "description": LIKE_WORDS}
    weight = {"type": "number", "minimum": 0}
    method["losses"] |= {"properties": dict.fromkeys(TERMS.names(), weight), "additionalProperties": weight}
    method["losses"].pop("propertyNames", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_loose(whole)}


def _loose(part: Any) -> Any:
    """Without what is required, for files are laid over one another, and without titles, which repeat the keys."""
    if isinstance(part, list):
        return [_loose(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    return {
        key: {name: _loose(v) for name, v in value.items()} if key in ("properties", "$defs") else _loose(value)
        for key, value in part.items()
        if key not in ("required", "title")
    }


def table() -> str:
    """The table of keys in Markdown, in the order of the models."""
    return "\n".join(["| key | values | meaning |", "| --- | --- | --- |", *_rows(Config), ""])


def _rows(cls: type[Section]) -> Iterator[str]:
    """Keys that hold a value, then the sections."""
    sections = {key: kind for key, field in _fields(cls) if (kind := _section_of(field))}
    yield from (_row(key, field) for key, field in _fields(cls) if key not in sections)
    if issubclass(cls, BySet):
        yield from _parts(cls)
    for key, kind in sections.items():
        yield f"| **`{key}`** | | **{_line(kind.__doc__ or '').split('. ')[0].rstrip('.')}** |"
        if kind is Method:
            yield f"| `{LIKE}` | the name of a method | {LIKE_WORDS} |"
        yield from _rows(kind)


def _parts(cls: type[BySet]) -> Iterator[str]:
    """The keys that all data sets have, then each set's own."""
    parts = cls.parts()
    shared = set.intersection(*({key for key, _ in _fields(part)} for part in parts.values()))
    shared &= {key for base in next(iter(parts.values())).__mro__[1:] if base is not Section for key in _keys(base)}
    first = next(iter(parts.values()))
    yield f"| {', '.join(f'`{name}`' for name in parts)} | a section | one a data set, with these keys |"
    yield from (_row(key, field) for key, field in _fields(first) if key in shared)
    for name, part in parts.items():
        yield from (_row(f"{name}.{key}", field) for key, field in _fields(part) if key not in shared)


def _fields(cls: type[Section]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in cls.model_fields.items()]


def _keys(base: type) -> list[str]:
    return base.key_names() if issubclass(base, Section) else []


def _row(key: str, field: FieldInfo) -> str:
    values = re.sub(r"'([\w-]+)'", r"`\1`", describe(field.annotation, field.metadata))
    return f"| `{key}` | {_line(values)} | {_line(field.description or '')} |"


def _section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a key holds, itself or by name."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))


if __name__ == "__main__":
    main()
