"""what has to go with a removed value, so that no empty husk stays behind

An API that takes `tools: [{...}]` refuses `tools: []`: an array or object that a removal empties is
removed as well. The body itself stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.core.values import Json, Pointer


def removals(body: Json, pointers: Iterable[Pointer]) -> tuple[Pointer, ...]:
    """The pointers to remove instead, in the order of the body, none of them inside another."""
    gone = set(pointers)
    while grown := _emptied(body, gone) - gone:
        gone |= grown
    outermost = [pointer for pointer in gone if not any(pointer[:end] in gone for end in range(len(pointer)))]
    return tuple(sorted(outermost, key=_order))


def _emptied(body: Json, gone: set[Pointer]) -> set[Pointer]:
    parents: dict[Pointer, int] = {}
    for pointer in gone:
        if len(pointer) > 1:
            parents[pointer[:-1]] = parents.get(pointer[:-1], 0) + 1
    return {parent for parent, count in parents.items() if _size(body, parent) == count}


def _size(body: Json, pointer: Pointer) -> int:
    for step in pointer:
        if isinstance(body, dict):
            body = body[str(step)]
        elif isinstance(body, list):
            body = body[int(step)]
    return len(body) if isinstance(body, list | dict) else 0


def _order(pointer: Pointer) -> tuple[tuple[bool, int, str], ...]:
    return tuple((isinstance(step, str), step if isinstance(step, int) else 0, str(step)) for step in pointer)
