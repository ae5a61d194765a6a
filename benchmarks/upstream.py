"""the mock gateway: one raw protocol on uvloop that answers at once, from bytes made beforehand

It is a measuring instrument: no JSON is read, a body is counted and not kept. A body that says
`"stream":true` gets server-sent events at a fixed pace; `PUT /bench?chunks=50&pace_ms=20` sets it.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs

import uvloop
from typing_extensions import override

from benchmarks import wire

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNKED = -1
_STREAMED = b'"stream":true'
_LOOKED_AT = 4096
_EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
_FOUND = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


class Script:
    """What the mock answers; `pace` is seconds between the events of a stream."""

    def __init__(self, models: bytes) -> None:
        self.models = _FOUND % (len(models), models)
        self.answer = wire.answer()
        self.chunks = wire.STREAM_CHUNKS
        self.pace = wire.STREAM_PACE_MS / 1000

    def set(self, query: str) -> None:
        """Take new stream settings from a query string."""
        said = parse_qs(query)
        self.chunks = int(said["chunks"][0])
        self.pace = int(said["pace_ms"][0]) / 1000


class Upstream(asyncio.Protocol):
    """One connection; requests come one after the other, never pipelined."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._in_body = False
        self._missing = 0
        self._beginning = b""
        self._tail = b""
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """A client that leaves ends its stream."""
        if self._timer is not None:
            self._timer.cancel()

    @override
    def data_received(self, data: bytes) -> None:
        """Collect a head, then count its body."""
        if self._in_body:
            self._body(data)
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n") + 4
        if end >= 4:
            head, body, self._head = self._head[:end], self._head[end:], b""
            self._begin(head, body)

    def _begin(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"POST"):
            self._transport.write(self._other(head))
            return
        length = _LENGTH.search(head)
        self._missing = int(length[1]) if length else _CHUNKED
        self._in_body, self._beginning, self._tail = True, b"", b""
        self._body(body)

    def _body(self, data: bytes) -> None:
        if len(self._beginning) < _LOOKED_AT:
            self._beginning += data[:_LOOKED_AT]
        if self._missing == _CHUNKED:
            self._tail = (self._tail + data)[-len(wire.STREAM_END) :]
            whole = self._tail == wire.STREAM_END
        else:
            self._missing -= len(data)
            whole = self._missing <= 0
        if whole:
            self._in_body = False
            self._answer()

    def _other(self, head: bytes) -> bytes:
        path, _, query = head.split(b" ", 2)[1].decode().partition("?")
        if path != "/bench":
            return self._script.models
        self._script.set(query)
        return _EMPTY

    def _answer(self) -> None:
        if _STREAMED not in self._beginning:
            self._transport.write(self._script.answer)
            return
        self._left = self._script.chunks
        self._transport.write(wire.STREAM_HEAD)
        self._next()

    def _next(self) -> None:
        self._left -= 1
        self._transport.write(wire.chunk(time.monotonic_ns(), last=not self._left))
        if self._left:
            self._timer = self._loop.call_later(self._script.pace, self._next)
        else:
            self._transport.write(wire.STREAM_END)


async def serve(port: int, models: bytes) -> None:
    """Listen on loopback until the program is ended."""
    script = Script(models)
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(script), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


def main() -> None:
    """`python -m benchmarks.upstream --port 9001 --models models.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=Path, required=True, help="the answer to GET /v3/models")
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.models.read_bytes()))


if __name__ == "__main__":
    main()
