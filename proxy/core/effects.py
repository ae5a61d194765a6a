"""compiled tables: what a request's features do to data

All rows of an endpoint share one tree of path steps, so that a body is walked once, and only along
members that some row asks about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from proxy.core.effect_rows import Compiler, Node, Row, Undo
from proxy.core.errors import Mistake
from proxy.core.json_path import Name, select, written
from proxy.core.removals import removals
from proxy.core.values import Edit, Effect, Json, Pointer

Found: TypeAlias = "dict[str, tuple[Row, list[Pointer]]]"


@dataclass(frozen=True, slots=True)
class EffectTable:
    """The rows of every endpoint, by dialect and path. An endpoint is found by each of its paths and
    by the name of its member table."""

    endpoints: Mapping[tuple[str, str], Node]
    rows: Mapping[str, Row]

    def find(self, dialect: str, path: str, body: Json, *, model: str = "") -> tuple[Effect, ...]:
        """Every feature that a body has, in the order of the tables.

        `path` is a path template or a member table's name; one that no table knows is a fault of
        ours and raises KeyError. `model` is the model of the path where the body names none. A pin
        (`provider/model`) also brings in the rows of its provider alone.
        """
        found: Found = {}
        _walk(self.endpoints[dialect, path], body, (), found)
        if not found:
            return ()
        named = body.get("model") if isinstance(body, dict) else None
        provider, _, tail = (named if isinstance(named, str) else model).rpartition("/")
        provider = provider.partition("/")[0]
        rows = [pair for pair in found.values() if _applies(pair[0], provider, tail)]
        rows.sort(key=_order)
        return tuple(_effect(row, pointers, body) for row, pointers in rows)


def _order(pair: tuple[Row, list[Pointer]]) -> int:
    return pair[0].number


def _applies(row: Row, provider: str, tail: str) -> bool:
    if provider in row.not_providers or (row.providers and provider not in row.providers):
        return False
    return row.models is None or row.models.search(tail) is not None


def _effect(row: Row, pointers: Sequence[Pointer], body: Json) -> Effect:
    return Effect(row.id, row.signals, written(pointers[0]), row.feature, _edits(row, pointers, body))


# -- the walk --------------------------------------------------------------------------------------


def _walk(node: Node, value: Json, at: Pointer, found: Found) -> None:
    for question in node.questions:
        if question.holds(value):
            _note(question.row, at, found)
    if isinstance(value, dict):
        if node.names:
            known = node.names.get
            for name, below in value.items():
                if (next_node := known(name)) is not None:
                    _walk(next_node, below, (*at, name), found)
        if node.gaps or node.deep:
            _look_around(node, value, at, found)
        if node.every is not None or node.where:
            for name, below in value.items():
                _walk_child(node, below, (*at, name), found)
    elif isinstance(value, list) and (node.every is not None or node.where):
        for index, below in enumerate(value):
            _walk_child(node, below, (*at, index), found)


def _walk_child(node: Node, value: Json, at: Pointer, found: Found) -> None:
    if node.every is not None:
        _walk(node.every, value, at, found)
    for name, by_text in node.where.items():
        text = (value.get(name) if isinstance(value, dict) else None) if name else value
        if isinstance(text, str):
            for next_node in by_text.get(text, ()):
                _walk(next_node, value, at, found)


def _look_around(node: Node, value: dict[str, Json], at: Pointer, found: Found) -> None:
    """Members that may be missing, and members at any depth."""
    for chain, names, question in node.gaps:
        names = names or _chosen(value, chain)
        if question.holds(_reach(value, names)):
            _note(question.row, (*at, *names), found)
    for path, question in node.deep:
        for pointer in select(path, value, at):
            if question.holds(_at(value, pointer[len(at) :])):
                _note(question.row, pointer, found)


def _note(row: Row, at: Pointer, found: Found) -> None:
    if row.id in found:
        found[row.id][1].append(at)
    else:
        found[row.id] = (row, [at])


def _chosen(value: Json, chain: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The names of a chain as this body spells them."""
    names = tuple(spellings[0] for spellings in chain)
    for depth, spellings in enumerate(chain):
        if len(spellings) > 1:
            above = _reach(value, names[:depth])
            chosen = next(
                (name for name in spellings if isinstance(above, dict) and name in above), names[depth]
            )
            names = (*names[:depth], chosen, *names[depth + 1 :])
    return names


def _reach(value: Json, names: Sequence[str]) -> Json:
    """The value at the end of a chain of names; None when any of them is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _at(value: Json, pointer: Pointer) -> Json:
    for step in pointer:
        value = value[step]  # type: ignore[index]
    return value


# -- taking a feature back -------------------------------------------------------------------------


def _edits(row: Row, pointers: Sequence[Pointer], body: Json) -> tuple[Edit, ...]:
    """The edits that undo every match, or none at all when one of them cannot be undone."""
    removed: list[Pointer] = []
    edits: list[Edit] = []
    if row.roots and any(pointer[0] not in row.roots for pointer in pointers):
        return ()
    for undo in row.undo:
        for target in dict.fromkeys(_targets(undo, pointers, body)):
            if undo.op == "remove":
                removed.append(target)
            else:
                edits.append(_set(body, target, undo.value))
    if removed:
        edits += [Edit(pointer, "remove") for pointer in removals(body, removed)]
    return tuple(edits)


def _targets(undo: Undo, pointers: Sequence[Pointer], body: Json) -> Iterator[Pointer]:
    if undo.target == "match":
        yield from pointers
    elif undo.target == "match_parent":
        yield from (pointer[:-1] for pointer in pointers)
    else:
        found = list(select(undo.path, body))
        names = [step.spellings[0] for step in undo.path if isinstance(step, Name)]
        missing = not found and undo.op == "set" and len(names) == len(undo.path)
        yield from [tuple(names)] if missing else found


def _set(body: Json, target: Pointer, value: Json) -> Edit:
    """Set what stands at a pointer; where an object on the way is missing, set that one instead."""
    node = body
    for depth, step in enumerate(target[:-1]):
        below = node[int(step)] if isinstance(node, list) else _reach(node, (str(step),))
        if below is None:
            for name in reversed(target[depth + 1 :]):
                value = {str(name): value}
            return Edit(target[: depth + 1], "set", value)
        node = below
    return Edit(target, "set", value)


def compile_effects(*files: Json) -> EffectTable:
    """Compile the parsed files of `tables/effects/`; raises `Mistake` for what they get wrong.

    A row of section `facts` describes what no body shows (keys, hosts, other paths); its op has to
    be in the vocabulary all the same.
    """
    parts = [file for file in files if isinstance(file, dict)]
    if len(parts) < len(files):
        raise Mistake("an effect table file must be an object")
    compiler = Compiler()
    for part in parts:
        compiler.take_endpoints(part)
    for part in parts:
        compiler.take_rows(part)
    return EffectTable(compiler.paths, compiler.rows)
