"""one reading of a YAML file or none, with the place of every value

The files that people write here decide what may leave, so a file means one thing only: booleans are
`true` and `false` (YAML 1.2, https://yaml.org/spec/1.2.2/#103-core-schema), `NO` is a country,
nothing is octal or sexagesimal, no key stands twice, and anchors, aliases, merge keys and tags do
not exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from proxy.core.errors import Mistake, Mistakes
from proxy.core.values import Json, Pointer

MAX_BYTES = 1_000_000
MAX_DEPTH = 24
MAX_NODES = 100_000

Place: TypeAlias = tuple[int, int]
"""Line and column, counted from 1."""

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_OTHER_NUMBER = re.compile(
    r"[-+]?(0[0-9_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
    r"|[0-9][0-9_]*_[0-9_]*|\.(inf|Inf|INF|nan|NaN|NAN))"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NULLS = frozenset(["null", "~", ""])
_OLD_BOOLEANS = frozenset(["yes", "no", "on", "off", "y", "n", "true", "false"])


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data, and where each value stands in it. `places` also holds keys, by `key_place`."""

    data: Json
    places: Mapping[Pointer, Place]
    keys: Mapping[Pointer, Place]
    name: str

    def mistake(self, pointer: Pointer, message: str, *, at_key: bool = False) -> Mistake:
        """Build a mistake at the place of a pointer, or of the nearest thing around it."""
        table = self.keys if at_key else self.places
        place = table.get(pointer)
        while place is None and pointer:
            pointer = pointer[:-1]
            place = self.places.get(pointer)
        line, column = place or (1, 1)
        return Mistake(message, file=self.name, line=line, column=column)


def load(text: str | bytes, name: str) -> Document:
    """Read one YAML document strictly, or raise `Mistakes` with everything wrong in it.

    `name` is the file's name for messages. At most 1 MB, 24 levels and 100,000 values.
    """
    plain = _decode(text, name)
    try:
        _no_shorthand(plain, name)
        root = yaml.compose(plain, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise Mistakes([_syntax(error, name)]) from None
    except yaml.YAMLError as error:
        raise Mistakes([Mistake(f"not YAML: {error}", file=name, line=1, column=1)]) from None
    except RecursionError:
        raise Mistakes([Mistake("nested too deeply", file=name, line=1, column=1)]) from None
    reader = _Reader(name)
    data = reader.value(root, ()) if root is not None else None
    if reader.mistakes:
        raise Mistakes(reader.mistakes)
    return Document(data, reader.places, reader.keys, name)


def _decode(text: str | bytes, name: str) -> str:
    if len(text) > MAX_BYTES:
        raise Mistakes([Mistake(f"larger than {MAX_BYTES:,} bytes", file=name, line=1, column=1)])
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise Mistakes([Mistake("not UTF-8", file=name, line=line, column=1)]) from None


def _syntax(error: yaml.MarkedYAMLError, name: str) -> Mistake:
    mark = error.problem_mark or error.context_mark
    what = " ".join(part for part in (error.context, error.problem) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Mistake(f"not YAML: {what}", file=name, line=line, column=column)


def _no_shorthand(text: str, name: str) -> None:
    """Refuse, on the token stream, what the node tree no longer shows; bound depth and size too."""
    found: list[Mistake] = []
    depth = 0
    opening = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken,
               yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)  # fmt: skip
    closing = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
    for count, token in enumerate(yaml.scan(text, Loader=yaml.SafeLoader)):
        depth += isinstance(token, opening)
        depth -= isinstance(token, closing)
        problem = _SHORTHAND.get(type(token), "")
        if depth > MAX_DEPTH or count > MAX_NODES:
            problem = f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else "too many values"
        if problem:
            mark = token.start_mark
            found.append(Mistake(problem, file=name, line=mark.line + 1, column=mark.column + 1))
        if depth > MAX_DEPTH or count > MAX_NODES:
            break
    if found:
        raise Mistakes(found)


_SHORTHAND: Mapping[type[yaml.Token], str] = {
    yaml.AnchorToken: "anchors are not taken: write the value out where it is meant",
    yaml.AliasToken: "aliases are not taken: write the value out where it is meant",
    yaml.TagToken: "tags are not taken: write a plain value",
    yaml.DirectiveToken: "directives are not taken",
}


class _Reader:
    """Turns nodes into data, noting places and collecting every mistake."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.places: dict[Pointer, Place] = {}
        self.keys: dict[Pointer, Place] = {}
        self.mistakes: list[Mistake] = []

    def value(self, node: Node, pointer: Pointer) -> Json:
        self.places[pointer] = _place(node)
        if isinstance(node, MappingNode):
            return self._mapping(node, pointer)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*pointer, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, pointer: Pointer) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in found:
                line, _ = self.keys[(*pointer, key)]
                self._wrong(key_node, f"{key!r} stands twice; it stands first on line {line}")
                continue
            self.keys[(*pointer, key)] = _place(key_node)
            found[key] = self.value(value_node, (*pointer, key))
        return found

    def _key(self, node: Node) -> str | None:
        if not isinstance(node, ScalarNode):
            self._wrong(node, "a key must be plain text")
            return None
        if node.style is None and node.value == "<<":
            self._wrong(node, "merge keys are not taken: write the values out where they are meant")
            return None
        return self._text(node)

    def _text(self, node: ScalarNode) -> str:
        # An escape such as "\ud800" is no character: it has no bytes, so nothing could hash or show it.
        if _SURROGATE.search(node.value):
            self._wrong(node, "half of a surrogate pair is no character; write the character itself")
        return str(node.value)

    def _scalar(self, node: ScalarNode) -> Json:
        text = self._text(node)
        if node.style is not None:
            return text
        if text in ("true", "false"):
            return text == "true"
        if text in _NULLS:
            return None
        if _INT.fullmatch(text):
            return self._integer(node, text)
        if _FLOAT.fullmatch(text):
            return self._float(node, text)
        if _OTHER_NUMBER.fullmatch(text):
            self._wrong(
                node, f"{text} can be read as a number or as text; quote it, or write a decimal number"
            )
        elif text.casefold() in _OLD_BOOLEANS and text != text.upper():
            # Upper case stays text: NO is Norway. The others were booleans once, so nobody may guess.
            self._wrong(
                node, f"{text} can be read as true or false or as text; write true or false, or quote it"
            )
        return text

    def _integer(self, node: ScalarNode, text: str) -> Json:
        if len(text) > 16:
            self._wrong(node, "the number is too large; quote it if it is text")
            return 0
        return int(text)

    def _float(self, node: ScalarNode, text: str) -> Json:
        number = float(text)
        if number in (float("inf"), float("-inf")):
            self._wrong(node, "the number is too large; quote it if it is text")
        return number

    def _wrong(self, node: Node, message: str) -> None:
        line, column = _place(node)
        self.mistakes.append(Mistake(message, file=self._name, line=line, column=column))


def _place(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
