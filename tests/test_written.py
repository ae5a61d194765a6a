"""an answer reaches the client as its own bytes: framed once, in one write when it is whole"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import pytest
from aiohttp import web

from proxy.core.errors import UpstreamFailure
from proxy.core.scrub import Scrubber
from proxy.core.tap import body_tap
from proxy.relay import Relay
from proxy.written import Asking, Writing, Written
from tests.scripted import CLOSE, HOLD, NEXT, Step, scripted
from tests.test_gateway import client, send
from tests.test_relay import chunked, sized

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
Fields = tuple[tuple[bytes, bytes], ...]


@dataclass
class Client:
    """One connection to a server that relays what a scripted gateway answers."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes = REQUEST) -> bytes:
        """Send a request; the head of its answer."""
        self.writer.write(request)
        return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def serving(script: Sequence[Step], fields: Fields, *, closing: bool = False) -> AsyncIterator[Client]:
    async with scripted(script) as upstream, client(upstream.url) as gateway:

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            reply = await send(gateway)
            relay = Relay(reply, fields, tap=body_tap(), scrubber=Scrubber(b"op-key"), on_end=lambda _: None)
            try:
                kept = await Writing(Asking(request, request.writer.drain), relay).run(closing=closing)
            except UpstreamFailure:
                assert request.transport is not None
                request.transport.close()
                raise ConnectionResetError from None
            return cast("web.StreamResponse", Written(keep_alive=kept))

        server = await asyncio.get_running_loop().create_server(web.Server(answer), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield Client(reader, writer)
        writer.close()
        server.close()


async def test_a_counted_answer_keeps_its_length_and_the_connection_serves_the_next_one():
    script: list[Step] = [sized(b"hello"), NEXT, sized(b"hello"), HOLD]
    async with serving(script, ((b"Content-Length", b"5"), (b"X-A", b"caf\xe9"))) as asking:
        for _ in range(2):
            head = await asking.ask()
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nContent-Length: 5\r\n" in head
            assert b"\r\nX-A: caf\xe9\r\n" in head
            assert head.count(b"\r\nServer: ringfence\r\n") == head.count(b"\r\nDate: ") == 1
            assert b"Transfer-Encoding" not in head
            assert await asking.reader.readexactly(5) == b"hello"


async def test_an_answer_without_a_length_is_framed_in_chunks_as_they_came():
    parts: list[Step] = [chunked(b"one", end=False), b"3\r\ntwo\r\n", b"0\r\n\r\n", HOLD]
    async with serving(parts, ()) as asking:
        assert b"\r\nTransfer-Encoding: chunked\r\n" in await asking.ask()
        body = await asking.reader.readuntil(b"0\r\n\r\n")
        assert b"".join(body.split(b"\r\n")[1::2]) == b"onetwo"


async def test_a_whole_answer_without_a_length_ends_with_its_last_chunk():
    async with serving([chunked(b"one", b"two"), HOLD], ()) as asking:
        await asking.ask()
        assert (await asking.reader.readuntil(b"0\r\n\r\n")).endswith(b"\r\n0\r\n\r\n")


async def test_an_answer_that_breaks_off_gives_what_there_was_and_no_end():
    async with serving([chunked(b"one", end=False), CLOSE], ()) as asking:
        await asking.ask()
        assert await asking.reader.read() == b"3\r\none\r\n"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_that_has_no_body_is_only_a_head(status):
    async with serving([b"HTTP/1.1 %s\r\n\r\n" % status, NEXT, sized(b""), HOLD], ()) as asking:
        head = await asking.ask()
        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"Transfer-Encoding" not in head
        assert (await asking.ask()).startswith(b"HTTP/1.1 200 OK")


async def test_a_client_is_told_when_the_connection_ends_with_the_answer():
    async with serving([sized(b"hello"), HOLD], ((b"Content-Length", b"5"),), closing=True) as asking:
        assert b"\r\nConnection: close\r\n" in await asking.ask()
        assert await asking.reader.read() == b"hello"


async def test_a_status_without_a_known_phrase_is_passed_on():
    async with serving([b"HTTP/1.1 529 Busy\r\nContent-Length: 0\r\n\r\n", HOLD], ()) as asking:
        assert (await asking.ask()).startswith(b"HTTP/1.1 529 \r\n")


@pytest.mark.parametrize("value", [b"a\r\nX-Evil: 1", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_header_that_would_split_the_head_is_never_written(value):
    async with serving([sized(b"hello"), HOLD], ((b"X-A", value),)) as asking:
        head = await asking.ask()
        assert b"Evil" not in head
        assert head.startswith(b"HTTP/1.1 500 ")
