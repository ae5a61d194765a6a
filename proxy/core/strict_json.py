"""one reading of a body or none

jiter refuses what RFC 8259 refuses and equal keys at any depth. What it lets pass and other readers
take differently is refused here: numbers that overflow a double, NUL in a member name, depth and
size that some readers cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from jiter import from_json

from proxy.core.errors import Unreadable
from proxy.core.values import Json

MAX_DEPTH = 64
MAX_MEMBERS = 100_000
DOUBLE_MAX = 1.7976931348623157e308
_LONG = 64
_CONTAINERS = (dict, list)
_NAME_SHOWN = 64

Container: TypeAlias = "dict[str, Json] | list[Json]"

_ENCODINGS = (
    (b"\xef\xbb\xbf", "starts with a byte order mark"),
    (b"\xff\xfe", "is not UTF-8"),
    (b"\xfe\xff", "is not UTF-8"),
)


def parse_object(
    body: bytes, *, max_depth: int = MAX_DEPTH, max_members: int = MAX_MEMBERS
) -> dict[str, Json]:
    """Read a body that has to be one JSON object; raises `Unreadable` as `parse` does."""
    value = load_object(body)
    vet(value, body, max_depth=max_depth, max_members=max_members)
    return value


def load_object(body: bytes) -> dict[str, Json]:
    """Read a body that has to be one JSON object, as far as jiter judges it; `vet` has to follow."""
    value = _load(body)
    if not isinstance(value, dict):
        vet(value, body)
        raise Unreadable("wrong_type", "The body must be a JSON object.")
    return value


def parse(body: bytes, *, max_depth: int = MAX_DEPTH, max_members: int = MAX_MEMBERS) -> Json:
    """Read a body in the only way it can be read, or raise `Unreadable`.

    `max_depth` counts nested arrays and objects; `max_members` counts members, arrays and objects
    together. Codes: unreadable_json, duplicate_key, ambiguous_member, too_deep,
    too_many_members, number_out_of_range.
    """
    value = _load(body)
    vet(value, body, max_depth=max_depth, max_members=max_members)
    return value


def _load(body: bytes) -> Json:
    try:
        # Values are not cached: jiter's cache outlives the request, and they are content.
        value: Json = from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys")
    except ValueError as error:
        raise _refused(body, str(error)) from None
    return value


def vet(value: Json, body: bytes, *, max_depth: int = MAX_DEPTH, max_members: int = MAX_MEMBERS) -> None:
    """Refuse what jiter lets pass and other readers take differently; `body` is what was read."""
    _measure(value, max_depth, max_members)
    # Raw NUL bytes are no JSON, so a NUL in a name can only come from this escape. The first search
    # is a memchr: it spares megabytes of base64 the second one.
    if b"\\" in body and rb"\u0000" in body:
        _refuse_nul_names(value)


def _refused(body: bytes, said: str) -> Unreadable:
    """Word jiter's refusal. Only a member's name is ever quoted, and never a value."""
    what, _, place = said.rpartition(" at ")
    if what.startswith("Detected duplicate key "):
        name = what.removeprefix("Detected duplicate key ").strip('"')[:_NAME_SHOWN]
        return Unreadable("duplicate_key", f'The member "{name}" stands twice in one object ({place}).')
    if what == "recursion limit exceeded":
        return Unreadable("too_deep", "The body is nested too deeply.")
    if what == "number out of range":
        return _overflow()
    if not body.strip(b" \t\r\n"):
        return Unreadable("unreadable_json", "The body is empty; it must be a JSON object.")
    for mark, words in _ENCODINGS:
        if body.startswith(mark):
            return Unreadable("unreadable_json", f"The body {words}; send plain UTF-8 JSON.")
    return Unreadable("unreadable_json", f"The body is not one valid JSON text: {what} at {place}.")


def _overflow() -> Unreadable:
    return Unreadable("number_out_of_range", "A number in the body is too large for a 64-bit float.")


def _measure(root: Json, max_depth: int, max_members: int) -> None:
    """Go down level by level, so that depth costs no recursion, and count what is met."""
    level = _below([[root]])
    depth = count = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise Unreadable("too_deep", f"The body is nested deeper than {max_depth} levels.")
        count += len(level)
        for node in level:
            if isinstance(node, dict):
                count += len(node)
        if count > max_members:
            raise Unreadable("too_many_members", f"The body has more than {max_members} members.")
        level = _below(level)


def _below(level: list[Container]) -> list[Container]:
    """The arrays and objects one level further down; a number that no double holds is refused."""
    found: list[Container] = []
    for node in level:
        if isinstance(node, dict):
            values: Iterable[Json] = node.values()
        else:
            values = node if len(node) < _LONG else _narrowed(node)
        for value in values:
            if isinstance(value, str):
                continue
            if isinstance(value, _CONTAINERS):
                found.append(value)
            elif value is not None and not -DOUBLE_MAX <= value <= DOUBLE_MAX:
                raise _overflow()
    return found


def _narrowed(values: list[Any]) -> Iterable[Json]:
    """Two numbers that speak for a long array of them: embedding inputs hold a hundred thousand."""
    if set(map(type, values)) <= {int, float}:
        return (min(values), max(values))
    return values


def _refuse_nul_names(root: Json) -> None:
    """Readers that end strings at NUL would take such a name for a shorter one."""
    nodes: list[Json] = [root]
    while nodes:
        node = nodes.pop()
        if type(node) is dict:
            if any("\0" in name for name in node):
                raise Unreadable("ambiguous_member", "A member's name holds a NUL character.")
            nodes.extend(node.values())
        elif type(node) is list:
            nodes.extend(node)
