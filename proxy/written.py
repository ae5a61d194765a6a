"""a relayed answer as bytes on the client's connection: one write for what is there, one per chunk after

aiohttp's own response objects cost more than all that the proxy does with an answer. What they keep
count of, aiohttp's server asks of any answer by three names; `Written` has them.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import web

from proxy.core.errors import UpstreamFailure
from proxy.relay import Relay

SERVER_NAME = "ringfence"
_BODILESS = frozenset({204, 304})
_LAST_CHUNK = b"0\r\n\r\n"


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

    __slots__ = ("_chunked", "_relay", "_request", "_silent")

    def __init__(self, request: web.BaseRequest, relay: Relay) -> None:
        self._request = request
        self._relay = relay
        self._silent = relay.status in _BODILESS or request.method == "HEAD"
        counted = any(name.lower() == "content-length" for name, _ in relay.headers)
        self._chunked = not self._silent and not counted

    async def run(self, *, closing: bool) -> Written:
        """Write the answer to its end; `closing` tells the client that the connection ends with it.

        `UpstreamFailure` when the gateway broke off; what there was of the answer has been written then.
        """
        keep_alive = self._request.keep_alive and not closing
        head = self._head(keep_alive=keep_alive)
        if self._relay.whole:
            await self._all_at_once(head)
        else:
            await self._write(head)
            await self._as_it_comes()
        return Written(keep_alive=keep_alive)

    async def _all_at_once(self, head: bytes) -> None:
        parts = [head]
        try:
            while content := await self._relay.read():
                parts.append(self._framed(content))
        except UpstreamFailure:
            await self._write(b"".join(parts))
            raise
        if self._chunked:
            parts.append(_LAST_CHUNK)
        await self._write(b"".join(parts))

    async def _as_it_comes(self) -> None:
        while content := await self._relay.read():
            await self._write(self._framed(content))
        if self._chunked:
            await self._write(_LAST_CHUNK)

    def _framed(self, content: bytes) -> bytes:
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(content), content)
        return b"" if self._silent else content

    def _head(self, *, keep_alive: bool) -> bytes:
        relay = self._relay
        lines = [_status_line(relay.status)]
        lines += [f"{name}: {value}" for name, value in relay.headers]
        lines.append(f"Server: {SERVER_NAME}")
        lines.append(_date(int(time.time())))
        if self._chunked:
            lines.append("Transfer-Encoding: chunked")
        if not keep_alive:
            lines.append("Connection: close")
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
            raise ValueError("a header would split the head")
        return text.encode("latin-1") + b"\r\n\r\n"

    async def _write(self, data: bytes) -> None:
        """Hand bytes to the connection; wait while the client does not take them."""
        request = self._request
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        request.writer.output_size += len(data)
        transport.write(data)
        if request.protocol.writing_paused:
            await request.writer.drain()


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    try:
        return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP/1.1 {status} "


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return f"Date: {formatdate(second, usegmt=True)}"
