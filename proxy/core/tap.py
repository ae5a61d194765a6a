"""incremental readers of a reply: usage and how it ended, without touching the bytes

A tap sees every chunk after it went out. It looks for a few byte strings and remembers the few lines
that hold them; nothing is parsed before the reply is over, and no reply can make a tap raise or grow.
An escaped quote ends `"usage\\"`, so a marker with both of its quotes never matches inside a string.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import orjson
from jiter import from_json

from proxy.core.usage import LONGEST_ID, usage_of
from proxy.core.values import Json, Usage

_LINE_LIMIT = 65_536
_HEAD, _TAIL = 4_096, 32_768
_BODY_LIMIT = 262_144


class Tap(Protocol):
    """What reads along. `complete` tells whether the protocol's own end was seen."""

    @property
    def complete(self) -> bool: ...

    def feed(self, chunk: bytes) -> None: ...

    def finish(self) -> Usage: ...


@dataclass(frozen=True, slots=True)
class Markers:
    """What to look for in one protocol's event stream.

    `usage` marks the lines that may say what the reply cost, `ends` those that may be the protocol's
    last event; `kinds` are the event types that prove it.
    """

    usage: tuple[bytes, ...]
    ends: tuple[bytes, ...]
    kinds: frozenset[str] = frozenset()


_DONE = b"[DONE]"
_RESPONSE_ENDS = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"')
_INTERACTION_ENDS = (b'"interaction.completed"', b'"interaction.complete"')

OPENAI_CHAT = Markers(usage=(b'"usage"',), ends=(_DONE,))
OPENAI_RESPONSES = Markers(
    usage=_RESPONSE_ENDS,
    ends=(*_RESPONSE_ENDS, _DONE),
    kinds=frozenset({"response.completed", "response.incomplete", "response.failed"}),
)
ANTHROPIC = Markers(
    usage=(b'"message_start"', b'"message_delta"'),
    ends=(b'"message_stop"',),
    kinds=frozenset({"message_stop"}),
)
GOOGLE = Markers(usage=(b'"usageMetadata"',), ends=(b'"finishReason"', b'"blockReason"'))
GOOGLE_INTERACTIONS = Markers(
    usage=_INTERACTION_ENDS,
    ends=_INTERACTION_ENDS,
    kinds=frozenset({"interaction.completed", "interaction.complete"}),
)


class EventTap:
    """Reads a stream of server-sent events line by line; a long line is kept by its two ends."""

    __slots__ = ("_first", "_last", "_line", "_markers", "_plain", "_start", "_watch", "complete")

    def __init__(self, markers: Markers) -> None:
        self.complete = False
        self._markers = markers
        self._watch = tuple(dict.fromkeys((*markers.usage, *markers.ends)))
        self._line = bytearray()
        self._first = self._start = self._last = b""
        self._plain: BodyTap | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the reply, cut wherever the network cut them."""
        if self._first:
            if not self._line and chunk.endswith(b"\n"):
                for mark in self._watch:
                    if mark in chunk:
                        break
                else:
                    return
        # A refusal answered as plain JSON begins with its brace, not with a field name.
        elif not self._line and self._plain is None and chunk.lstrip()[:1] == b"{":
            self._plain = BodyTap()
        if self._plain is not None:
            self._plain.feed(chunk)
        else:
            self._split(chunk)

    def finish(self) -> Usage:
        """What the reply said of its cost; call it once, when no more bytes will come."""
        if self._plain is not None:
            self.complete = self._plain.complete
            return self._plain.finish()
        if self._line:
            self._take(bytes(self._line))
            self._line.clear()
        return usage_of([_data(line) for line in (self._first, self._start, self._last)])

    def _split(self, chunk: bytes) -> None:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            if self._line:
                self._keep(line)
                line = bytes(self._line)
                self._line.clear()
            self._take(line)
        if rest:
            self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) > 2 * _LINE_LIMIT:
            del self._line[_HEAD : len(self._line) - _TAIL]

    def _take(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        if len(line) > 2 * _LINE_LIMIT:
            line = line[:_HEAD] + line[-_TAIL:]
        self._first = self._first or line
        if any(mark in line for mark in self._markers.usage) and b'"usage":null' not in line:
            self._start = self._start or line
            self._last = line
        if not self.complete and any(mark in line for mark in self._markers.ends):
            self.complete = _ends_stream(line, self._markers.kinds)


class BodyTap:
    """Reads a reply that is one JSON text: whole when it is short, by its two ends when it is long."""

    __slots__ = ("_body", "_cut")

    def __init__(self) -> None:
        self._body: bytes | bytearray = b""
        self._cut = False

    @property
    def complete(self) -> bool:
        """Whether the text ended as JSON objects end."""
        return self._body.rstrip(b" \t\r\n")[-1:] == b"}"

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the reply."""
        if not self._body:
            # Most replies are one chunk, which is kept as it is.
            self._body = chunk
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += chunk
        if len(self._body) > _BODY_LIMIT:
            self._body = bytearray(self._body[:_HEAD] + self._body[-_TAIL:])
            self._cut = True

    def finish(self) -> Usage:
        """What the reply said of its cost."""
        body = bytes(self._body)
        return usage_of([_ends(body) if self._cut else _read(body)])


