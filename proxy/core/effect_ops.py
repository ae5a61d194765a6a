"""ADD AN OP HERE: what a row of the effect tables may ask of the value at its path"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from proxy.core.values import Json

_BRINGING_TOOLS = ("additional_tools", "tool_search_output")
Holds: TypeAlias = Callable[[Json], bool]
"""Whether a value that stands at a row's path makes the row apply. Absent values come as None."""


def _same(value: Json, other: Json) -> bool:
    """Equality that tells true from 1."""
    return type(value) is type(other) and value == other


def _one_of(values: Json) -> Holds:
    known = values if isinstance(values, list) else [values]
    texts = frozenset(value for value in known if isinstance(value, str))
    others = [value for value in known if not isinstance(value, str)]

    def holds(value: Json) -> bool:
        if isinstance(value, str):
            return value in texts
        return any(_same(value, other) for other in others)

    return holds


def _prefix(values: Json) -> Holds:
    prefixes = tuple(str(value) for value in (values if isinstance(values, list) else [values]))
    return lambda value: isinstance(value, str) and value.startswith(prefixes)


def _regex(pattern: Json) -> Holds:
    compiled = re.compile(str(pattern))
    return lambda value: isinstance(value, str) and compiled.search(value) is not None


def _present(_: Json) -> Holds:
    return lambda value: value is not None


def _absent_or(holds: Holds) -> Holds:
    return lambda value: value is None or holds(value)


def _untyped(names: Json) -> Holds:
    """An object without a `type`, unless it has all of the members that stand for one."""
    needed = _names(names)

    def holds(value: Json) -> bool:
        if not isinstance(value, dict) or value.get("type") is not None:
            return False
        return not needed or any(value.get(name) is None for name in needed)

    return holds


def _lacks(names: Json) -> Holds:
    """An object that has none of some members."""
    known = _names(names)
    return lambda value: isinstance(value, dict) and all(value.get(name) is None for name in known)


def _chosen_unoffered(types: Json) -> Holds:
    """A whole body that chooses a tool of one of some types, and offers none of that type."""
    known = _one_of(types)

    def holds(body: Json) -> bool:
        choice = _type(_member(body, "tool_choice"))
        return known(choice) and choice not in map(_type, _offered(body))

    return holds


def _offered(body: Json) -> Iterator[Json]:
    """The tools that a body offers, and those that its input items bring along."""
    bringing = (item for item in _items(_member(body, "input")) if _type(item) in _BRINGING_TOOLS)
    for offer in (body, *bringing):
        yield from _items(_member(offer, "tools"))


def _member(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None


def _type(value: Json) -> Json:
    return _member(value, "type")


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _names(value: Json) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


OPS: Mapping[str, Callable[[Json], Holds]] = {
    "present": _present,
    "present_non_null": _present,
    "any_present": _present,
    "eq": lambda asked: lambda value: _same(value, asked),
    "in": _one_of,
    "contains": _one_of,
    "any_of": _one_of,
    "matches_prefix": _prefix,
    "regex": _regex,
    "absent": lambda _: lambda value: value is None,
    "absent_or_eq": lambda asked: lambda value: value is None or _same(value, asked),
    "absent_or_in": lambda asked: _absent_or(_one_of(asked)),
    "absent_or_not_eq": lambda asked: lambda value: value is None or not _same(value, asked),
    "untyped": _untyped,
    "lacks": _lacks,
    "chosen_unoffered": _chosen_unoffered,
}
"""What each op asks, given the row's `value`."""
OF_ABSENCE = frozenset(name for name in OPS if name.startswith("absent"))
"""Ops that hold where nothing stands, too."""
FACTS_ONLY = frozenset(("any_request", "path_match", "not_in_known_list", "credential_attribute", "semantic"))
"""Ops of rows that say something about an endpoint and ask nothing of a body."""
