"""which members a body may have at every depth, and what each is, by tables that `member_rows.py` compiles

A table is closed: a member that it does not name is reported, a value of a kind that it does not
name is refused, so that nothing below a known member escapes judgement. Subtrees marked `open`
(tool schemas, tool inputs, metadata) take anything. Tables are compiled once; reading a body builds
no object for what is in order.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from proxy.core.errors import Unreadable
from proxy.core.values import Json, Pointer

FINE, TEXT, OBJECT, ITEMS = range(4)
"""What has to be done with a value of a kind: nothing, or to look at its words, its members, its items."""
KINDS_IN_WORDS: Mapping[type, str] = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
    list: "an array",
    dict: "an object",
}


class Mark(Enum):
    """What a value of a kind that may stand there still has to be looked at for."""

    NUMBER = "number"
    OPEN = "open"


NUMBER: Final = Mark.NUMBER
OPEN: Final = Mark.OPEN
Target: TypeAlias = "Mark | frozenset[str] | Shape | Slot | None"


@dataclass(frozen=True, slots=True)
class Members:
    """What a reading found: where members stand that the table does not know, outermost first."""

    unknown: tuple[Pointer, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """What may stand in one place: an action per Python type; a type without one is refused."""

    judgement: str
    words: str
    actions: dict[type, int]
    values: frozenset[str] | None = None
    shape: Shape | None = None
    item: Slot | None = None
    targets: dict[type, Target] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What has to be looked at next, by type and without a detour: None is for nothing."""

    def __post_init__(self) -> None:
        for kind, action in self.actions.items():
            self.targets[kind] = self._target(kind, action)

    def _target(self, kind: type, action: int) -> Target:
        if action != FINE:
            return {TEXT: self.values, OBJECT: self.shape, ITEMS: self.item}[action]
        return OPEN if kind in (dict, list) else NUMBER if kind in (int, float) else None


@dataclass(frozen=True, slots=True)
class Shape:
    """A closed object. `folded` finds the known name that a strange one resembles.

    `twins` maps a second spelling to the first, where an API takes both. `rest` is what any other
    member may be, where names are free.
    """

    name: str
    rest: Slot | None = None
    slots: dict[str, Slot] = field(default_factory=dict, repr=False)
    folded: dict[str, str] = field(default_factory=dict, repr=False)
    twins: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class MemberTables:
    """Every table by its name, such as `openai.chat`."""

    tables: Mapping[str, Shape]

    def table(self, name: str) -> Shape:
        """The table of that name; KeyError when there is none, which is a fault of ours."""
        return self.tables[name]

    def read(self, name: str, body: Json) -> Members:
        """Read a body by the table of that name; see `read_members`."""
        return read_members(self.tables[name], body)

    def names(self) -> frozenset[str]:
        """Every member's name in any table: what is none of these, a sender made up."""
        waiting = list(self.tables.values())
        seen: dict[int, Shape] = {}
        while waiting:
            shape = waiting.pop()
            if id(shape) not in seen:
                seen[id(shape)] = shape
                waiting += [below for slot in (*shape.slots.values(), shape.rest) for below in _shapes(slot)]
        return frozenset(name for shape in seen.values() for name in shape.slots)


def _shapes(slot: Slot | None) -> Iterator[Shape]:
    while slot is not None:
        if slot.shape is not None:
            yield slot.shape
        slot = slot.item


# -- reading ---------------------------------------------------------------------------------------


def read_members(table: Shape, body: Json) -> Members:
    """Hold a body against its table and tell which of its members are unknown.

    Raises `Unreadable`: wrong_type; unknown_value for a text that decides about data and is not in
    the table; ambiguous_member for a name that other readers take for a known one, or for two
    spellings of one member; routing_member.
    """
    if not isinstance(body, dict):
        raise Unreadable("wrong_type", "The body must be a JSON object.")
    unknown: list[Pointer] = []
    _object(table, body, (), unknown)
    return Members(tuple(unknown))


def _object(shape: Shape, node: dict[str, Json], at: Pointer, unknown: list[Pointer]) -> None:
    slots = shape.slots
    for name, value in node.items():
        slot = slots.get(name) or shape.rest
        if slot is None:
            _refuse_lookalike(shape, name, at)
            unknown.append((*at, name))
        elif (action := slot.actions.get(type(value))) != FINE:
            _look(slot, action, value, (*at, name), unknown)
    if shape.twins and not shape.twins.keys().isdisjoint(node):
        _refuse_twins(shape, node, at)
    if shape.rest is not None and len(set(map(fold, node))) < len(node):
        detail = f"Two members of {spelled(at)} differ in case or signs only, which some readers ignore."
        raise Unreadable("ambiguous_member", detail, param=spelled(at))


def _look(slot: Slot, action: int | None, value: Json, at: Pointer, unknown: list[Pointer]) -> None:
    """Follow what is not in order by its type alone."""
    if action == OBJECT:
        assert slot.shape is not None
        assert isinstance(value, dict)
        _object(slot.shape, value, at, unknown)
    elif action == ITEMS:
        assert slot.item is not None
        assert isinstance(value, list)
        _items(slot.item, value, at, unknown)
    elif action == TEXT:
        assert slot.values is not None
        if value not in slot.values:
            raise _unknown_value(at)
    else:
        raise _refused(slot, value, at)


def _items(item: Slot, values: list[Json], at: Pointer, unknown: list[Pointer]) -> None:
    actions = item.actions
    if len(values) > 64 and all(actions.get(kind) == FINE for kind in set(map(type, values))):
        return
    for index, value in enumerate(values):
        if (action := actions.get(type(value))) != FINE:
            _look(item, action, value, (*at, index), unknown)


def spelled(at: Pointer) -> str:
    """A pointer as people write it: `messages[0].content`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
    return text.removeprefix(".")


def _refused(slot: Slot, value: Json, at: Pointer) -> Unreadable:
    where = spelled(at)
    if slot.judgement == "routing":
        detail = f"{where} can change who serves the request, and no rule judges it; leave it out."
        return Unreadable("routing_member", detail, param=where)
    got = KINDS_IN_WORDS[type(value)]
    return Unreadable("wrong_type", f"{where} must be {slot.words}, not {got}.", param=where)


def _unknown_value(at: Pointer) -> Unreadable:
    where = spelled(at)
    detail = f"{where} has a value that the proxy's tables do not know, so nobody has judged it."
    return Unreadable("unknown_value", detail, param=where)


def _refuse_lookalike(shape: Shape, name: str, at: Pointer) -> None:
    known = shape.folded.get(fold(name))
    if known is not None:
        where = spelled((*at, known))
        detail = f"A member is spelled almost like {where}; spell it exactly so, or leave it out."
        raise Unreadable("ambiguous_member", detail, param=where)


def _refuse_twins(shape: Shape, node: dict[str, Json], at: Pointer) -> None:
    for second, first in shape.twins.items():
        if second in node and first in node:
            where = spelled((*at, first))
            detail = f"{where} is there in two spellings, {first} and {second}; send one of them."
            raise Unreadable("ambiguous_member", detail, param=where)


def fold(name: str) -> str:
    """What is left of a name for the most lenient reader: letters and digits, without case.

    Go's decoder ignores case; others normalise, cut at NUL, or take `_` and `-` as nothing.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(filter(str.isalnum, plain))
