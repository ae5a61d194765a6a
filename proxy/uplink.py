"""one connection to the gateway: a request out, its answer back

There is no task, timer or queue per answer: the pool sweeps over the deadlines of its connections.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import cast

from typing_extensions import override

from proxy.core.errors import UpstreamFailure
from proxy.framing import Framing
from proxy.plain import Head
from proxy.turns import Turns

_MOST_UNREAD = 262_144
# The system copies what it is given before it returns: megabytes at once stop every stream for milliseconds.
_IN_ONE_WRITE = 131_072
# Whoever sends that much at once is read at once: what waits for a turn must not pile up.
_MOST_LATE = 16_384

Take = Callable[[bytes], bool]
"""What chunks are given to; it says whether there is room for more."""


class Uplink(asyncio.Protocol):
    """Carries one exchange at a time: `send`, then `head`, then `read` until it gives b"", or `pour`.

    `deadline` is the loop time at which silence becomes a time-out; infinite while nothing is owed.
    """

    __slots__ = (
        "_between", "_body", "_chunk_turns", "_chunks", "_failure", "_framing", "_full", "_late", "_loop",
        "_paused", "_take", "_trouble", "_turns", "_unread", "_waiter", "_written", "deadline", "transport",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: Turns, chunk_turns: Turns) -> None:
        self._loop = loop
        self._turns = turns
        self._chunk_turns = chunk_turns
        self._late = b""
        self._framing = Framing(loop, self)
        self.transport: asyncio.Transport | None = None
        self.deadline = math.inf
        self._between = math.inf
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

    # -- for the pool ----------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether it can carry another exchange."""
        sound = self._framing.idle and not self._late
        return sound and self.transport is not None and not self.transport.is_closing()

    def send(self, head: bytes, body: bytes, *, bodiless: bool, first_byte: float, between: float) -> None:
        """Write a request. `bodiless` is for HEAD; the limits are seconds of silence before and within."""
        if not self.usable or self.transport is None:
            raise UpstreamFailure("upstream_unreachable")
        self._framing.expect(bodiless=bodiless)
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
        while (found := self._framing.head) is None:
            await self._change()
        return found

    async def read(self) -> bytes:
        """What has come of the body, b"" at its end; `UpstreamFailure` when it broke off."""
        while not self._chunks:
            if self._framing.done:
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
            elif self._framing.done:
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
    def ends_by_closing(self) -> bool:
        """Whether only a closed connection ends the body: a cut looks like an end."""
        return self._framing.ends_by_closing

    @property
    def whole(self) -> bool:
        """Whether every byte of the answer has come."""
        return self._framing.done

    @property
    def read_up(self) -> bool:
        """Whether the answer is whole and has been read."""
        return self._framing.done and not self._chunks

    def rest(self) -> bool:
        """Make ready for another exchange after an answer has ended; False when it cannot carry one."""
        if self._body or self._late or not (self.read_up and self._framing.reusable and self._failure == ""):
            return False
        self._framing.rest()
        self.deadline = math.inf
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
        self._catch_up()
        self.deadline = math.inf
        self._framing.close(cleanly=exc is None)

    @override
    def pause_writing(self) -> None:
        self._full = True

    @override
    def resume_writing(self) -> None:
        self._full = False
        self._write_on()

    @override
    def data_received(self, data: bytes) -> None:
        if not self._paused:
            self.deadline = self._loop.time() + self._between
        if self._late or (self._take is not None and not self._chunk_turns.take()):
            self._put_off(data)
        else:
            self._framing.feed(data)

    def _put_off(self, data: bytes) -> None:
        """Keep a chunk for a turn of the loop that has room, unless there is too much to keep."""
        if not self._late:
            self._chunk_turns.later(self._catch_up)
        self._late += data
        if len(self._late) > _MOST_LATE:
            self._catch_up()

    def _catch_up(self) -> bool:
        """Read what was put off; False when there is nothing."""
        late, self._late = self._late, b""
        if late:
            self._framing.feed(late)
        return bool(late)

    # -- writing a large body --------------------------------------------------------------------

    def _write_on(self) -> None:
        """Write one slice, and the next one in another turn of the loop or when there is room again."""
        if not self._body or self._full or self.transport is None or self.transport.is_closing():
            return
        begin, self._written = self._written, self._written + _IN_ONE_WRITE
        self.transport.write(self._body[begin : self._written])
        if self._framing.awaits_head:
            self.deadline = max(self.deadline, self._loop.time() + self._between)
        if self._written >= len(self._body):
            self._body = b""
        elif not self._full:
            self._loop.call_soon(self._write_on)

    # -- reading an answer: what `framing.py` tells -----------------------------------------------

    def headed(self) -> None:
        """The head has come."""
        self._wake()

    def add(self, content: bytes) -> None:
        """A piece of the body has come."""
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
        if not self._framing.done:
            self.deadline = self._loop.time() + self._between
        if self.transport is not None:
            self.transport.resume_reading()

    # -- endings ---------------------------------------------------------------------------------

    def ended(self) -> None:
        """Every byte of the body has come."""
        self.deadline = math.inf
        if self._paused:
            self._resume()
        self._wake()

    def broken(self) -> None:
        """What came cannot be read in one way, or was not asked for."""
        if self._framing.idle or self._framing.done:
            self.abort()
        else:
            self._fail("upstream_broke_off")

    def _fail(self, code: str) -> None:
        self._failure = self._failure or code
        self._framing.reusable = False
        self.abort()
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            self._turns.wake(waiter)

    async def _change(self) -> None:
        if self._failure:
            raise UpstreamFailure(self._failure, sent=True)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
