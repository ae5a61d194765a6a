"""a relayed answer as bytes on the client's connection: one write for what is there, one per chunk after

aiohttp's own response objects cost more than all that the proxy does with an answer. What they keep
count of, aiohttp's server asks of any answer by three names; `Written` has them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from proxy.core.errors import UpstreamFailure
from proxy.core.values import Headers, Reply
from proxy.relay import Relay

SERVER_NAME = "ringfence"
_BODILESS = frozenset({204, 304})
_LAST_CHUNK = b"0\r\n\r\n"


class Client(Protocol):
    """Whoever an answer is written to, for the time of one answer."""

    method: str
    keeps_alive: bool

    @property
    def writing_paused(self) -> bool: ...

    def write(self, data: bytes) -> None:
        """Hand bytes to the connection; ConnectionError when the client has left."""

    async def drain(self) -> None:
        """Wait while the client does not take what was written; ConnectionError when it has left."""


class Asking:
    """The client of a request that aiohttp has parsed."""

    __slots__ = ("_drain", "_request", "keeps_alive", "method")

    def __init__(self, request: web.BaseRequest, drain: Callable[[], Awaitable[None]]) -> None:
        self._request = request
        self._drain = drain
        self.method = request.method
        self.keeps_alive = request.keep_alive

    @property
    def writing_paused(self) -> bool:
        """Whether the client takes less than is written."""
        return self._request.protocol.writing_paused

    def write(self, data: bytes) -> None:
        """Hand bytes to the connection; ConnectionError when the client has left."""
        request = self._request
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        request.writer.output_size += len(data)
        transport.write(data)

    async def drain(self) -> None:
        """Wait while the client does not take what was written."""
        await self._drain()


class Written:
    """What aiohttp's server asks of an answer whose bytes have been written already."""

    __slots__ = ("keep_alive",)

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """The head has been written."""

    async def write_eof(self, data: bytes = b"") -> None:
        """The end has been written."""


class Writing:
    """One relayed answer on its way out."""

    __slots__ = ("_chunked", "_client", "_relay", "_silent")

    def __init__(self, client: Client, relay: Relay) -> None:
        self._client = client
        self._relay = relay
        self._silent = relay.status in _BODILESS or client.method == "HEAD"
        self._chunked = not self._silent and not relay.counted

    async def run(self, *, closing: bool) -> bool:
        """Write the answer to its end; whether the connection may carry another one.

        `closing` tells the client that it may not. `UpstreamFailure` when the gateway broke off; what there
        was of the answer has been written then.
        """
        client = self._client
        keep_alive = client.keeps_alive and not closing
        head = answer_head(
            self._relay.status, self._relay.headers, chunked=self._chunked, keep_alive=keep_alive
        )
        if self._relay.whole:
            await self._all_at_once(head)
        else:
            client.write(head)
            await self._relay.pour(self._take, client.drain)
            if self._chunked:
                client.write(_LAST_CHUNK)
        if client.writing_paused:
            await client.drain()
        return keep_alive

    async def _all_at_once(self, head: bytes) -> None:
        parts = [head]

        def take(content: bytes) -> bool:
            parts.append(self._framed(content))
            return True

        try:
            await self._relay.pour(take, self._client.drain)
        except UpstreamFailure:
            self._client.write(b"".join(parts))
            raise
        if self._chunked:
            parts.append(_LAST_CHUNK)
        self._client.write(b"".join(parts))

    def _take(self, content: bytes) -> bool:
        """Write a chunk as it comes; whether the client takes more."""
        self._client.write(self._framed(content))
        return not self._client.writing_paused

    def _framed(self, content: bytes) -> bytes:
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(content), content)
        return b"" if self._silent else content


def answer_head(status: int, headers: Headers, *, chunked: bool = False, keep_alive: bool = True) -> bytes:
    """The head of an answer, with who answers and when."""
    lines = [_status_line(status)]
    lines += [b"%b: %b" % pair for pair in headers]
    lines.append(_common(int(time.time())))
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if not keep_alive:
        lines.append(b"Connection: close")
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise ValueError("a header would split the head")
    return head + b"\r\n\r\n"


def whole_answer(reply: Reply, *, keep_alive: bool) -> bytes:
    """A reply of the proxy's own as bytes."""
    fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in reply.headers]
    fields.append((b"Content-Length", b"%d" % len(reply.body)))
    return answer_head(reply.status, tuple(fields), keep_alive=keep_alive) + reply.body


def response(reply: Reply) -> web.Response:
    """A reply of the proxy's own for aiohttp's server to write."""
    answer = web.Response(status=reply.status, body=reply.body, headers=list(reply.headers))
    answer.headers["Server"] = SERVER_NAME
    return answer


def closing_response(reply: Reply) -> web.Response:
    """The same, and the connection ends with it."""
    answer = response(reply)
    answer.force_close()
    return answer


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode("ascii")


@lru_cache(maxsize=2)
def _common(second: int) -> bytes:
    return f"Server: {SERVER_NAME}\r\nDate: {formatdate(second, usegmt=True)}".encode("ascii")
