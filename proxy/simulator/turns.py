"""what a client asks and what the simulator answers, free of any dialect

A prompt may steer its own answer with markers in its last user text:
`[[say:TEXT]]`, `[[words:N]]`, `[[echo]]`, `[[tool]]`, `[[tool:NAME]]`, `[[tool:NAME {"a": 1}]]`,
and for the wire `[[pace:MS]]`, `[[lockstep:STREAM]]`, `[[fault:KIND name=value ...]]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jiter

_MARKER = re.compile(r"\[\[(say|words|echo|tool|pace|lockstep|fault)(?=:|\]\])")
_DEFAULT = "This answer was made by the Opper simulator; no model has read the question."
_MAX_WORDS = 1_000_000

Body = dict[str, Any]
"""A JSON object as the simulator reads it: lenient, like the API it stands for."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool that the client offers. `form` is `function`, `custom` (free text) or `local_shell`."""

    name: str
    schema: Body
    form: str = "function"
    namespace: str = ""
    description: str = ""

    @property
    def properties(self) -> Body:
        """The JSON Schema of each argument, by name."""
        found = self.schema.get("properties")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of an offered tool: `arguments` for functions, `text` for free-form tools."""

    tool: Offered
    arguments: Body
    text: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for a turn. `results` counts tool results since the last user text; `size` is bytes."""

    model: str
    text: str
    stream: bool
    body: Body
    tools: tuple[Offered, ...] = ()
    results: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """An answer: words, then calls of tools."""

    text: str
    calls: tuple[ToolCall, ...] = ()

    @property
    def pieces(self) -> tuple[str, ...]:
        """The text as a stream cuts it: word by word, spaces kept."""
        return tuple(re.findall(r"\s*\S+\s*$|\s*\S+", self.text))

    @property
    def tokens(self) -> int:
        """A stand-in for a tokenizer: one token per word, eight per call of a tool."""
        return len(self.pieces) + 8 * len(self.calls)


def markers(text: str) -> Iterator[tuple[str, str]]:
    """Name and argument of each marker, in order."""
    for found in _MARKER.finditer(text):
        if (argument := _argument(text, found.end())) is not None:
            yield found[1], argument.removeprefix(":").strip()


def _argument(text: str, start: int) -> str | None:
    """The text up to the marker's own end: JSON in an argument may hold `]]` too, but balanced."""
    end = text.find("]]", start)
    while end >= 0:
        argument = text[start:end]
        if all(argument.count(left) == argument.count(right) for left, right in ("[]", "{}")):
            return argument
        end = text.find("]]", end + 1)
    return None


def marker(text: str, name: str) -> str | None:
    """The argument of the first marker of that name, "" when it has none, None when it is absent."""
    return next((argument for each, argument in markers(text) if each == name), None)


def marked_turn(ask: Ask) -> Turn | None:
    """The answer that the prompt asks for by marker, if it does."""
    calls = tuple(_marked_calls(ask))
    if calls and ask.results == 0:
        return Turn("", calls)
    if calls:
        return Turn(f"Done, with {ask.results} tool result{'s' if ask.results != 1 else ''}.")
    if (words := marker(ask.text, "words")) is not None and words.isdigit():
        return Turn(" ".join(f"word{n}" for n in range(1, min(int(words), _MAX_WORDS) + 1)))
    if (said := marker(ask.text, "say")) is not None:
        return Turn(said)
    return Turn(ask.text) if marker(ask.text, "echo") is not None else None


def default_turn() -> Turn:
    """The answer to a prompt that asks for nothing in particular."""
    return Turn(_DEFAULT)


def example(schema: Body) -> Any:
    """A small value that a JSON Schema accepts, as far as types and required members go."""
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = next((each for each in kind if each != "null"), None) if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        return {name: example(properties.get(name) or {}) for name in schema.get("required") or ()}
    # Google writes its types in capitals.
    plain = {"string": "example", "integer": 1, "number": 1.5, "boolean": True, "array": []}
    return plain.get(str(kind).lower(), "example")


def _marked_calls(ask: Ask) -> Iterator[ToolCall]:
    for name, argument in markers(ask.text):
        if name != "tool" or not ask.tools:
            continue
        wanted, _, given = argument.partition(" ")
        tool = next((each for each in ask.tools if each.name == wanted), None)
        if tool is None and wanted:
            continue
        tool = tool or ask.tools[0]
        if tool.form == "custom":
            yield ToolCall(tool, {}, given or "example")
        else:
            yield ToolCall(tool, _arguments(given) or example({"type": "object", **tool.schema}))


def _arguments(text: str) -> Body | None:
    if not text.strip():
        return None
    try:
        read = jiter.from_json(text.encode())
    except ValueError:
        return None
    return read if isinstance(read, dict) else None
