"""one connection to the gateway: a request out, its answer back

Heads and chunks go through aiohttp's C response parser. It is lenient, so what two readers could take
differently is refused here before the parser sees it. There is no task, timer or queue per answer:
the pool sweeps over the deadlines of its connections.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import hdrs
from aiohttp.http import HttpProcessingError, HttpResponseParser, RawResponseMessage
from aiohttp.streams import StreamReader
from typing_extensions import override

from proxy.core.errors import UpstreamFailure
from proxy.core.fields import Fields
from proxy.plain import Head, cut_answer

_LONGEST_HEAD = 65_536
_MOST_INTERIM = 8
_MOST_UNREAD = 262_144
# The system copies what it is given before it returns: megabytes at once stop every stream for milliseconds.
_IN_ONE_WRITE = 131_072
_NEVER_FULL = 2**30
_END = b"\r\n\r\n"
# RFC 9112: no bare CR or LF and no line folding (2.2, 5.2), and no other control character (RFC 9110, 5.5).
_UNSOUND = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n)|\n[ \t]")
_BODILESS = frozenset({204, 304})

Take = Callable[[bytes], bool]
"""What chunks are given to; it says whether there is room for more."""

_IDLE, _HEAD, _LENGTH, _CHUNKS, _TO_CLOSE, _DONE = range(6)


class Uplink(asyncio.Protocol):
    """Carries one exchange at a time: `send`, then `head`, then `read` until it gives b"", or `pour`.

    `deadline` is the loop time at which silence becomes a time-out; infinite while nothing is owed.
    `ends_by_closing` tells that only a closed connection ends the body: a cut looks like an end.
    """

    __slots__ = (
        "_answer", "_between", "_bodiless", "_body", "_chunks", "_failure", "_full", "_interim", "_left",
        "_loop", "_parser", "_partial", "_paused", "_payload", "_reusable", "_state", "_tail", "_take",
        "_trouble", "_unread", "_waiter", "_written", "deadline", "ends_by_closing", "transport",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.transport: asyncio.Transport | None = None
        self.deadline = math.inf
        self.ends_by_closing = False
        self._between = math.inf
        self._state = _IDLE
        self._body = b""
        self._written = 0
        self._full = False
        self._failure = ""
        self._waiter: asyncio.Future[None] | None = None
        self._take: Take | None = None
        self._trouble: Exception | None = None
        self._chunks: list[bytes] = []
        self._unread = 0
        self._paused = False
        self._partial = self._tail = b""
        self._interim = self._left = 0
        self._reusable = self._bodiless = False
        self._answer: Head | None = None
        self._parser: Any = None
        self._payload: StreamReader | None = None

    # -- for the pool ----------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether it can carry another exchange."""
        return self._state == _IDLE and self.transport is not None and not self.transport.is_closing()

    def send(self, head: bytes, body: bytes, *, bodiless: bool, first_byte: float, between: float) -> None:
        """Write a request. `bodiless` is for HEAD; the limits are seconds of silence before and within."""
        if not self.usable or self.transport is None:
            raise UpstreamFailure("upstream_unreachable")
        self._state, self._bodiless, self._interim, self._answer = _HEAD, bodiless, 0, None
        self._between = between
        self.deadline = self._loop.time() + first_byte
        if len(body) <= _IN_ONE_WRITE:
            self.transport.write(head + body)
        else:
            self._body, self._written = body, 0
            self.transport.write(head)
            self._write_on()

    async def head(self) -> Head:
        """The head of the answer; `UpstreamFailure` when none comes that can be read in one way."""
        while self._answer is None:
            await self._change()
        return self._answer

    async def read(self) -> bytes:
        """What has come of the body, b"" at its end; `UpstreamFailure` when it broke off."""
        while not self._chunks:
            if self._state == _DONE:
                return b""
            await self._change()
        return self._unread_chunks()

    async def pour(self, take: Take, drained: Callable[[], Awaitable[None]]) -> None:
        """Give each chunk to `take` at the moment it comes, and return at the end of the body.

        What `take` raises is raised here, and `UpstreamFailure` as by `read`. When `take` says that there
        is no room, nothing more is given to it before `drained` returns.
        """
        room = True
        while True:
            if not room:
                await drained()
                room = True
            elif self._chunks:
                room = take(self._unread_chunks())
            elif self._state == _DONE:
                return
            else:
                room = await self._flow(take)

    async def _flow(self, take: Take) -> bool:
        """Let chunks go from the socket to `take`, no turn of the loop for each; False when it is full."""
        self._take = take
        try:
            await self._change()
            room = self._take is not None
        finally:
            self._take = None
        if trouble := self._trouble:
            self._trouble = None
            raise trouble
        return room

    def _unread_chunks(self) -> bytes:
        whole = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._unread = 0
        if self._paused:
            self._resume()
        return whole

    @property
    def whole(self) -> bool:
        """Whether every byte of the answer has come."""
        return self._state == _DONE

    @property
    def ended(self) -> bool:
        """Whether the answer is whole and has been read."""
        return self._state == _DONE and not self._chunks

    def rest(self) -> bool:
        """Make ready for another exchange after an answer has ended; False when it cannot carry one."""
        if self._body or not (self.ended and self._reusable and self._failure == ""):
            return False
        self._state, self.deadline, self._answer = _IDLE, math.inf, None
        return self.usable

    def expire(self, now: float) -> None:
        """End an exchange in which the gateway has been silent for too long."""
        if now >= self.deadline:
            self._fail("upstream_timeout")

    def abort(self) -> None:
        """Cut the connection at once."""
        self.deadline = math.inf
        if self.transport is not None:
            self.transport.abort()

    # -- asyncio.Protocol ------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.deadline = math.inf
        self._reusable = False
        # They know this object too, and the collector of such rings comes seldom.
        self._parser = self._payload = None
        if self._state == _TO_CLOSE and exc is None:
            self._end()
        elif self._state not in (_IDLE, _DONE):
            self._fail("upstream_broke_off")

    @override
    def pause_writing(self) -> None:
        self._full = True

    @override
    def resume_writing(self) -> None:
        self._full = False
        self._write_on()

    @override
    def data_received(self, data: bytes) -> None:
        state = self._state
        if not self._paused:
            self.deadline = self._loop.time() + self._between
        if state == _CHUNKS:
            self._take_chunks(data)
        elif state == _LENGTH:
            self._take_length(data)
        elif state == _HEAD:
            self._take_head(data)
        elif state == _TO_CLOSE:
            self._add(data)
        else:
            # Nobody asked for these bytes, and they must not become the beginning of the next answer.
            self._reusable = False
            self.abort()

    # -- what aiohttp's parser and stream ask of a protocol: back-pressure is ours ----------------

    def pause_reading(self) -> None:
        """Nothing: the stream is emptied after each feed."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing: the stream is emptied after each feed."""

    # -- writing a large body --------------------------------------------------------------------

    def _write_on(self) -> None:
        """Write one slice, and the next one in another turn of the loop or when there is room again."""
        if not self._body or self._full or self.transport is None or self.transport.is_closing():
            return
        begin, self._written = self._written, self._written + _IN_ONE_WRITE
        self.transport.write(self._body[begin : self._written])
        if self._state == _HEAD:
            self.deadline = max(self.deadline, self._loop.time() + self._between)
        if self._written >= len(self._body):
            self._body = b""
        elif not self._full:
            self._loop.call_soon(self._write_on)

    # -- reading an answer -----------------------------------------------------------------------

    def _take_head(self, data: bytes) -> None:
        if not (self._partial or self._bodiless) and (plain := cut_answer(data, longest_head=_LONGEST_HEAD)):
            self._answer, self._left, rest = plain
            self._state, self._reusable = _LENGTH, True
            self._take_length(rest)
            self._wake()
            return
        data = self._partial + data
        end = data.find(_END) + len(_END)
        whole = end >= len(_END)
        # A last CR may be half of a line's end. A head that ends in bare LFs would never be whole.
        head = data[:end] if whole else data.removesuffix(b"\r")
        if len(head) > _LONGEST_HEAD or _UNSOUND.search(head):
            self._fail("upstream_broke_off")
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
            self._fail("upstream_broke_off")
            return
        message, payload = messages[0]
        if 100 <= message.code < 200 and message.code != 101 and self._interim < _MOST_INTERIM:
            self._interim += 1
            self._take_head(rest)
            return
        self._frame(message, parser, payload)
        if rest and self._state != _HEAD:
            self.data_received(rest)
        self._wake()

    def _frame(self, message: RawResponseMessage, parser: Any, payload: StreamReader) -> None:
        """How the body ends: by RFC 9112, section 6.3, without its ambiguous cases."""
        lengths = message.headers.getall(hdrs.CONTENT_LENGTH, ())
        codings = message.headers.getall(hdrs.TRANSFER_ENCODING, ())
        if message.code < 200 or message.upgrade or len(lengths) + len(codings) > 1:
            self._fail("upstream_broke_off")
            return
        self._answer = Head(message.code, Fields(message.raw_headers))
        self._reusable = not message.should_close
        self._left = int(lengths[0]) if lengths else 0
        if self._bodiless or message.code in _BODILESS or (lengths and not self._left):
            self._end()
        elif lengths:
            self._state = _LENGTH
        elif message.chunked:
            self._state, self._parser, self._payload, self._tail = _CHUNKS, parser, payload, b""
        else:
            self._state, self._reusable, self.ends_by_closing = _TO_CLOSE, False, True

    def _take_length(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._reusable = False
            data = data[: self._left]
        if data:
            self._add(data)
        if self._left <= 0:
            self._end()

    def _take_chunks(self, data: bytes) -> None:
        payload = self._payload
        assert payload is not None
        try:
            more, _, rest = self._parser.feed_data(data)
            surplus = bool(more or rest)
        except HttpProcessingError:
            surplus = True
            if payload.exception() is not None or not payload.is_eof():
                self._fail("upstream_broke_off")
                return
        self._tail = (self._tail + data[-len(_END) :])[-len(_END) :]
        if content := payload.read_nowait():
            self._add(content)
        if payload.is_eof():
            self._reusable = self._reusable and not surplus and self._tail == _END
            self._parser = self._payload = None
            self._end()

    def _add(self, content: bytes) -> None:
        if self._take is not None:
            self._pass(self._take, content)
            return
        self._chunks.append(content)
        self._unread += len(content)
        if self._unread > _MOST_UNREAD and not self._paused and self.transport is not None:
            self._paused, self.deadline = True, math.inf
            self.transport.pause_reading()
        self._wake()

    def _pass(self, take: Take, content: bytes) -> None:
        """Give a chunk away; an error there belongs to whoever waits, not to the event loop."""
        try:
            room = take(content)
        except Exception as error:
            self._trouble, room = error, False
        if not room:
            self._take = None
            self._wake()

    def _resume(self) -> None:
        self._paused = False
        if self._state != _DONE:
            self.deadline = self._loop.time() + self._between
        if self.transport is not None:
            self.transport.resume_reading()

    # -- endings ---------------------------------------------------------------------------------

    def _end(self) -> None:
        self._state, self.deadline = _DONE, math.inf
        if self._paused:
            self._resume()
        self._wake()

    def _fail(self, code: str) -> None:
        self._failure = self._failure or code
        self._reusable = False
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _change(self) -> None:
        if self._failure:
            raise UpstreamFailure(self._failure, sent=True)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