def body_tap() -> Tap:
    """A tap for a reply that comes in one piece."""
    return BodyTap()


def event_tap(markers: Markers) -> Tap:
    """A tap for a reply that comes as server-sent events."""
    return EventTap(markers)


def _ends_stream(line: bytes, kinds: frozenset[str]) -> bool:
    """Whether a line that holds an end marker is the end: content may hold the same words."""
    text = _text(line)
    if text == _DONE:
        return True
    value = _read(text)
    if value is None:
        # Too long to have been kept whole: types stand at the beginning.
        return any(b'"%s"' % kind.encode("ascii") in text[:_HEAD] for kind in kinds)
    if not isinstance(value, dict):
        return False
    if (value.get("type") or value.get("event_type")) in kinds:
        return True
    return _google_end(value)


def _google_end(value: dict[str, Json]) -> bool:
    feedback, candidates = value.get("promptFeedback"), value.get("candidates")
    if isinstance(feedback, dict) and feedback.get("blockReason"):
        return True
    rows = candidates if isinstance(candidates, list) else []
    return any(isinstance(row, dict) and bool(row.get("finishReason")) for row in rows)


def _text(line: bytes) -> bytes:
    return line.removeprefix(b"data:").strip()


def _data(line: bytes) -> Json:
    text = _text(line)
    value = _read(text)
    return _ends(text) if value is None else value


def _read(text: bytes) -> Json:
    value: Json
    try:
        value = orjson.loads(text)
    except ValueError:
        # Some servers write NaN, which is no JSON, and say what the reply cost all the same.
        try:
            value = from_json(text, cache_mode="none")
        except ValueError:
            return None
    return value


def _ends(text: bytes) -> Json:
    """What the two ends of a long JSON text say: its id, and the last usage block in it."""
    found: dict[str, Json] = {}
    if (start := text.find(b'"id"', 0, _HEAD)) >= 0:
        found["id"] = _prefix(text[start + 4 : start + 4 + 2 * LONGEST_ID])
    for name in ("usage", "usageMetadata"):
        if (start := text.rfind(b'"%s"' % name.encode("ascii"))) >= 0:
            found[name] = _prefix(text[start + len(name) + 2 :])
    return found


def _prefix(text: bytes) -> Json:
    """The value behind a colon, with whatever follows it left alone."""
    text = text.lstrip(b" \t\r\n:")
    end = text.find(b'"', 1) + 1 if text[:1] == b'"' else _object_end(text)
    return _read(text[:end])


def _object_end(text: bytes) -> int:
    """Where an object closes that holds numbers and objects of numbers, as usage blocks do."""
    depth = 0
    for place, byte in enumerate(text[:_HEAD]):
        if byte == 0x7B:
            depth += 1
        elif byte == 0x7D:
            depth -= 1
            if depth == 0:
                return place + 1
    return 0
