"""A raw upstream that plays a script per connection and keeps the bytes that it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

RESET = "reset"
CLOSE = "close"
HOLD = "hold"
NEXT = "next request"

Step: TypeAlias = bytes | str
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Scripted:
    """Where it listens, and what each connection sent."""

    port: int = 0
    received: list[bytearray] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return len(self.received)


async def _request(reader: asyncio.StreamReader, kept: bytearray) -> bool:
    """Read one request with a Content-Length (or none) into `kept`; False at the end of the stream."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    kept += head
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            kept += await reader.readexactly(int(value))
    return True


async def _play(
    script: Sequence[Step], scripted: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    kept = bytearray()
    scripted.received.append(kept)
    if not await _request(reader, kept):
        return
    for step in script:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            await asyncio.sleep(0)
        elif step == NEXT:
            await _request(reader, kept)
        elif step == RESET:
            writer.transport.abort()
            return
        elif step == CLOSE:
            return
        elif step == HOLD:
            await reader.read()
            scripted.gone.set()


@asynccontextmanager
async def scripted(*scripts: Sequence[Step]) -> AsyncIterator[Scripted]:
    """Serve one script per connection, in order; the last one repeats."""
    state = Scripted()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = scripts[min(state.connections, len(scripts) - 1)]
        try:
            await _play(script, state, reader, writer)
        except ConnectionError:
            state.gone.set()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
