"""where an answer of the gateway ends: its head, and its body by length, chunks or the connection's end

Most heads are cut (`plain.py`), chunks are read by `chunks.py`; other heads go through aiohttp's C response
parser. It is lenient, so what two readers could take differently is refused here before the parser sees it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Protocol, cast

from aiohttp import hdrs
from aiohttp.http import (
    HttpProcessingError,
    HttpResponseParser,
    HttpVersion,
    HttpVersion11,
    RawResponseMessage,
)

from proxy.chunks import Chunks, Unframed
from proxy.core.fields import Fields
from proxy.plain import ANSWER_LENGTH, Head, cut_answer

_LONGEST_HEAD = 65_536
_MOST_INTERIM = 8
_NEVER_FULL = 2**30
_END = b"\r\n\r\n"
# RFC 9112: no line before the status line, no bare CR or LF and no line folding (2.2, 5.2), and no other
# control character (RFC 9110, 5.5).
_UNSOUND = re.compile(rb"\A[\r\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n)|\n[ \t]")
_BODILESS = frozenset({204, 304})

_IDLE, _HEAD, _LENGTH, _CHUNKS, _TO_CLOSE, _DONE = range(6)


class Receiver(Protocol):
    """Who hears what an answer brings. `uplink.Uplink` satisfies it."""

    def headed(self) -> None:
        """The head has come."""

    def add(self, content: bytes) -> None:
        """A piece of the body has come."""

    def ended(self) -> None:
        """Every byte of the body has come."""

    def broken(self) -> None:
        """What came cannot be read in one way, or was not asked for."""


class Framing:
    """Reads one answer after another from the bytes of a connection: `expect`, `feed` until `done`, `rest`.

    `ends_by_closing` tells that only a closed connection ends the body: a cut looks like an end. `reusable`
    tells whether another answer can follow on the same connection.
    """

    __slots__ = (
        "_bodiless", "_chunks", "_interim", "_left", "_loop", "_partial", "_receiver", "_state",
        "ends_by_closing", "head", "reusable",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> None:
        self._loop = loop
        self._receiver = receiver
        self._state = _IDLE
        self._partial = b""
        self._interim = self._left = 0
        self._bodiless = False
        self._chunks = Chunks()
        self.head: Head | None = None
        self.reusable = False
        self.ends_by_closing = False

    @property
    def idle(self) -> bool:
        """Whether no answer is expected or under way."""
        return self._state == _IDLE

    @property
    def awaits_head(self) -> bool:
        """Whether an answer is expected and its head has not come whole."""
        return self._state == _HEAD

    @property
    def done(self) -> bool:
        """Whether every byte of the answer has come."""
        return self._state == _DONE

    def expect(self, *, bodiless: bool) -> None:
        """A request was sent; `bodiless` when its answer has no body whatever its head says (HEAD)."""
        self._state, self._bodiless, self._interim, self.head = _HEAD, bodiless, 0, None

    def rest(self) -> None:
        """The answer was read: expect none."""
        self._state, self.head = _IDLE, None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        state = self._state
        if state == _CHUNKS:
            self._take_chunks(data)
        elif state == _LENGTH:
            self._take_length(data)
        elif state == _HEAD:
            self._take_head(data)
        elif state == _TO_CLOSE:
            self._receiver.add(data)
        else:
            # Nobody asked for these bytes, and they must not become the beginning of the next answer.
            self._break()

    def close(self, *, cleanly: bool) -> None:
        """The connection is gone."""
        self.reusable = False
        if self._state == _TO_CLOSE and cleanly:
            self._end()
        elif self._state not in (_IDLE, _DONE):
            self._break()
        # It knows this object, and the collector of such rings comes seldom.
        del self._receiver

    # -- what aiohttp's stream asks of a protocol; no body goes there ------------------------------

    def pause_reading(self) -> None:
        """Nothing: the stream stays empty."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing: the stream stays empty."""

    # -- heads -----------------------------------------------------------------------------------

    def _take_head(self, data: bytes) -> None:
        if not (self._partial or self._bodiless) and (plain := cut_answer(data, longest_head=_LONGEST_HEAD)):
            self.head, length, rest = plain
            self.reusable = True
            if length is None:
                self._state, self._chunks = _CHUNKS, Chunks()
                self._take_chunks(rest)
            else:
                self._state, self._left = _LENGTH, length
                self._take_length(rest)
            self._receiver.headed()
            return
        data = self._partial + data
        end = data.find(_END) + len(_END)
        whole = end >= len(_END)
        # A last CR may be half of a line's end. A head that ends in bare LFs would never be whole.
        head = data[:end] if whole else data.removesuffix(b"\r")
        if len(head) > _LONGEST_HEAD or _UNSOUND.search(head):
            self._break()
        elif whole:
            self._partial = b""
            self._begin(head, data[end:])
        else:
            self._partial = data

    def _begin(self, head: bytes, rest: bytes) -> None:
        parser = HttpResponseParser(
            cast("Any", self),
            self._loop,
            _NEVER_FULL,
            response_with_body=not self._bodiless,
            read_until_eof=True,
            auto_decompress=False,
        )
        try:
            messages, _, _ = parser.feed_data(head)
        except HttpProcessingError:
            messages = []
        if len(messages) != 1:
            self._break()
            return
        message, _ = messages[0]
        if 100 <= message.code < 200 and message.code != 101 and self._interim < _MOST_INTERIM:
            if hdrs.CONTENT_LENGTH in message.headers or hdrs.TRANSFER_ENCODING in message.headers:
                self._break()
                return
            self._interim += 1
            self._take_head(rest)
            return
        self._frame(message)
        if rest and self._state != _HEAD:
            self.feed(rest)
        self._receiver.headed()

    def _frame(self, message: RawResponseMessage) -> None:
        """How the body ends: by RFC 9112, section 6.3, without its ambiguous cases."""
        lengths = message.headers.getall(hdrs.CONTENT_LENGTH, ())
        codings = message.headers.getall(hdrs.TRANSFER_ENCODING, ())
        if message.code < 200 or message.upgrade or not _one_end(message.version, lengths, codings):
            self._break()
            return
        self.head = Head(message.code, Fields(message.raw_headers))
        self.reusable = not message.should_close
        self._left = int(lengths[0]) if lengths else 0
        if self._bodiless or message.code in _BODILESS or (lengths and not self._left):
            self._end()
        elif lengths:
            self._state = _LENGTH
        elif codings:
            self._state, self._chunks = _CHUNKS, Chunks()
        else:
            self._state, self.reusable, self.ends_by_closing = _TO_CLOSE, False, True

    # -- bodies ----------------------------------------------------------------------------------

    def _take_length(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.reusable = False
            data = data[: self._left]
        if data:
            self._receiver.add(data)
        if self._left <= 0:
            self._end()

    def _take_chunks(self, data: bytes) -> None:
        try:
            content = self._chunks.feed(data)
        except Unframed:
            self._break()
            return
        if content:
            self._receiver.add(content)
        if self._chunks.done:
            self.reusable = self.reusable and not self._chunks.surplus
            self._end()

    # -- endings ---------------------------------------------------------------------------------

    def _end(self) -> None:
        self._state = _DONE
        self._receiver.ended()

    def _break(self) -> None:
        self.reusable = False
        self._receiver.broken()


def _one_end(version: HttpVersion, lengths: Sequence[str], codings: Sequence[str]) -> bool:
    """Whether the fields that frame a body leave no choice to a reader."""
    if codings:
        alone = not lengths and [coding.lower() for coding in codings] == ["chunked"]
        return alone and version >= HttpVersion11
    return len(lengths) <= 1 and all(ANSWER_LENGTH.fullmatch(length.encode()) for length in lengths)
