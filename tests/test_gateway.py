"""The gateway client sends exactly one request, believes only unambiguous answers, and lets go at once."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.core.approval import Approval
from proxy.core.errors import UpstreamFailure
from proxy.core.values import Receipt, UpstreamRequest
from proxy.gateway import Gateway, UpstreamReply, tls_context
from proxy.settings import GatewaySettings
from tests.authority import Authority
from tests.scripted import CLOSE, HOLD, OK, RESET, Step, scripted
from tests.test_gateway_pool import APPROVED

RECEIPT = Receipt("log", 1, "0" * 64)
KEY = b"op-upstream-key"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def request(body: bytes = b"{}", headers: Sequence[tuple[bytes, bytes]] = ()) -> UpstreamRequest:
    return UpstreamRequest("POST", "/v3/compat/chat/completions", tuple(headers), body)


@asynccontextmanager
async def client(url: str, **settings: object) -> AsyncIterator[Gateway]:
    fields = {"base_url": url, "allow_private_addresses": True, "unsafe_plain_http": True, **settings}
    gateway = Gateway(GatewaySettings.model_validate(fields))
    try:
        yield gateway
    finally:
        gateway.close()


async def send(gateway: Gateway, sent: UpstreamRequest | None = None) -> UpstreamReply:
    return await gateway.send(APPROVED, RECEIPT, sent or request(), key=KEY)


async def whole(reply: UpstreamReply) -> bytes:
    chunks = []
    while chunk := await reply.read():
        chunks.append(chunk)
    return b"".join(chunks)


async def outcome(script: Sequence[Step], **settings: object) -> str:
    """The reason code that a scripted upstream leads to, "" when its answer was read whole."""
    async with scripted(script) as upstream, client(upstream.url, **settings) as gateway:
        try:
            await whole(await send(gateway))
        except UpstreamFailure as failure:
            return failure.code
        return ""


async def test_what_is_sent_is_the_request_and_one_credential() -> None:
    async with scripted([OK]) as upstream, client(upstream.url) as gateway:
        sent = request(b'{"model": "a/b"}', [(b"X-Stainless-Lang", b"python"), (b"accept", b"*/*")])
        assert await whole(await send(gateway, sent)) == b"{}"
    head, _, body = bytes(upstream.received[0]).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v3/compat/chat/completions HTTP/1.1"
    assert sorted(lines[1:]) == sorted(
        [
            b"Host: 127.0.0.1:%d" % upstream.port,
            b"Authorization: Bearer op-upstream-key",
            b"X-Stainless-Lang: python",
            b"accept: */*",
            b"User-Agent: ringfence",
            b"Accept-Encoding: identity",
            b"Content-Length: 16",
        ]
    )
    assert body == b'{"model": "a/b"}'


async def test_nothing_is_sent_without_an_approval_and_a_receipt() -> None:
    async with scripted([OK]) as upstream, client(upstream.url) as gateway:
        for approval, receipt in ((APPROVED, None), (object(), RECEIPT), (None, None)):
            with pytest.raises(TypeError):
                await gateway.send(approval, receipt, request(), key=KEY)  # type: ignore[arg-type]
        assert upstream.connections == 0


def test_an_approval_cannot_be_made_by_hand() -> None:
    with pytest.raises(Exception, match="approve only"):
        Approval(APPROVED.decision, APPROVED.route, mint=object())


@pytest.mark.parametrize("value", [b"a\r\nX-Evil: 1", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_header_that_would_split_the_head_is_never_written(value: bytes) -> None:
    async with scripted([OK]) as upstream, client(upstream.url) as gateway:
        with pytest.raises(UpstreamFailure):
            await send(gateway, request(headers=[(b"X-A", value)]))
        assert all(not received for received in upstream.received)


MISBEHAVIOUR: dict[str, tuple[Sequence[Step], str]] = {
    "reset before an answer": ([RESET], "upstream_broke_off"),
    "closed before an answer": ([CLOSE], "upstream_broke_off"),
    "half a head": ([b"HTTP/1.1 200 OK\r\nConte", CLOSE], "upstream_broke_off"),
    "not HTTP": ([b"SSH-2.0-OpenSSH_9.6\r\n\r\n", CLOSE], "upstream_broke_off"),
    "two lengths": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", CLOSE],
        "upstream_broke_off",
    ),
    "a length and chunks": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
        "upstream_broke_off",
    ),
    "a NUL in a value": (
        [b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"],
        "upstream_broke_off",
    ),
    "a switch of protocols": (
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
        "upstream_broke_off",
    ),
    "interim answers without end": ([b"HTTP/1.1 100 Continue\r\n\r\n" * 20, CLOSE], "upstream_broke_off"),
    "a body shorter than its length": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", CLOSE],
        "upstream_broke_off",
    ),
    "chunks without an end": ([CHUNKED + b"2\r\n{}\r\n", CLOSE], "upstream_broke_off"),
    "a chunk size that is no number": ([CHUNKED + b"zz\r\n{}\r\n", CLOSE], "upstream_broke_off"),
    "a reset in the middle": ([CHUNKED + b"2\r\n{}\r\n", RESET], "upstream_broke_off"),
    "an endless head": ([b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 4000 + b"\r\n"], "upstream_broke_off"),
    "an oversized header": (
        [b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n"],
        "upstream_broke_off",
    ),
}


@pytest.mark.parametrize("case", MISBEHAVIOUR)
async def test_an_answer_that_cannot_be_read_in_one_way_is_a_failure(case: str) -> None:
    script, code = MISBEHAVIOUR[case]
    assert await outcome(script) == code


@pytest.mark.parametrize("case", MISBEHAVIOUR)
async def test_after_it_the_next_request_is_clean(case: str) -> None:
    script, _ = MISBEHAVIOUR[case]
    async with scripted(script, [OK]) as upstream, client(upstream.url) as gateway:
        with pytest.raises(UpstreamFailure):
            await whole(await send(gateway))
        assert await whole(await send(gateway)) == b"{}"


async def test_an_interim_answer_is_passed_over() -> None:
    assert await outcome([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK]) == ""


async def test_silence_before_the_head_and_between_events_ends_at_its_own_limit() -> None:
    assert await outcome([HOLD], first_byte_timeout="200ms") == "upstream_timeout"
    assert (
        await outcome([CHUNKED + b"2\r\n{}\r\n", HOLD], between_events_timeout="200ms") == "upstream_timeout"
    )


async def test_a_slow_answer_may_take_longer_than_any_single_limit() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        for _ in range(8):
            await asyncio.sleep(0.1)
            writer.write(b"1\r\nx\r\n")
        writer.write(b"0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client(url, between_events_timeout="500ms", first_byte_timeout="500ms") as gateway:
        assert await whole(await send(gateway)) == b"x" * 8


async def test_a_refused_connection_and_an_unknown_name_are_told_apart_from_an_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}") as gateway:
            with pytest.raises(UpstreamFailure) as refused:
                await send(gateway)
    assert refused.value.code == "upstream_unreachable"
    assert not refused.value.sent
    async with client("https://no-such-name.invalid") as gateway:
        with pytest.raises(UpstreamFailure) as unknown:
            await send(gateway)
    assert unknown.value.code == "upstream_unreachable"


async def test_a_black_hole_ends_at_the_connect_limit() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        async with client(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout="300ms") as gateway:
            with pytest.raises(UpstreamFailure) as failure:
                await send(gateway)
        for each in waiting:
            each.close()
    assert failure.value.code == "upstream_timeout"


async def test_letting_go_of_an_unread_answer_cuts_the_connection() -> None:
    async with scripted([CHUNKED + b"2\r\n{}\r\n", HOLD]) as upstream, client(upstream.url) as gateway:
        reply = await send(gateway)
        assert await reply.read() == b"{}"
        reply.close()
        await asyncio.wait_for(upstream.gone.wait(), 30)
        assert gateway.open_connections == 0


async def test_no_more_connections_are_opened_than_allowed() -> None:
    async with scripted([CHUNKED, HOLD]) as upstream, client(upstream.url, max_connections=1) as gateway:
        reply = await send(gateway)
        with pytest.raises(UpstreamFailure) as failure:
            await send(gateway)
        reply.close()
    assert failure.value.code == "overloaded"
    assert upstream.connections == 1


async def test_a_private_address_behind_a_public_name_is_refused_before_a_byte_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scripted([OK]) as upstream:
        async with client(
            f"http://gateway.example:{upstream.port}", allow_private_addresses=False
        ) as gateway:
            loop = asyncio.get_running_loop()
            real = loop.create_connection

            async def resolved_here(factory, host, port, **options):
                return await real(factory, "127.0.0.1", port, **options)

            monkeypatch.setattr(loop, "create_connection", resolved_here)
            with pytest.raises(UpstreamFailure) as failure:
                await send(gateway)
        assert failure.value.code == "upstream_unreachable"
        assert all(not received for received in upstream.received)


# -- TLS -------------------------------------------------------------------------------------------


@asynccontextmanager
async def sealed(authority: Authority, name: str, *, expired: bool = False) -> AsyncIterator[int]:
    context = authority.server(name, expired=expired)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def tls_outcome(port: int, ca_file: Path | None) -> str:
    async with client(f"https://localhost:{port}", ca_file=str(ca_file) if ca_file else None) as gateway:
        try:
            return (await whole(await send(gateway))).decode()
        except UpstreamFailure as failure:
            return failure.code


async def test_only_a_certificate_that_is_valid_for_the_name_is_believed(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    async with sealed(ours, "localhost") as port:
        assert await tls_outcome(port, ours.file) == "{}"
        assert await tls_outcome(port, theirs.file) == "upstream_unreachable"
    async with sealed(ours, "elsewhere.example") as port:
        assert await tls_outcome(port, ours.file) == "upstream_unreachable"
    async with sealed(ours, "localhost", expired=True) as port:
        assert await tls_outcome(port, ours.file) == "upstream_unreachable"


async def test_a_plain_answer_on_a_tls_port_is_a_failure(tmp_path: Path) -> None:
    received = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        received.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await tls_outcome(port, Authority(tmp_path).file) == "upstream_unreachable"
    assert b"op-upstream-key" not in received


def test_old_tls_versions_are_not_spoken() -> None:
    assert tls_context(None).minimum_version >= ssl.TLSVersion.TLSv1_2
    assert tls_context(None).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(None).check_hostname
