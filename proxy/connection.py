"""one client's connection: aiohttp's server protocol, and a short way past its parser

aiohttp reads a request into a dozen objects and two tasks. A request that came whole and can be cut in one
way only (`plain.py`) needs one task; the connection may mix both kinds as it likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from proxy.core.values import RawRequest
from proxy.shedding import shed
from proxy.unattributed import Unattributed
from proxy.written import closing_response

_MOST_HELD = 65_536


class Front(Protocol):
    """What a connection needs of the listening side. `server.Front` satisfies it."""

    entering: int
    draining: bool
    answer_deadline: float
    unattributed: Unattributed

    def full(self) -> bool:
        """Whether one more request would be too many."""

    def read_plain(self, data: bytes, remote: str) -> RawRequest | None:
        """The request that `data` is; None when it has to take the long way."""

    async def answer_plain(self, connection: Connection, raw: RawRequest) -> bool:
        """Answer it; whether the connection may carry another one. Raises nothing but cancellation."""


class Connection(RequestHandler):
    """aiohttp's server protocol with answers and log lines of our own.

    The stock error page and error log quote the bytes that could not be parsed, keys included.
    `method` and `keeps_alive` are those of every request that takes the short way.
    """

    __slots__ = (
        "_begun", "_between", "_closed", "_entering", "_front", "_held", "_over", "_short", "_written",
        "remote",
    )  # fmt: skip

    method = "POST"
    keeps_alive = True

    def __init__(
        self, server: web.Server, front: Front, closed: Callable[[], None] | None = None, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._front = front
        self._begun = False
        self._between = True
        self._entering = False
        self._over = False
        self._closed = closed
        self._short: asyncio.Task[None] | None = None
        self._held = b""
        self._written = False
        self.remote = ""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.remote = _address(self.peername)

    @override
    def data_received(self, data: bytes) -> None:
        """Pass bytes on, and note whether they began a head without ending it."""
        if self._short is not None:
            self._hold(data)
            return
        free = self._between and not self._request_in_progress
        self._receive(data, free=free, over=free and self._front.full())

    def _receive(self, data: bytes, *, free: bool, over: bool) -> None:
        parsed = self._request_count
        waiting = parsed == 0 or self._waiter is not None
        if free and not self._begun and (self._shed(data) if over else self._serve(data)):
            return
        super().data_received(data)
        self._begun = waiting and self._request_count == parsed
        if self._request_count > parsed:
            self._between = False
            self._over = over
            if not over:
                self._enter()

    def _enter(self) -> None:
        if not self._entering:
            self._entering = True
            self._front.entering += 1

    def entered(self) -> bool:
        """The request that came is in the front's hands, or its connection is gone; True when it is one
        too many."""
        if self._entering:
            self._entering = False
            self._front.entering -= 1
        over, self._over = self._over, False
        return over

    def answered(self, request: web.BaseRequest) -> None:
        """The front is done; what comes next begins a request, unless more of the body does."""
        self._between = request.content.is_eof() and not self._messages

    # -- the short way ---------------------------------------------------------------------------

    def _serve(self, data: bytes) -> bool:
        """Answer a request that came whole; False when it has to take the long way."""
        if self._ending() or self._messages:
            return False
        raw = self._front.read_plain(data, self.remote)
        if raw is None:
            return False
        self._enter()
        self._written = False
        self._short = self._loop.create_task(self._answer(raw))
        return True

    async def _answer(self, raw: RawRequest) -> None:
        keep = False
        try:
            keep = await self._front.answer_plain(self, raw)
        except asyncio.CancelledError:
            # Who cancels has closed the connection, or is about to.
            keep = False
        finally:
            self._short = None
        self._go_on(keep=keep)

    def _go_on(self, *, keep: bool) -> None:
        """Read what came meanwhile, or end the connection."""
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if not keep:
            self.force_close()
        elif held := self._held:
            self._held = b""
            if self._buffer_paused:
                self._resume_reading_for_buffer()
            # It came while its forerunner was served, so it is not one too many now.
            self._receive(held, free=True, over=False)

    def _hold(self, data: bytes) -> None:
        """Keep what a client sends before it has its answer, and stop reading when that is much."""
        self._held += data
        if len(self._held) > _MOST_HELD and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def write(self, data: bytes) -> None:
        """Hand bytes of an answer to the connection; ConnectionError when the client has left."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        self._written = True
        transport.write(data)

    async def drain(self) -> None:
        """Wait while the client does not take what was written.

        One that takes nothing for too long is cut, for its answer holds a connection to the gateway:
        ConnectionError then, as for one that has left.
        """
        try:
            async with asyncio.timeout(self._front.answer_deadline):
                await self._drain_helper()
        except TimeoutError:
            if self.transport is not None:
                self.transport.abort()
            raise ConnectionResetError("the client takes nothing of its answer") from None

    @property
    def written(self) -> bool:
        """Whether something of the present answer has been written."""
        return self._written

    # -- a full proxy ----------------------------------------------------------------------------

    def _ending(self) -> bool:
        ending = self._close or self._force_close or self._front.draining
        return self.transport is None or ending or self._paused

    def _shed(self, data: bytes) -> bool:
        """Refuse a request that came whole, and keep the connection; False when that cannot be done."""
        refusal = None if self._ending() else shed(data)
        if refusal is None or self.transport is None:
            return False
        self.transport.write(refusal)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._front.unattributed.shed()
        return True

    # -- endings ---------------------------------------------------------------------------------

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        """Count a head that never ended, whoever gave up on it; tell who handed the connection over."""
        if self._begun:
            self._begun = False
            self._front.unattributed.unfinished("bad_request", peer=self.remote)
        self.entered()
        if self._short is not None:
            self._short.cancel()
        super().connection_lost(exc)
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a head that cannot be parsed, or a fault of ours, without quoting anything."""
        del message
        if isinstance(exc, ConnectionError):
            # The client has left, or was cut because the gateway broke off: no fault of ours.
            raise exc
        nobody = self._front.unattributed
        reply = nobody.unparsable() if status == 400 else nobody.fault(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        return closing_response(reply)

    @override
    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Count the fault by the kind of its exception; its text may quote the request."""
        del args
        self._front.unattributed.fault(kwargs.get("exc_info"))

    @override
    def _process_keepalive(self) -> None:
        """A connection whose request takes the short way looks idle to aiohttp, and is not."""
        if self._short is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def close_if_idle(self) -> None:
        """Close unless a request is being answered; a body that is still coming has to be let in.

        aiohttp's `close()` ends the task that reads and leaves the connection open: what a client sends
        then is never answered.
        """
        if not self._request_in_progress and not self._messages and self._short is None:
            self.force_close()

    @override
    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Let the request under way end, or cut it after `timeout` seconds."""
        if (short := self._short) is not None:
            await asyncio.wait({short}, timeout=timeout)
            if not short.done():
                short.cancel()
                await asyncio.wait({short}, timeout=timeout)
        await super().shutdown(timeout)


def _address(peername: object) -> str:
    return str(peername[0]) if isinstance(peername, tuple) and peername else ""
