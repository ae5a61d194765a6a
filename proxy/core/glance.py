"""whether a body is in order at every depth, seen in one walk that remembers no places

Nearly every body is in order, and then neither its depth, its size nor its numbers need a walk of their
own beside that of its members. Yes means that `vet` and `read_members` have nothing to say of it. No
means nothing but that they have to be asked: a shape with free names, two spellings, anything unusual.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

from proxy.core.members import NUMBER, OPEN, Shape, Slot
from proxy.core.strict_json import DOUBLE_MAX, MAX_DEPTH, MAX_MEMBERS
from proxy.core.values import Json

# Where a value or a target is Any below: targets are keyed by the value's own type, so the one tells the
# other, and to ask again for mypy's sake would cost as much as the walk.
_NO: Final = -1
# A free subtree may start at one half of the depth and go down another half.
_HALF: Final = MAX_DEPTH // 2
_LONG: Final = 64
_NUMBERS: Final = frozenset((int, float))
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))


def in_order(table: Shape, body: dict[str, Json], source: bytes) -> bool:
    """Whether a body, as it was read from `source`, has nothing that has to be refused or reported."""
    free: list[dict[str, Json] | list[Json]] = []
    count = _object(table, body, 1, free)
    if count == _NO:
        return False
    objects: list[dict[str, Json]] = []
    for node in free:
        below = _free(node, 1, objects)
        if below == _NO:
            return False
        count += below
    # A NUL can only come from an escape, and only a free name can hold one: no table does.
    named = objects and b"\\" in source and "\0" in "".join(chain.from_iterable(objects))
    return not named and count <= MAX_MEMBERS


def _object(shape: Shape, node: dict[str, Any], depth: int, free: list[dict[str, Json] | list[Json]]) -> int:
    """How many members and containers there are from here on down, `_NO` when something is unusual.

    The loop is long because a call for each member would cost more than all it does.
    """
    if depth > _HALF or shape.rest is not None or (shape.twins and not shape.twins.keys().isdisjoint(node)):
        return _NO
    slots, count = shape.slots, 1 + len(node)
    for name, value in node.items():
        try:
            target: Any = slots[name].targets[type(value)]
        except KeyError:
            return _NO
        if target is None:
            continue
        kind = target.__class__
        if kind is frozenset:
            if value not in target:
                return _NO
            continue
        if kind is Shape:
            below = _object(target, value, depth + 1, free)
        else:
            below = _other(target, value, depth, free)
        if below == _NO:
            return _NO
        count += below
    return count


def _other(target: Any, value: Any, depth: int, free: list[dict[str, Json] | list[Json]]) -> int:
    if target is NUMBER:
        return 0 if -DOUBLE_MAX <= value <= DOUBLE_MAX else _NO
    if isinstance(target, Slot):
        return _items(target, value, depth + 1, free)
    if target is OPEN:
        free.append(value)
        return 0
    if isinstance(target, Shape):
        return _object(target, value, depth + 1, free)
    return 0 if value in target else _NO


def _items(item: Slot, values: list[Any], depth: int, free: list[dict[str, Json] | list[Json]]) -> int:
    if depth > _HALF:
        return _NO
    if len(values) > _LONG and (kinds := set(map(type, values))) <= _SCALARS:
        return 1 if _all_fine(item, values, kinds) else _NO
    targets, count = item.targets, 1
    for value in values:
        try:
            target: Any = targets[type(value)]
        except KeyError:
            return _NO
        if target is not None:
            if target.__class__ is Shape:
                below = _object(target, value, depth + 1, free)
            else:
                below = _other(target, value, depth, free)
            if below == _NO:
                return _NO
            count += below
    return count


def _all_fine(item: Slot, values: list[Any], kinds: set[type]) -> bool:
    """Whether a long array of texts, or of numbers, may stand there: two numbers speak for the rest."""
    if kinds <= _NUMBERS:
        fine = all(item.targets.get(kind) is NUMBER for kind in kinds)
        return fine and min(values) >= -DOUBLE_MAX and max(values) <= DOUBLE_MAX
    return all(kind in item.targets and item.targets[kind] is None for kind in kinds)


def _free(node: dict[str, Json] | list[Json], depth: int, objects: list[dict[str, Json]]) -> int:
    """The same count below a place where any member may stand; `objects` are those met on the way."""
    if depth > _HALF:
        return _NO
    values: Iterable[Any] = node
    count = 1
    if isinstance(node, dict):
        objects.append(node)
        values, count = node.values(), 1 + len(node)
    for value in values:
        kind = value.__class__
        if kind is str or kind is bool or value is None:
            continue
        if kind is dict or kind is list:
            below = _free(value, depth + 1, objects)
            if below == _NO:
                return _NO
            count += below
        elif not -DOUBLE_MAX <= value <= DOUBLE_MAX:
            return _NO
    return count
