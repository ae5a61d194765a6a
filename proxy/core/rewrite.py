"""the edits that a decision orders (pin a route, store: false), and nothing else

Edits are spliced into the text: every byte outside an edited span stays as it came, so the spelling
of numbers, the order of members and the white space are the caller's own. All pointers name places
in the body as given, whatever else is edited beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from proxy.core.errors import Unreadable
from proxy.core.values import Edit, Json

# Possessive, so that a string of megabytes costs one pass and no backtracking stack.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+[{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}]+")
_SPACE = re.compile(rb"[ \t\r\n]*")


def _nested(levels: int) -> re.Pattern[bytes]:
    """A whole object or list that is nested no deeper than so many levels, in one match."""
    plain = rb'[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"'
    inner = plain
    for _ in range(levels):
        inner = plain + rb"|[{\[](?:" + inner + rb")*+[}\]]"
    return re.compile(rb"[{\[](?:" + inner + rb")*+[}\]]", re.DOTALL)


# Requests are rarely deeper; what is deeper is walked bracket by bracket.
_CONTAINER = _nested(10)

Splice: TypeAlias = tuple[int, int, bytes]
"""Start, end and what to put there."""


@dataclass(slots=True)
class _Node:
    """The edits at and below one place."""

    edit: Edit | None = None
    below: dict[str | int, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an object or element of a list: its name or index, its span, its value's start."""

    name: str | int
    start: int
    value: int
    end: int


def apply(body: bytes, edits: Sequence[Edit]) -> bytes:
    """Apply edits to a body that the strict reader has accepted, and keep every other byte.

    `set` creates or replaces (missing or null ancestors become objects), `remove` takes a member or
    element out and does nothing where there is none. Of two edits at one place the later counts; an
    edit below a replaced or removed place is void. Raises `Unreadable` (`wrong_type`) when a pointer
    leads through a value that has no such member.
    """
    if not edits:
        return body
    splices: list[Splice] = []
    _visit(body, _end(_SPACE, body, 0), _tree(edits), splices)
    pieces: list[bytes] = []
    place = 0
    for start, end, text in splices:
        pieces += (body[place:start], text)
        place = end
    return b"".join((*pieces, body[place:]))


def _tree(edits: Sequence[Edit]) -> _Node:
    root = _Node()
    for edit in edits:
        if edit.op not in ("set", "remove"):
            raise ValueError(f"no such edit: {edit.op}")
        if not edit.pointer:
            raise ValueError("an edit has to name a place inside the body")
        node = root
        for step in edit.pointer:
            node = node.below.setdefault(step, _Node())
        node.edit = edit
    return root


def _visit(body: bytes, start: int, node: _Node, splices: list[Splice]) -> None:
    """Collect the splices for one container, in order."""
    if body[start] not in b"{[":
        raise _no_such_place()
    found: set[str | int] = set()
    kept_end, run_start, end = -1, -1, start + 1
    for member in _members(body, start):
        end = member.end
        child = node.below.get(member.name)
        if child is not None:
            found.add(member.name)
            if child.edit is not None and child.edit.op == "remove":
                run_start = member.start if run_start < 0 else run_start
                continue
        if run_start >= 0:
            # A removed run ends where the next member that stays begins, and takes the commas along.
            splices.append((run_start, member.start, b""))
            run_start = -1
        kept_end = member.end
        if child is not None:
            _change(body, member, child, splices)
            if len(found) == len(node.below):
                return
    if run_start >= 0:
        splices.append((kept_end if kept_end >= 0 else run_start, end, b""))
    if missing := _missing(node, found, is_list=body[start] == 0x5B):
        splices.append((end, end, (b"," if kept_end >= 0 else b"") + b",".join(missing)))


def _missing(node: _Node, found: set[str | int], *, is_list: bool) -> list[bytes]:
    """The text of each member that has to be made."""
    made = []
    for name, child in node.below.items():
        if name in found or not _sets(child):
            continue
        if is_list or not isinstance(name, str):
            raise _no_such_place()
        made.append(_dump(name) + b":" + _dump(_built(child)))
    return made


def _change(body: bytes, member: _Member, child: _Node, splices: list[Splice]) -> None:
    if child.edit is not None:
        splices.append((member.value, member.end, _dump(child.edit.value)))
    elif body[member.value : member.end] == b"null":
        if _sets(child):
            splices.append((member.value, member.end, _dump(_built(child))))
    elif body[member.value] in b"{[":
        _visit(body, member.value, child, splices)
    elif _sets(child):
        raise _no_such_place()


def _sets(node: _Node) -> bool:
    if node.edit is not None:
        return node.edit.op == "set"
    return any(_sets(child) for child in node.below.values())


def _built(node: _Node) -> Json:
    """The value of a place that did not exist."""
    if node.edit is not None:
        return node.edit.value
    built: dict[str, Json] = {}
    for name, child in node.below.items():
        if _sets(child):
            if not isinstance(name, str):
                raise _no_such_place()
            built[name] = _built(child)
    return built


def _members(body: bytes, start: int) -> Iterator[_Member]:
    """Walk one object or list; values are skipped over, not read."""
    is_object, index = body[start] == 0x7B, 0
    name: str | int
    place = _after_space(body, start + 1)
    while body[place] not in b"}]":
        begin, name = place, index
        if is_object:
            close = _end(_STRING, body, place)
            name = orjson.loads(body[place:close])
            place = _after_space(body, _after_space(body, close) + 1)
        end = _skip(body, place)
        yield _Member(name, begin, place, end)
        index += 1
        place = _after_space(body, end)
        if body[place] == 0x2C:
            place = _after_space(body, place + 1)


def _after_space(body: bytes, place: int) -> int:
    return _end(_SPACE, body, place)


def _end(pattern: re.Pattern[bytes], body: bytes, place: int) -> int:
    """Where a token ends that is known to be there: what is rewritten was parsed before."""
    found = pattern.match(body, place)
    assert found is not None
    return found.end()


def _skip(body: bytes, place: int) -> int:
    """The position after the value that begins at `place`."""
    first = body[place]
    if first == 0x22:
        return _end(_STRING, body, place)
    if first not in b"{[":
        return _end(_SCALAR, body, place)
    if (whole := _CONTAINER.match(body, place)) is not None:
        return whole.end()
    depth = 0
    for token in _TO_BRACKET.finditer(body, place):
        depth += 1 if body[token.end() - 1] in b"{[" else -1
        if not depth:
            return token.end()
    raise ValueError("the body was not accepted by the strict reader")


def _dump(value: Json) -> bytes:
    return orjson.dumps(value)


def _no_such_place() -> Unreadable:
    return Unreadable("wrong_type", "A member of the body has another type than its place allows.")
