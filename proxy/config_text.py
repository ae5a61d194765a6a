"""settings -> a commented config.yaml: the example, and what is in force

Both are written from the settings' types, so a new setting stands in them without anybody's doing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_WIDTH = 100


def example(model: type[BaseModel], defaults: BaseModel) -> str:
    """A configuration file that states every default, with a comment for each setting."""
    head = (
        "# Every setting of Ringfence with its default. Each can be given as an environment variable too:\n"
        "# RINGFENCE_ and its path in upper case with __ between, as in RINGFENCE_LISTEN__PORT=8080.\n"
    )
    return head + "".join(_group(model, defaults.model_dump(mode="json"), ""))


def shown(settings: BaseModel) -> str:
    """The settings in force, without comments. They hold no secrets, only where secrets are."""
    return "".join(_group(type(settings), settings.model_dump(mode="json"), "", comments=False))


def _group(
    model: type[BaseModel], values: Mapping[str, Any], indent: str, *, comments: bool = True
) -> Iterator[str]:
    for name, about in model.model_fields.items():
        inner = about.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if comments:
                yield f"\n{indent}# {_first_line(inner)}\n"
            yield f"{indent}{name}:\n"
            yield from _group(inner, values[name], indent + "  ", comments=comments)
        elif comments:
            yield from _commented(name, about, values[name], indent)
        else:
            yield f"{indent}{name}: {flow(values[name])}\n"


def _commented(name: str, about: FieldInfo, value: Any, indent: str) -> Iterator[str]:
    if not indent:
        yield "\n"
    yield f"{indent}# {about.description}\n"
    for instance in about.examples or ():
        yield f"{indent}# For example: {flow(instance)}\n"
    yield f"{indent}{name}: {flow(value)}\n"


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def flow(value: Any) -> str:
    """A value in YAML's flow style, as the strict reader takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(name)}: {flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    plain = value.replace("/", "").replace(".", "").replace("_", "").replace("-", "").isalnum()
    begins = value[:1].isalpha() or value[:1] == "/"
    words = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    spelled = value[:1].isdigit() and value[-1:].isalpha() and value.isalnum() and not value.startswith("0")
    if value.isascii() and value.casefold() not in words and ((plain and begins) or spelled):
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    # YAML, unlike JSON, has no surrogate pairs.
    return character if " " <= character <= "~" else f"\\U{ord(character):08x}"
