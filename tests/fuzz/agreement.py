"""Whether six lenient readers see, in bytes that we would forward, what we judged and nothing else.

A body is flattened to the scalars at its closed places, names folded as the most lenient reader
folds them. Open subtrees (tool schemas, tool inputs, metadata) are left out: nothing there is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.core.members import MemberTables, Shape, Slot
from proxy.core.values import Json
from tests.bypass.readers import SIX, Reader, Unread, folded

Flat = dict[str, Any]


def flat(shape: Shape, body: Json) -> Flat:
    """Every judged scalar of a body by its folded path."""
    return dict(_object(shape, body, ""))


def _object(shape: Shape, node: Any, at: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield at, node
        return
    slots = {folded(name): slot for name, slot in shape.slots.items()}
    for name, value in node.items():
        yield from _place(slots.get(folded(name), shape.rest), value, f"{at}.{folded(name)}")


def _place(slot: Slot | None, value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        if slot is None or slot.shape is not None:
            yield at, "{}"
            yield from _object(slot.shape if slot and slot.shape else Shape("unknown"), value, at)
    elif isinstance(value, list):
        if slot is None or slot.item is not None:
            yield at, f"[{len(value)}]"
            for index, below in enumerate(value):
                yield from _place(slot.item if slot else None, below, f"{at}[{index}]")
    else:
        yield at, (type(value).__name__, value)


def disagreements(tables: MemberTables, name: str, ours: Json, sent: bytes) -> list[str]:
    """Where a reader of the bytes sees something else than we did, in words."""
    shape = tables.table(name)
    judged = flat(shape, ours)
    return [words for reader in SIX for words in _between(reader, shape, judged, sent)]


def _between(reader: Reader, shape: Shape, judged: Flat, sent: bytes) -> Iterator[str]:
    try:
        seen = flat(shape, reader(sent))
    except Unread:
        yield f"{reader.__name__} cannot read what we would forward"
        return
    for at in sorted(judged.keys() | seen.keys()):
        if judged.get(at) != seen.get(at):
            yield f"{reader.__name__} sees something else at {at}"
