"""compiled tables: what a request's features do to data

All rows of an endpoint share one tree of path steps, so that a body is walked once, and only along
members that some row asks about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from proxy.core.effect_rows import Compiler, Node, Row, Undo
from proxy.core.errors import Mistake
from proxy.core.json_path import Name, select, written
from proxy.core.removals import removals
from proxy.core.values import Edit, Effect, Json, Pointer

Applying: TypeAlias = frozenset[int]
"""The numbers of the rows that apply to a model."""
Numbered: TypeAlias = tuple[int, Effect]
"""An effect with the number of its row."""
Hits: TypeAlias = "list[tuple[Row, Pointer]]"
"""Rows whose question was answered with yes, each with the place, in the order of the body."""

_CONTAINERS = frozenset((dict, list))
# Models are named by callers: what is remembered must not grow with what they invent.
_MOST_MODELS, _LONGEST_MODEL = 256, 128


@dataclass(frozen=True, slots=True)
class EffectTable:
    """The rows of every endpoint, by dialect and path. An endpoint is found by each of its paths and
    by the name of its member table. `names` are those that may be told of a place in a body."""

    endpoints: Mapping[tuple[str, str], Node]
    rows: Mapping[str, Row]
    names: frozenset[str]
    _applying: dict[str, Applying] = field(default_factory=dict, init=False, compare=False, repr=False)

    def find(
        self,
        dialect: str,
        path: str,
        body: Json,
        *,
        model: str = "",
        others: Sequence[tuple[str, Pointer]] = (),
    ) -> tuple[Effect, ...]:
        """Every feature that a body has, in the order of the tables.

        `path` is a path template or a member table's name; one that no table knows is a fault of
        ours and raises KeyError. `model` is the main model, that of the body where none is given;
        `others` are those that may serve in its stead, each with its place. A pin
        (`provider/model`) also brings in the rows of its provider alone.
        """
        tree, named = self.endpoints[dialect, path], _model_of(body)
        main = model or named
        may = self._applying_to(main)
        each = [(written(place), self._applying_to(reference)) for reference, place in others]
        hits = _walk(tree, body, may.union(*(rows for _, rows in each)) if each else may)
        if not hits:
            return ()
        at = "$.model" if named else ""
        found = [(row.number, self._effect(row, places, body, at)) for row, places in _by_row(hits)]
        return tuple([effect for _, effect in (_brought_in(found, main, may, each) if each else found)])

    def _effect(self, row: Row, pointers: Sequence[Pointer], body: Json, model_at: str) -> Effect:
        """What a row found. `model_at` is where the main model stands in the body, "" where it does not."""
        if row.asks is not None:
            return Effect(row.id, row.signals, model_at, row.feature)
        # Some objects take names of the sender's choosing, which are nobody else's business.
        names = self.names
        place = [step if step.__class__ is int or step in names else "*" for step in pointers[0]]
        return Effect(row.id, row.signals, written(tuple(place)), row.feature, _edits(row, pointers, body))

    def _applying_to(self, model: str) -> Applying:
        """The numbers of the rows that apply to a model; remembered, for most requests name one of a few."""
        known = self._applying.get(model)
        if known is None:
            provider, _, tail = model.rpartition("/")
            provider = provider.partition("/")[0]
            rows = [row for row in self.rows.values() if _applies(row, provider, tail)]
            known = frozenset([row.number for row in rows if row.asks is None or row.asks(model or None)])
            if len(self._applying) >= _MOST_MODELS:
                self._applying.clear()
            if len(model) <= _LONGEST_MODEL:
                self._applying[model] = known
        return known


def _applies(row: Row, provider: str, tail: str) -> bool:
    if provider in row.not_providers or (row.providers and provider not in row.providers):
        return False
    return row.models is None or row.models.search(tail) is not None


def _brought_in(
    found: Sequence[Numbered], main: str, may: Applying, each: Sequence[tuple[str, Applying]]
) -> Iterator[Numbered]:
    """The same features, those of the other models alone with what may still be done about them.

    What takes a feature back for one model would change the request for another, so it has to be done for
    the main model anyway. A main model that is yet to be pinned may turn out to need the same.
    """
    settled = "/" in main
    done = {_mark(edit) for number, effect in found if number in may for edit in effect.edits}
    for number, effect in found:
        brought = number not in may
        if brought and (not effect.edits or (settled and not done.issuperset(map(_mark, effect.edits)))):
            place = next(place for place, rows in each if number in rows)
            yield number, replace(effect, path=place, edits=())
        else:
            yield number, effect


def _model_of(body: Json) -> str:
    named = body.get("model") if isinstance(body, dict) else None
    return named if isinstance(named, str) else ""


def _mark(edit: Edit) -> tuple[Pointer, str, str]:
    # Values may be lists and objects, which have no hash.
    return edit.pointer, edit.op, repr(edit.value)


# -- the walk --------------------------------------------------------------------------------------
#
# Most bodies hold next to nothing that a row asks about. So a place is put together from its end, and
# only where something was found; what no question can reach is not entered.


def _walk(node: Node, value: Json, may: Applying) -> Hits:
    hits: Hits = []
    for question in node.questions:
        if question.row.number in may and question.holds(value):
            hits.append((question.row, ()))
    if isinstance(value, dict):
        if node.names and not node.known.isdisjoint(value):
            hits += _named(node, value, may)
        if node.gaps or node.deep:
            hits += _around(node, value, may)
        if node.every is not None or node.choices:
            hits += _each(node, value.items(), may)
    elif isinstance(value, list) and (node.every is not None or node.choices):
        hits += _each(node, enumerate(value), may)
    return hits


def _named(node: Node, value: dict[str, Json], may: Applying) -> Hits:
    hits: Hits = []
    names = node.names
    for name, below in value.items():
        child = names.get(name)
        # A text or number has nothing below it: where nobody asks about itself, it is passed over.
        if child is None or not (child.questions or below.__class__ in _CONTAINERS):
            continue
        if found := _walk(child, below, may):
            hits += _below(name, found)
    return hits


def _each(node: Node, children: Iterable[tuple[str | int, Json]], may: Applying) -> Hits:
    hits: Hits = []
    every, where = node.every, node.where
    for step, below in children:
        if every is not None and not (every.only and _is_dull(every, below)):
            hits += _below(step, _walk(every, below, may))
        for name, by_text in where.items():
            text = (below.get(name) if isinstance(below, dict) else None) if name else below
            if isinstance(text, str):
                for next_node in by_text.get(text, ()):
                    hits += _below(step, _walk(next_node, below, may))
        for choice, next_node in node.unlike:
            if choice.holds(below):
                hits += _below(step, _walk(next_node, below, may))
    return hits


def _is_dull(node: Node, value: Json) -> bool:
    """Whether nothing can be found below a node that leads to named members only."""
    if not isinstance(value, dict):
        return True
    for name, child in node.names.items():
        if name in value and (child.questions or value[name].__class__ in _CONTAINERS):
            return False
    return True


def _below(step: str | int, hits: Hits) -> Hits:
    return [(row, (step, *at)) for row, at in hits] if hits else hits


def _around(node: Node, value: dict[str, Json], may: Applying) -> Hits:
    """Members that may be missing, and members at any depth."""
    hits: Hits = []
    for chain, names, question in node.gaps:
        if question.row.number in may:
            names = names or _chosen(value, chain)
            if question.holds(_reach(value, names)):
                hits.append((question.row, names))
    for path, question in node.deep:
        if question.row.number in may:
            found = [at for at in select(path, value) if question.holds(_at(value, at))]
            hits += [(question.row, at) for at in found]
    return hits


def _by_row(hits: Hits) -> list[tuple[Row, list[Pointer]]]:
    """The places of each row, in the order of the tables."""
    found: dict[int, tuple[Row, list[Pointer]]] = {}
    for row, at in hits:
        found.setdefault(row.number, (row, []))[1].append(at)
    return [found[number] for number in sorted(found)]


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
    # The walk that made the pointer came this way, so each step is there.
    found: Any = value
    for step in pointer:
        found = found[step]
    reached: Json = found
    return reached


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
            elif undo.op == "keep":
                edits.append(Edit(target, "keep", undo.value))
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


def compile_effects(*files: Json, names: Iterable[str] = ()) -> EffectTable:
    """Compile the parsed files of `tables/effects/`; raises `Mistake` for what they get wrong.

    `names` are further members that may be told of a place, besides those in the rows' own paths.

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
    return EffectTable(compiler.paths, compiler.rows, frozenset(compiler.names.union(names)))
