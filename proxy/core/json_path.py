"""the subset of RFC 9535 that the effect tables use, parsed once

Names, `[*]`, `..name` and filters that compare texts: `[?@.type=='a' || @.type=='b']`, `[?@=='a']`,
`[?@.type!='a']`.
https://www.rfc-editor.org/rfc/rfc9535
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from proxy.core.errors import Mistake
from proxy.core.values import Json, Pointer


@dataclass(frozen=True, slots=True)
class Name:
    """A member; `spellings` holds more than one where an API takes more than one."""

    spellings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Every:
    """Every element of an array, every value of an object."""


@dataclass(frozen=True, slots=True)
class Where:
    """The elements whose member `field`, or that themselves where it is "", equal one of some texts.

    With `unlike` it is all the others, those without the member among them.
    """

    field: str
    texts: frozenset[str]
    unlike: bool = False

    def holds(self, value: Json) -> bool:
        if self.field:
            value = value.get(self.field) if isinstance(value, dict) else None
        return (isinstance(value, str) and value in self.texts) is not self.unlike


@dataclass(frozen=True, slots=True)
class Deep:
    """A member of that name at any depth."""

    name: str


Step: TypeAlias = "Name | Every | Where | Deep"
Path: TypeAlias = "tuple[Step, ...]"

_TOKEN = re.compile(r"\.\.([\w-]+)|\.([\w-]+)|\[(\*)\]|\[\?(.+?)\]")
_COMPARISON = re.compile(r"\s*@(?:\.(\w+))?\s*(==|!=)\s*'([^']*)'\s*")


def parse_path(text: str) -> Path:
    """Parse a path that starts at the body, `$`; raises `Mistake` for what the subset does not have."""
    steps: list[Step] = []
    at = 1
    while at < len(text) or not text.startswith("$"):
        token = _TOKEN.match(text, at) if text.startswith("$") else None
        if token is None:
            raise Mistake(f"'{text}' is no path that the tables support")
        deep, name, _, where = token.groups()
        if deep:
            steps.append(Deep(deep))
        elif name:
            steps.append(Name((name,)))
        else:
            steps.append(_where(where, text) if where else Every())
        at = token.end()
    return tuple(steps)


def _where(text: str, path: str) -> Where:
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    found = [_COMPARISON.fullmatch(part) for part in text.split("||")]
    asked = {(one.group(1) or "", one.group(2)) for one in found if one}
    # More than one '!=' between bars would hold for everything.
    if None in found or len(asked) != 1 or ("!=" in text and len(found) > 1):
        raise Mistake(f"'{path}' has a filter that the tables do not support")
    field, operator = asked.pop()
    return Where(field, frozenset(one.group(3) for one in found if one), operator == "!=")


def select(path: Path, value: Json, at: Pointer = ()) -> Iterator[Pointer]:
    """Where the values stand that a path selects."""
    if not path:
        yield at
        return
    step, rest = path[0], path[1:]
    if isinstance(step, Name):
        for name in step.spellings:
            if isinstance(value, dict) and name in value:
                yield from select(rest, value[name], (*at, name))
    elif isinstance(step, Deep):
        for key, below in children(value):
            if key == step.name:
                yield from select(rest, below, (*at, key))
            yield from select(path, below, (*at, key))
    else:
        for key, below in children(value):
            if isinstance(step, Every) or step.holds(below):
                yield from select(rest, below, (*at, key))


def children(value: Json) -> Iterator[tuple[str | int, Json]]:
    """What stands directly in an array or object, with its index or name."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def written(pointer: Pointer) -> str:
    """A pointer as a path: `$.tools[0].type`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in pointer)

def snake(name: str) -> str:
    """The proto spelling of a camelCase name: `generationConfig` to `generation_config`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
