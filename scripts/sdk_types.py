"""what the vendors' SDK classes say may stand in a body: members, kinds and literal values"""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import typing_extensions
from pydantic import BaseModel

SCALARS: Mapping[Any, str] = {
    str: "string",
    bytes: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
"""`null` is not written: it is admitted for every member but those marked `!`."""
TEXTS = ("datetime", "date", "PathLike", "IOBase", "Omit")
KINDS = ("string", "number", "boolean", "open")


@dataclass
class Site:
    """What may stand at one place, gathered over every type that may stand there.

    `literals` is None as soon as any text may stand there.
    """

    scalars: set[str] = field(default_factory=set)
    literals: set[str] | None = field(default_factory=set)
    classes: set[type] = field(default_factory=set)
    items: list[Any] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)

    def add(self, hint: Any) -> None:
        """Take in one annotation. What no JSON can carry (callables, sessions) adds nothing."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is not None:
            self._add_generic(origin, arguments)
        elif hasattr(hint, "__value__"):
            self.add(hint.__value__)
        elif hint in SCALARS:
            self.scalars.add(SCALARS[hint])
            self.literals = None if hint in (str, bytes) else self.literals
        elif hint in (Any, object, dict, BaseModel):
            self.scalars.add("open")
        elif _is_free(hint):
            self.entries.append(Any)
        elif _is_shape(hint):
            if not hint.__name__.startswith("Unknown"):  # what an SDK makes of replies it cannot read
                self.classes.add(hint)
        elif inspect.isclass(hint) and issubclass(hint, str):
            self._add_enum(hint)
        elif getattr(hint, "__name__", "") in TEXTS:
            self.scalars.add("string")
            self.literals = None

    def _add_generic(self, origin: Any, arguments: tuple[Any, ...]) -> None:
        if origin in (typing.Union, types.UnionType):
            for argument in arguments:
                self.add(argument)
        elif origin in (typing.Literal, typing_extensions.Literal):
            for value in arguments:
                self._add_literal(value)
        elif origin in (typing.Annotated, typing_extensions.Required, typing_extensions.NotRequired):
            self.add(arguments[0])
        elif inspect.isclass(origin) and issubclass(origin, Mapping):
            self.entries.append(arguments[1])
        elif origin is tuple:  # a file with its name and type: in JSON it stands as text
            self.add(str)
        elif inspect.isclass(origin) and (issubclass(origin, Iterable) or "Sequence" in origin.__name__):
            self.items.append(arguments[0])

    def _add_literal(self, value: object) -> None:
        self.scalars.add(SCALARS[type(value)])
        if isinstance(value, str) and self.literals is not None:
            self.literals.add(value)

    def _add_enum(self, hint: type) -> None:
        members: Mapping[str, Any] | None = getattr(hint, "__members__", None)
        self.scalars.add("string")
        if members is None:
            self.literals = None
        elif self.literals is not None:
            self.literals.update(member.value for member in members.values())


def _is_shape(hint: Any) -> bool:
    if typing_extensions.is_typeddict(hint):
        return True
    return inspect.isclass(hint) and issubclass(hint, BaseModel)


def _is_free(hint: Any) -> bool:
    """Speakeasy, which makes Google's interactions classes, writes a free object as an empty class."""
    return "._gaos." in getattr(hint, "__module__", "") and _is_shape(hint) and not members(hint)


def named(reference: str) -> Any:
    """The class or alias that `module:name` names."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def members(hint: type) -> dict[str, list[Any]]:
    """The members of one class under the names that go over the wire, with their annotations."""
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        return {_alias(name, known): [known.annotation] for name, known in hint.model_fields.items()}
    hints = typing_extensions.get_type_hints(hint, include_extras=True)
    return {_typed_dict_alias(name, known): [known] for name, known in hints.items()}


def _alias(name: str, known: Any) -> str:
    return known.serialization_alias or known.alias or name


def _typed_dict_alias(name: str, hint: Any) -> str:
    """The OpenAI and Anthropic SDKs rename members by an annotation."""
    for extra in getattr(hint, "__metadata__", ()):
        alias = getattr(extra, "alias", None)
        if isinstance(alias, str):
            return alias
    inner = typing.get_args(hint)
    if typing.get_origin(hint) in (typing_extensions.Required, typing_extensions.NotRequired):
        return _typed_dict_alias(name, inner[0])
    return name.removesuffix("_")  # `schema_` and `filter_` only dodge Python's own words


# -- from classes to shapes ------------------------------------------------------------------------


@dataclass
class Found:
    """A shape as the SDKs have it: the classes that may stand there, and its members as places."""

    classes: tuple[str, ...]
    sites: dict[str, Site]
    kinds: dict[str, str] = field(default_factory=dict)


class Walk:
    """Names every place below the roots by the first path that leads to it, breadth first.

    Two places that take the same set of classes are one shape, which is what ends recursion.
    `is_open(shape, member)` cuts a subtree off; `also(shape)` names further classes.
    """

    def __init__(self, is_open: Callable[[str, str], bool], also: Callable[[str], Sequence[Any]]) -> None:
        self.shapes: dict[str, Found] = {}
        self.places: dict[str, set[type]] = {}
        self._names: dict[frozenset[type], str] = {}
        self._is_open = is_open
        self._also = also
        self._queue: list[tuple[str, frozenset[type]]] = []

    def root(self, name: str, classes: Iterable[Any]) -> None:
        """Start a shape that is a whole body."""
        self._shape(name, Site(classes=set(classes)))

    def run(self) -> dict[str, Found]:
        """Every shape that is reached, by name."""
        while self._queue:
            name, classes = self._queue.pop(0)
            sites: dict[str, Site] = {}
            for known in sorted(classes, key=_full_name):
                for member, hints in members(known).items():
                    for hint in hints:
                        sites.setdefault(member, Site()).add(hint)
            found = Found(tuple(sorted(map(_full_name, classes))), dict(sorted(sites.items())))
            self.shapes[name] = found
            for member, site in found.sites.items():
                is_open = self._is_open(name, member)
                found.kinds[member] = "open" if is_open else self._kinds(f"{name}.{member}", site)
        return self.shapes

    def _shape(self, path: str, site: Site) -> str:
        for hint in self._also(path):
            site.add(hint)
        classes = frozenset(site.classes)
        self.places.setdefault(path, set()).update(classes)
        if classes not in self._names:
            self._names[classes] = path
            self._queue.append((path, classes))
        return self._names[classes]

    def _kinds(self, path: str, site: Site) -> str:
        """What may stand at a place, in the tables' own notation."""
        kinds = [kind for kind in KINDS if kind in site.scalars]
        below = [self._below(path, "[%s]", site.items), self._below(path, "{%s}", site.entries)]
        if site.classes and "{open}" not in below:
            kinds.append(self._shape(path, site))
        kinds += filter(None, below)
        if "open" in kinds:
            return "open"
        return "|".join(kinds) or "null"

    def _below(self, path: str, form: str, hints: Sequence[Any]) -> str:
        site = Site()
        for hint in hints:
            site.add(hint)
        return form % self._kinds(path + "*", site) if hints else ""


def _full_name(known: type) -> str:
    return f"{known.__module__}:{known.__qualname__}"
