"""Every place and value that the member tables admit, each as a body that holds little else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.core.members import Shape, Slot
from proxy.core.values import Json, Pointer

TEXTS = ("https://a.example/x", "data:image/png;base64,AA")
"""What stands for any text: a link, and what is no link."""
DEEPEST, MOST_OF_A_KIND = 9, 2
"""Where the walk ends: shapes below each other, and how many of them may be the same."""


@dataclass(frozen=True, slots=True)
class Place:
    """A member in a body: its shape and those around it, outermost first, each with where it stands."""

    at: Pointer
    slot: Slot
    around: tuple[tuple[Pointer, Shape], ...]

    @property
    def path(self) -> str:
        """The place as tables write it: `$.tools[*].type`."""
        return "$" + "".join("[*]" if isinstance(step, int) else f".{step}" for step in self.at)

    @property
    def name(self) -> str:
        """The member's name, with `[*]` for what stands in its list."""
        return self.path.rpartition(".")[2]

    def body(self, value: Json, types: Mapping[Pointer, Json] | None = None) -> Json:
        """The smallest body with a value here, and types at some objects around it."""
        return _built(self.at, value, types or {}, ())

    def values(self) -> Iterator[Json]:
        """Values that may stand here: every one that the table lists, else some of each kind."""
        for kind in self.slot.actions:
            if kind is str:
                yield from sorted(self.slot.values or TEXTS)
            elif kind is bool:
                yield from (True, False)
            elif kind is dict:
                yield {"a": "b"} if self.slot.shape is None else {}
            elif kind is list:
                yield []


def places(table: Shape) -> Iterator[Place]:
    """Every member that a table admits, at every depth."""
    yield from _members(table, (), ())


def _members(shape: Shape, at: Pointer, around: tuple[tuple[Pointer, Shape], ...]) -> Iterator[Place]:
    above = [other.name for _, other in around]
    if len(above) >= DEEPEST or above.count(shape.name) >= MOST_OF_A_KIND:
        return
    for name, slot in shape.slots.items():
        if name not in shape.twins and slot.judgement != "routing":
            yield from _below(slot, (*at, name), (*around, (at, shape)))
    if shape.rest is not None:
        yield from _below(shape.rest, (*at, "any"), (*around, (at, shape)))


def _below(slot: Slot, at: Pointer, around: tuple[tuple[Pointer, Shape], ...]) -> Iterator[Place]:
    yield Place(at, slot, around)
    if slot.shape is not None:
        yield from _members(slot.shape, at, around)
    if slot.item is not None:
        yield from _below(slot.item, (*at, 0), around)


def _built(rest: Pointer, value: Json, types: Mapping[Pointer, Json], done: Pointer) -> Json:
    if not rest:
        return value
    below = _built(rest[1:], value, types, (*done, rest[0]))
    if isinstance(rest[0], int):
        return [below]
    named = {"type": types[done]} if done in types else {}
    return {**named, rest[0]: below}
