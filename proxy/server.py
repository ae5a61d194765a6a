"""aiohttp in and out; knows HTTP, decides nothing"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, NoReturn, Protocol, cast

from aiohttp import web
from aiohttp.http import HttpVersion11
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from typing_extensions import override

from proxy.bodies import BodyBudget, Share, Turned
from proxy.core.errors import UpstreamFailure
from proxy.core.values import RawRequest, Reply
from proxy.peers import Network, Peers
from proxy.pipeline import Pipeline
from proxy.relay import Relay
from proxy.shedding import Crowd, refusal_to, shed
from proxy.written import SERVER_NAME, Writing

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ListenSettings(Protocol):
    """Sizes are bytes, times seconds. `config.ListenSettings` satisfies it."""

    max_header_bytes: int
    max_headers: int
    max_body_bytes: int
    body_budget_bytes: int
    header_deadline: float
    body_deadline: float
    max_connections: int
    max_waiting: int
    hosts: tuple[str, ...]
    trusted_proxies: tuple[Network, ...]


class Connection(RequestHandler):
    """aiohttp's server protocol with answers and log lines of our own.

    The stock error page and error log quote the bytes that could not be parsed, keys included.
    """

    __slots__ = ("_begun", "_between", "_closed", "_entering", "_front", "_over")

    def __init__(self, manager: Front, closed: Callable[[], None] | None = None, **options: Any) -> None:
        super().__init__(manager, **options)
        self._front = manager
        self._begun = False
        self._between = True
        self._entering = False
        self._over = False
        self._closed = closed

    @override
    def data_received(self, data: bytes) -> None:
        """Pass bytes on, and note whether they began a head without ending it."""
        parsed = self._request_count
        waiting = parsed == 0 or self._waiter is not None
        over = self._between and not self._request_in_progress and self._front.full()
        if over and not self._begun and self._shed(data):
            return
        super().data_received(data)
        self._begun = waiting and self._request_count == parsed
        if self._request_count > parsed:
            self._between = False
            self._over = over
            if not over and not self._entering:
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

    def _shed(self, data: bytes) -> bool:
        """Refuse a request that came whole, and keep the connection; False when that cannot be done."""
        ending = self._close or self._force_close or self._front.draining
        if self.transport is None or ending or self._paused:
            return False
        refusal = shed(data)
        if refusal is None:
            return False
        self.transport.write(refusal)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._front.pipeline.shed()
        return True

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        """Count a head that never ended, whoever gave up on it; tell who handed the connection over."""
        if self._begun:
            self._begun = False
            self._front.pipeline.unfinished("bad_request", peer=_address(self.peername))
        self.entered()
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
        reply = self._front.pipeline.unparsable() if status == 400 else self._front.pipeline.fault(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        return _closing(reply)

    @override
    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Count the fault by the kind of its exception; its text may quote the request."""
        del args
        self._front.pipeline.fault(kwargs.get("exc_info"))

    def close_if_idle(self) -> None:
        """Close unless a request is being answered; a body that is still coming has to be let in.

        aiohttp's `close()` ends the task that reads and leaves the connection open: what a client sends
        then is never answered.
        """
        if not self._request_in_progress and not self._messages:
            self.force_close()


