"""the files of `tables/members/`, compiled into what `members.py` reads bodies by"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from proxy.core.errors import Mistake
from proxy.core.json_path import snake
from proxy.core.members import FINE, ITEMS, KINDS_IN_WORDS, OBJECT, TEXT, MemberTables, Shape, Slot, fold
from proxy.core.values import Json

CLASSES = ("content", "neutral", "effect", "reference", "routing")
"""What a member is: `effect` has rows in the effect tables, `reference` names a model and is read by
the dialect, `routing` can change who serves and no rule judges it, so it is refused."""

_SCALARS: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}


def compile_members(*files: Json) -> MemberTables:
    """Compile the parsed files of `tables/members/`; raises `Mistake` for what they get wrong."""
    tables: dict[str, Shape] = {}
    for file in files:
        top = _expect(file, dict, "a member table file")
        shapes = _Compiler(_expect(top.get("shapes"), dict, "shapes"), top.get("spelling") == "proto")
        for name, written in _expect(top.get("tables"), dict, "tables").items():
            if name in tables:
                raise Mistake(f"the member table {name} is there twice")
            about = _expect(written, dict, name)
            group = _expect(top.get("groups", {}), dict, "groups").get(str(about.get("with")), {})
            tables[name] = shapes.root(_expect(about.get("root"), str, f"{name}.root"), group)
    return MemberTables(tables)


T = TypeVar("T")


def _expect(value: Json, kind: type[T], where: str) -> T:
    if not isinstance(value, kind):
        raise Mistake(f"{where} must be a {kind.__name__}")
    return value


class _Compiler:
    """Compiles the shapes of one file, each once, so that recursive ones end in themselves."""

    def __init__(self, written: Mapping[str, Json], both_spellings: bool) -> None:
        self._written = written
        self._both_spellings = both_spellings
        self._done: dict[str, Shape] = {}

    def root(self, name: str, group: Json) -> Shape:
        shape = self.shape(name)
        for member, text in _members({"added": group}, name).items():
            shape.slots[member] = self._slot(text, None, f"{name}.{member}")
            shape.folded[fold(member)] = member
        return shape

    def shape(self, name: str) -> Shape:
        if name in self._done:
            return self._done[name]
        if name not in self._written:
            raise Mistake(f"no shape is called {name}")
        shape = self._done[name] = Shape(name)
        written = _expect(self._written[name], dict, name)
        values = _values(written, name)
        for member, text in _members(written, name).items():
            shape.slots[member] = self._slot(text, values.get(member), f"{name}.{member}")
        for member in list(shape.slots):
            shape.folded[fold(member)] = member
            second = snake(member)
            if self._both_spellings and second != member:
                shape.slots[second] = shape.slots[member]
                shape.twins[second] = member
        return shape

    def _slot(self, text: str, values: frozenset[str] | None, where: str) -> Slot:
        judgement, _, kinds = text.partition(" ")
        if judgement not in CLASSES:
            raise Mistake(f"{where} is not judged: {judgement} is none of {', '.join(CLASSES)}")
        if judgement == "routing":
            return Slot(judgement, "absent", {})
        return self._kinds(kinds.strip(), judgement, values, where)

    def _kinds(self, text: str, judgement: str, values: frozenset[str] | None, where: str) -> Slot:
        actions: dict[type, int] = {} if text.endswith("!") else {type(None): FINE}
        shape = item = rest = None
        for kind in _alternatives(text.removesuffix("!")):
            if kind == "open":
                actions.update(dict.fromkeys((*KINDS_IN_WORDS,), FINE))
            elif kind in _SCALARS:
                checked = values is not None and kind == "string"
                actions.update(dict.fromkeys(_SCALARS[kind], TEXT if checked else FINE))
            elif kind[0] + kind[-1] == "[]":
                actions[list], item = ITEMS, self._kinds(kind[1:-1], judgement, values, where)
            elif kind == "{open}":
                actions[dict] = FINE
            elif kind[0] + kind[-1] == "{}":
                actions[dict], rest = OBJECT, self._kinds(kind[1:-1], judgement, values, where)
            elif kind != "null":
                actions[dict], shape = OBJECT, self.shape(kind)
        if rest is not None:
            known = shape or Shape(where)
            shape = Shape(where, rest, known.slots, known.folded, known.twins)
        return Slot(judgement, _words(actions), actions, values, shape, item)


def _alternatives(text: str) -> list[str]:
    """Split at the bars that stand in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if "" in parts or depth:
        raise Mistake(f"'{text}' is no kind of value")
    return parts


def _members(written: Mapping[str, Json], name: str) -> dict[str, str]:
    members = {
        member: _expect(text, str, f"{name}.{member}")
        for member, text in _expect(written.get("members", {}), dict, f"{name}.members").items()
    }
    for member, about in _expect(written.get("added", {}), dict, f"{name}.added").items():
        where = f"{name}.{member}"
        members[member] = _expect(_expect(about, dict, where).get("is"), str, where)
        _expect(_expect(about, dict, where).get("where"), str, f"{where}.where")
    return members


def _values(written: Mapping[str, Json], name: str) -> dict[str, frozenset[str]]:
    values: dict[str, set[str]] = {}
    for member, known in _expect(written.get("values", {}), dict, f"{name}.values").items():
        values[member] = {_expect(value, str, f"{name}.{member}") for value in _expect(known, list, name)}
    for member, more in _expect(written.get("added_values", {}), dict, f"{name}.added_values").items():
        values.setdefault(member, set()).update(_expect(more, dict, f"{name}.{member}"))
    return {member: frozenset(known) for member, known in values.items()}


def _words(actions: Mapping[type, int]) -> str:
    words = dict.fromkeys(words for kind, words in KINDS_IN_WORDS.items() if kind in actions)
    if len(words) > 1:
        words.pop("null", None)
    return " or ".join(words)
