"""The recording upstream: a real server on loopback that keeps every byte it is sent.

It stands in for the gateway and is the witness of the suite: what is not here never left. At the
first byte of each request it asks `witness` what the audit log holds at that very moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bypass.http1 import Message, Unframed, read

DEFAULT = b'{"id":"1","model":"azure/gpt-5.5","choices":[]}'


@dataclass(slots=True)
class Received:
    """One request, or the start of one. `first_at` is `time.monotonic_ns` at its first byte.

    `witnessed` is what the witness said then; `message` is None until the request is whole.
    """

    first_at: int
    witnessed: int
    message: Message | None = None


@dataclass(slots=True)
class Wire:
    """One accepted connection: its raw bytes and the requests in them."""

    raw: bytearray = field(default_factory=bytearray)
    requests: list[Received] = field(default_factory=list)
    unframed: bool = False


def whole_answer(body: bytes, *, closing: bool = True) -> bytes:
    """An answer of 200. By default it ends the connection, so that no case meets another's."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    ending = b"Connection: close\r\n" if closing else b""
    return head + ending + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Upstream:
    """Accepts, records, answers. `answer` may be replaced per case; `routes` answers given paths."""

    def __init__(self, routes: dict[str, bytes] | None = None) -> None:
        self.wires: list[Wire] = []
        self.answer = whole_answer(DEFAULT)
        self.witness: Callable[[], int] = lambda: 0
        self.port = 0
        self._routes = routes or {}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire()
        self.wires.append(wire)
        self._writers.add(writer)
        try:
            await self._converse(wire, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _converse(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = 0
        while chunk := await reader.read(65_536):
            if begun == len(wire.raw):
                wire.requests.append(Received(time.monotonic_ns(), self.witness()))
            wire.raw += chunk
            while begun < len(wire.raw) and not wire.unframed:
                message = self._read(wire, bytes(wire.raw[begun:]))
                if message is None or not message.whole:
                    break
                wire.requests[-1].message = message
                begun += message.size
                if begun < len(wire.raw):
                    wire.requests.append(Received(time.monotonic_ns(), self.witness()))
                if not await self._respond(writer, message):
                    return

    def _read(self, wire: Wire, data: bytes) -> Message | None:
        try:
            return read(data, answers=False)
        except Unframed:
            wire.unframed = True
            return None

    async def _respond(self, writer: asyncio.StreamWriter, message: Message) -> bool:
        """Answer one request; False when this answer ends the connection."""
        path = message.target.partition("?")[0]
        answer = self._routes.get(f"{message.method} {path}", self.answer)
        writer.write(answer)
        await writer.drain()
        head = answer.partition(b"\r\n\r\n")[0].lower()
        unfinished = b"chunked" in head and not answer.endswith(b"0\r\n\r\n")
        return not (b"connection: close" in head or unfinished)
