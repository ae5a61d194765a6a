"""the rows of the effect tables, compiled into one tree of path steps per endpoint

A row says where to look (`at`), what to ask there (`op`, `value`), which signals it raises and how
the feature is undone. The vocabulary of ops is closed (`effect_ops.py`): a row with another one does not
compile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from proxy.core.effect_ops import FACTS_ONLY, OF_ABSENCE, OPS, Holds
from proxy.core.errors import Mistake
from proxy.core.json_path import Deep, Every, Name, Path, Step, Where, parse_path, snake
from proxy.core.values import Json, Signal


@dataclass(frozen=True, slots=True)
class Undo:
    """How a feature is taken back: `target` is match, match_parent or a path of its own."""

    op: str
    target: str
    path: Path = ()
    value: Json = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the tables. `providers`, `not_providers` and `models` narrow it; empty and None mean any.

    `asks` is what a row about a model itself asks of its name, wherever that is written. `number` is its
    place in the tables. `roots` are the first members of its own paths, none where any may be: what is
    found elsewhere cannot be undone in its way.
    """

    id: str
    number: int
    feature: str
    signals: tuple[Signal, ...]
    providers: frozenset[str]
    not_providers: frozenset[str]
    models: re.Pattern[str] | None
    roots: frozenset[str]
    undo: tuple[Undo, ...]
    asks: Holds | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What one row asks of the value at the end of one of its paths."""

    row: Row
    holds: Holds


_THE_MODEL = ["$.model"]
Gap: TypeAlias = "tuple[tuple[tuple[str, ...], ...], tuple[str, ...], Question]"
"""A chain of names in every spelling, the same names where each has one, and what is asked there."""


@dataclass(slots=True)
class Node:
    """One step of the tree that an endpoint's rows share. `where` leads to the nodes in `choices`, and
    `unlike` to those of them that are for all other elements.

    `gaps` ask about members that may be missing: a chain of names below this node, each in every
    spelling that the API takes.
    """

    questions: list[Question] = field(default_factory=list)
    names: dict[str, Node] = field(default_factory=dict)
    every: Node | None = None
    where: dict[str, dict[str, list[Node]]] = field(default_factory=dict)
    unlike: list[tuple[Where, Node]] = field(default_factory=list)
    choices: dict[Where, Node] = field(default_factory=dict)
    deep: list[tuple[Path, Question]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    known: frozenset[str] = frozenset()
    only: bool = False
    """Whether named members are all that is asked about; told, like `known`, when the tree has grown."""

    def settle(self) -> None:
        """Tell what the walk asks of every node, from here on down."""
        self.known = frozenset(self.names)
        self.only = not (self.questions or self.every or self.choices or self.deep or self.gaps)
        for child in (*self.names.values(), *self.choices.values(), *filter(None, [self.every])):
            child.settle()


# -- compiling -------------------------------------------------------------------------------------


class Compiler:
    """Takes the parsed files one by one: `paths`, `rows`, and the `names` in paths are what came of them."""

    def __init__(self) -> None:
        self.paths: dict[tuple[str, str], Node] = {}
        self.rows: dict[str, Row] = {}
        self.names: set[str] = set()
        self._trees: dict[str, Node] = {}
        self._nested: dict[str, Mapping[str, Sequence[str]]] = {}
        self._both_spellings: set[str] = set()

    def take_endpoints(self, file: Mapping[str, Json]) -> None:
        """The endpoints that a file names, each with its paths and the places where rows apply too."""
        for name, about in _object(file.get("endpoints", {}), "endpoints").items():
            known = _object(about, name)
            tree = self._trees[name] = Node()
            for dialect in _texts(known.get("dialects"), f"{name}.dialects"):
                for path in (name, *_texts(known.get("paths"), f"{name}.paths")):
                    self.paths[dialect, path] = tree
            self._nested[name] = {
                prefix: _texts(more, prefix)
                for prefix, more in _object(known.get("nested", {}), f"{name}.nested").items()
            }
            if known.get("spelling") == "proto":
                self._both_spellings.add(name)

    def take_rows(self, file: Mapping[str, Json]) -> None:
        """The rows of a file; those of section `facts` are only checked."""
        sources = _object(file.get("sources", {}), "sources")
        for section in ("rows", "facts"):
            for row_id, written_row in _object(file.get(section, {}), section).items():
                about = _object(written_row, row_id)
                when = _object(about.get("when"), f"{row_id}.when")
                _check(row_id, about, when, sources)
                if section == "rows":
                    self._take(_row(row_id, about, len(self.rows)), about, when)
        for tree in self._trees.values():
            tree.settle()

    def _take(self, row: Row, about: Mapping[str, Json], when: Mapping[str, Json]) -> None:
        if row.id in self.rows:
            raise Mistake(f"the effect row {row.id} is there twice")
        op = str(when.get("op"))
        if op not in OPS:
            raise Mistake(f"{row.id}: no body can be asked for '{op}'")
        holds, places = OPS[op](when.get("value")), _texts(when.get("at"), f"{row.id}.at")
        if places == _THE_MODEL:
            if row.undo:
                raise Mistake(f"{row.id}: a model cannot be undone")
            # A model may stand in the path or among the fallbacks: it is asked by name, not by place.
            row, holds, places = replace(row, asks=holds), _always, ["$"]
        self.rows[row.id] = row
        question = Question(row, holds)
        for endpoint in _texts(about.get("endpoints"), f"{row.id}.endpoints"):
            if endpoint not in self._trees:
                raise Mistake(f"{row.id}: no endpoint is called {endpoint}")
            for text in places:
                for path in self._spread(text, endpoint):
                    self.names |= {name for step in path for name in _spellings(step)}
                    _plant(self._trees[endpoint], path, question, absent=op in OF_ABSENCE)

    def _spread(self, text: str, endpoint: str) -> Iterator[Path]:
        """A path, and the same one below every other place where such values stand."""
        texts = [text]
        for prefix, more in self._nested[endpoint].items():
            if text.startswith((f"{prefix}[", f"{prefix}.")):
                texts += [other + text.removeprefix(prefix) for other in more]
        for one in texts:
            path = parse_path(one)
            yield _spelled(path) if endpoint in self._both_spellings else path


def _spellings(step: Step) -> tuple[str, ...]:
    return step.spellings if isinstance(step, Name) else (step.name,) if isinstance(step, Deep) else ()


def _always(_: Json) -> bool:
    return True


def _spelled(path: Path) -> Path:
    """A path whose names are taken in camelCase and in snake_case."""
    return tuple(
        Name(tuple(dict.fromkeys((*step.spellings, *map(snake, step.spellings)))))
        if isinstance(step, Name)
        else step
        for step in path
    )


def _plant(node: Node, path: Path, question: Question, *, absent: bool) -> None:
    """Grow the tree along a path. A missing ancestor counts as missing only where no choice was made."""
    chosen = False
    for depth, step in enumerate(path):
        rest = path[depth:]
        if isinstance(step, Deep):
            node.deep.append((rest, question))
            return
        names = [one.spellings for one in rest if isinstance(one, Name)]
        if absent and len(names) == len(rest) and (not chosen or len(rest) == 1):
            only = tuple(name[0] for name in names) if all(len(name) == 1 for name in names) else ()
            node.gaps.append((tuple(names), only, question))
            return
        chosen = chosen or not isinstance(step, Name)
        node = _child(node, step)
    node.questions.append(question)


def _child(node: Node, step: Name | Every | Where) -> Node:
    if isinstance(step, Every):
        node.every = node.every or Node()
        return node.every
    if isinstance(step, Name):
        child = next((node.names[name] for name in step.spellings if name in node.names), Node())
        for name in step.spellings:
            node.names[name] = child
        return child
    if step not in node.choices:
        child = node.choices[step] = Node()
        if step.unlike:
            node.unlike.append((step, child))
            return child
        for text in step.texts:
            node.where.setdefault(step.field, {}).setdefault(text, []).append(child)
    return node.choices[step]


def _check(
    row_id: str, about: Mapping[str, Json], when: Mapping[str, Json], sources: Mapping[str, Json]
) -> None:
    if when.get("op") not in OPS and when.get("op") not in FACTS_ONLY:
        raise Mistake(f"{row_id}: no op is called '{when.get('op')}'")
    if not isinstance(about.get("feature"), str) or not isinstance(about.get("seen"), str):
        raise Mistake(f"{row_id} must say its feature and when its sources were seen")
    for source in _texts(about.get("sources"), f"{row_id}.sources"):
        if source not in sources:
            raise Mistake(f"{row_id}: no source of this file is called {source}")


def _row(row_id: str, about: Mapping[str, Json], number: int) -> Row:
    known = {signal.value for signal in Signal}
    signals = _texts(about.get("signals"), f"{row_id}.signals")
    if not signals or not known.issuperset(signals):
        raise Mistake(f"{row_id}: its signals must be some of {', '.join(sorted(known))}")
    models = about.get("models")
    paths = [parse_path(text) for text in _texts(_object(about.get("when"), row_id).get("at"), row_id)]
    return Row(
        id=row_id,
        number=number,
        feature=str(about["feature"]),
        signals=tuple(Signal(signal) for signal in signals),
        providers=frozenset(_texts(about.get("providers", []), f"{row_id}.providers")),
        not_providers=frozenset(_texts(about.get("not_providers", []), f"{row_id}.not_providers")),
        models=re.compile(str(models)) if models is not None else None,
        roots=frozenset(name for path in paths for name in _first(path)),
        undo=tuple(_undos(row_id, about)),
    )


def _first(path: Path) -> Iterator[str]:
    for name in path[0].spellings if path and isinstance(path[0], Name) else ():
        yield from (name, snake(name))


def _undos(row_id: str, about: Mapping[str, Json]) -> Iterator[Undo]:
    for written_undo in _list(about.get("undo", []), f"{row_id}.undo"):
        undo = _object(written_undo, f"{row_id}.undo")
        op = next((op for op in ("set", "keep") if op in undo), "remove")
        if len({"set", "keep", "remove"} & undo.keys()) != 1 or (op != "remove") != ("to" in undo):
            raise Mistake(f"{row_id}: an undo is 'remove: WHAT', or 'set' or 'keep' with 'to: VALUE'")
        target = str(undo[op])
        path = () if target in ("match", "match_parent") else parse_path(target)
        yield Undo(op, target, path, undo.get("to"))


def _object(value: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise Mistake(f"{where} must be an object")
    return value


def _list(value: Json, where: str) -> Sequence[Json]:
    if not isinstance(value, list):
        raise Mistake(f"{where} must be a list")
    return value


def _texts(value: Json, where: str) -> Sequence[str]:
    return [str(item) for item in _list(value, where)]
