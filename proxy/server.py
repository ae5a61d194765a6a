"""aiohttp in and out; knows HTTP, decides nothing"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import NoReturn, Protocol, cast

from aiohttp import web
from aiohttp.http import HttpVersion11
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from typing_extensions import override

from proxy.bodies import BodyBudget, Share, Turned
from proxy.connection import Connection
from proxy.core.errors import UpstreamFailure
from proxy.core.values import RawRequest, Reply
from proxy.peers import Network, Peers
from proxy.pipeline import Pipeline
from proxy.plain import cut
from proxy.relay import Relay
from proxy.shedding import Crowd, refusal_to
from proxy.turns import Turns
from proxy.written import Asking, Client, Writing, Written, closing_response, response, whole_answer

# A body's bytes are copied some times over: what is taken in at once stops every stream for as long.
_AT_ONE_TURN = 65_536
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ListenSettings(Protocol):
    """Sizes are bytes, times seconds. `config.ListenSettings` satisfies it."""

    max_header_bytes: int
    max_headers: int
    max_body_bytes: int
    body_budget_bytes: int
    header_deadline: float
    body_deadline: float
    answer_deadline: float
    max_connections: int
    max_waiting: int
    hosts: tuple[str, ...]
    trusted_proxies: tuple[Network, ...]


class Front(web.Server):
    """The listening side: reads a request whole, hands it to the pipeline, writes what comes back."""

    def __init__(self, pipeline: Pipeline, settings: ListenSettings) -> None:
        super().__init__(
            self._count,
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            read_bufsize=_AT_ONE_TURN,
            keepalive_timeout=settings.header_deadline,
            lingering_time=1.0,
            max_line_size=settings.max_header_bytes,
            max_field_size=settings.max_header_bytes,
            max_headers=settings.max_headers,
        )
        self.pipeline = pipeline
        self.unattributed = pipeline.unattributed
        self.budget = BodyBudget(settings.body_budget_bytes)
        self.draining = False
        self.cutting = False
        self.busy = 0
        self.entering = 0
        self._crowd = Crowd(settings.max_waiting)
        self._turns = Turns(self._loop)
        self.rest = asyncio.Event()
        self.answer_deadline = settings.answer_deadline
        self._settings = settings
        self._hosts = frozenset(settings.hosts)
        self._peers = Peers(settings.trusted_proxies)

    @override
    def __call__(self) -> RequestHandler:
        """One protocol object per accepted connection."""
        return Connection(self, self, loop=self._loop, **self._kwargs)

    def with_end(self, closed: Callable[[], None]) -> RequestHandler:
        """A protocol object for a connection whose end somebody else counts."""
        return Connection(self, self, closed, loop=self._loop, **self._kwargs)

    def full(self) -> bool:
        """Whether as many requests wait for the processor as may."""
        waiting = self.entering + self._turns.waiting + self.pipeline.waiting
        return self._crowd.full(waiting, self._loop.time())

    def stop_listening_to_idle(self) -> None:
        """Close the connections on which nothing is being answered; the others close when they end."""
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.close_if_idle()

    async def _count(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("Connection", request.protocol)
        over = self._enter(connection)
        try:
            if over:
                return self._say_full(request)
            if not self._turns.take():
                await self._turns.wait()
            return await self._answer(request)
        finally:
            connection.answered(request)
            self._leave()

    def _enter(self, connection: Connection) -> bool:
        """Count one more request under way; True when it is one too many."""
        self.busy += 1
        self.rest.clear()
        return connection.entered()

    def _leave(self) -> None:
        self.busy -= 1
        if not self.busy:
            self.rest.set()

    # -- the short way ---------------------------------------------------------------------------

    def read_plain(self, data: bytes, remote: str) -> RawRequest | None:
        """The request that `data` is, when nothing speaks against it; None sends it the long way."""
        settings = self._settings
        plain = cut(data, longest_head=settings.max_header_bytes, most_fields=settings.max_headers)
        if plain is None or len(plain.body) > settings.max_body_bytes:
            return None
        if self._hosts and plain.fields.first[b"host"].decode("ascii") not in self._hosts:
            return None
        if len(self._connections) > settings.max_connections or self.pipeline.overload():
            return None
        path, _, query = plain.target.partition("?")
        peer = self._peers.of(remote, plain.fields.pairs)
        return RawRequest.of("POST", path, query, plain.fields, plain.body, peer)

    async def answer_plain(self, connection: Connection, raw: RawRequest) -> bool:
        """Answer a request that took the short way; whether the connection may carry another one."""
        self._enter(connection)
        try:
            if not self._turns.take():
                await self._turns.wait()
            return await self._answer_plain(connection, raw)
        except (UpstreamFailure, ConnectionError):
            return False
        except Exception as error:
            reply = self.unattributed.fault(error)
            if not connection.written:
                with suppress(ConnectionError):
                    connection.write(whole_answer(reply, keep_alive=False))
            return False
        finally:
            self._leave()

    async def _answer_plain(self, connection: Connection, raw: RawRequest) -> bool:
        share = Share(self.budget)
        try:
            share.grow(len(raw.body))
            answer = await self.pipeline.serve(raw)
        except Turned as turning:
            answer = await self.pipeline.turn_away(raw, turning.code)
        finally:
            share.release()
        if not isinstance(answer, Reply):
            return await self._relay(connection, answer)
        connection.write(whole_answer(answer, keep_alive=not self.draining))
        return not self.draining

    # -- the long way ----------------------------------------------------------------------------

    def _say_full(self, request: web.BaseRequest) -> web.StreamResponse:
        self.unattributed.shed()
        return closing_response(refusal_to(_head(request, self._peers)))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = _head(request, self._peers)
        turned = self._turn_away(request)
        if turned is not None:
            return closing_response(await self.pipeline.turn_away(raw, turned))
        share = Share(self.budget)
        try:
            if request.can_read_body:
                raw = await self._with_body(request, raw, share)
            answer = await self.pipeline.serve(raw)
        except Turned as turning:
            return closing_response(await self.pipeline.turn_away(raw, turning.code))
        finally:
            share.release()
        if isinstance(answer, Reply):
            return self._whole(replace(answer, body=b"") if raw.method == "HEAD" else answer)
        try:
            connection = cast("Connection", request.protocol)
            keep_alive = await self._relay(Asking(request, connection.drain), answer)
        except UpstreamFailure:
            _cut(request)
        return cast("web.StreamResponse", Written(keep_alive=keep_alive))

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
                self.unattributed.unfinished("bad_request_body", peer=raw.peer)
                raise
        return raw.with_body(whole)

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

    async def _relay(self, client: Client, relay: Relay) -> bool:
        """Write each chunk as it comes; whether the connection may carry another answer."""
        try:
            return await Writing(client, relay).run(closing=self.draining)
        except UpstreamFailure:
            raise
        except BaseException:
            relay.abandon("shutdown" if self.cutting else "client_gone")
            raise

    def _whole(self, reply: Reply) -> web.StreamResponse:
        return closing_response(reply) if self.draining else response(reply)


def _head(request: web.BaseRequest, peers: Peers) -> RawRequest:
    path, _, query = request.raw_path.partition("?")
    peer = peers.of(request.remote or "", request.raw_headers)
    return RawRequest(request.method, path, query, request.raw_headers, b"", peer)


def _cut(request: web.BaseRequest) -> NoReturn:
    """End the connection without the end of the body, so that nobody takes it for whole."""
    if request.transport is not None:
        request.transport.close()
    raise ConnectionResetError("the gateway broke off")