class Front(web.Server):
    """The listening side: reads a request whole, hands it to the pipeline, writes what comes back."""

    def __init__(self, pipeline: Pipeline, settings: ListenSettings) -> None:
        super().__init__(
            self._count,
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            keepalive_timeout=settings.header_deadline,
            lingering_time=1.0,
            max_line_size=settings.max_header_bytes,
            max_field_size=settings.max_header_bytes,
            max_headers=settings.max_headers,
        )
        self.pipeline = pipeline
        self.budget = BodyBudget(settings.body_budget_bytes)
        self.draining = False
        self.cutting = False
        self.busy = 0
        self.entering = 0
        self._crowd = Crowd(settings.max_waiting)
        self.rest = asyncio.Event()
        self._settings = settings
        self._hosts = frozenset(settings.hosts)
        self._peers = Peers(settings.trusted_proxies)

    @override
    def __call__(self) -> RequestHandler:
        """One protocol object per accepted connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def with_end(self, closed: Callable[[], None]) -> RequestHandler:
        """A protocol object for a connection whose end somebody else counts."""
        return Connection(self, closed, loop=self._loop, **self._kwargs)

    def full(self) -> bool:
        """Whether as many requests wait for the processor as may."""
        return self._crowd.full(self.entering + self.pipeline.waiting, self._loop.time())

    def stop_listening_to_idle(self) -> None:
        """Close the connections on which nothing is being answered; the others close when they end."""
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.close_if_idle()

    async def _count(self, request: web.BaseRequest) -> web.StreamResponse:
        self.busy += 1
        self.rest.clear()
        connection = cast("Connection", request.protocol)
        over = connection.entered()
        try:
            return self._say_full(request) if over else await self._answer(request)
        finally:
            connection.answered(request)
            self.busy -= 1
            if not self.busy:
                self.rest.set()

    def _say_full(self, request: web.BaseRequest) -> web.StreamResponse:
        self.pipeline.shed()
        return _closing(refusal_to(_head(request, self._peers)))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = _head(request, self._peers)
        turned = self._turn_away(request)
        if turned is not None:
            return _closing(await self.pipeline.turn_away(raw, turned))
        share = Share(self.budget)
        try:
            if request.can_read_body:
                raw = await self._with_body(request, raw, share)
            answer = await self.pipeline.serve(raw)
        except Turned as turning:
            return _closing(await self.pipeline.turn_away(raw, turning.code))
        finally:
            share.release()
        if isinstance(answer, Reply):
            return self._whole(replace(answer, body=b"") if raw.method == "HEAD" else answer)
        return await self._relay(request, answer)

    def _turn_away(self, request: web.BaseRequest) -> str | None:
        """A reason to refuse that the head alone gives, before the body is read."""
        if request.version != HttpVersion11:
            return "http_version"
        if request.method == "CONNECT":
            return "method_not_allowed"
        if "Upgrade" in request.headers:
            return "upgrade_refused"
        if self._hosts and request.headers.get("Host", "") not in self._hosts:
            return "unknown_host"
        if (request.content_length or 0) > self._settings.max_body_bytes:
            return "body_too_large"
        if self.draining or len(self._connections) > self._settings.max_connections:
            return "overloaded"
        return self.pipeline.overload()

    async def _with_body(self, request: web.BaseRequest, raw: RawRequest, share: Share) -> RawRequest:
        content = request.content
        if content.is_eof():
            whole = content.read_nowait()
            share.grow(len(whole))
        else:
            if stranger := self.pipeline.stranger(raw):
                # Nobody that we do not know may make us hold a body, or keep others from sending theirs.
                raise Turned(stranger)
            # All of it at once: bodies that grow side by side would use the budget up and none would end.
            share.grow(request.content_length or 0)
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(_CONTINUE)
            try:
                whole = await self._collect(content, share, request.content_length or 0)
            except asyncio.CancelledError:
                self.pipeline.unfinished("bad_request_body", peer=raw.peer)
                raise
        return RawRequest(raw.method, raw.path, raw.query, raw.headers, whole, raw.peer)

    async def _collect(self, content: StreamReader, share: Share, announced: int) -> bytes:
        """Read to the end within the deadline, the size limit and the budget.

        BytesIO fills the room that is announced in place, and gives that very object away: megabytes are
        never copied at once.
        """
        body = BytesIO(bytes(announced))
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_deadline):
                while chunk := await content.readany():
                    size += len(chunk)
                    if size > self._settings.max_body_bytes:
                        raise Turned("body_too_large")
                    share.grow(size)
                    body.write(chunk)
        except TimeoutError:
            raise Turned("body_timeout") from None
        except RequestPayloadError:
            raise Turned("bad_request_body") from None
        body.truncate(size)
        return body.getvalue()

    async def _relay(self, request: web.BaseRequest, relay: Relay) -> web.StreamResponse:
        """Write each chunk as it comes; an upstream that breaks off breaks the client's answer off too."""
        try:
            written = await Writing(request, relay).run(closing=self.draining)
        except UpstreamFailure:
            _cut(request)
        except BaseException:
            relay.abandon("shutdown" if self.cutting else "client_gone")
            raise
        return cast("web.StreamResponse", written)

    def _whole(self, reply: Reply) -> web.StreamResponse:
        return _closing(reply) if self.draining else _response(reply)


def _address(peername: object) -> str:
    return str(peername[0]) if isinstance(peername, tuple) and peername else ""


def _head(request: web.BaseRequest, peers: Peers) -> RawRequest:
    path, _, query = request.raw_path.partition("?")
    peer = peers.of(request.remote or "", request.raw_headers)
    return RawRequest(request.method, path, query, request.raw_headers, b"", peer)


def _response(reply: Reply) -> web.Response:
    answer = web.Response(status=reply.status, body=reply.body, headers=list(reply.headers))
    answer.headers["Server"] = SERVER_NAME
    return answer


def _closing(reply: Reply) -> web.Response:
    answer = _response(reply)
    answer.force_close()
    return answer


def _cut(request: web.BaseRequest) -> NoReturn:
    """End the connection without the end of the body, so that nobody takes it for whole."""
    if request.transport is not None:
        request.transport.close()
    raise ConnectionResetError("the gateway broke off")
