"""connections to the gateway are used again when their answer was read whole, and only then"""

from __future__ import annotations

import pytest

from proxy.core.approval import approve
from proxy.core.errors import UpstreamFailure
from proxy.core.values import (
    Basis,
    Decision,
    Digest,
    Finding,
    Outcome,
    PolicyId,
    PolicyRef,
    Receipt,
    Route,
    RouteId,
    UpstreamRequest,
)
from proxy.gateway import Gateway, UpstreamReply
from proxy.settings import GatewaySettings
from tests.scripted import CLOSE, HOLD, NEXT, OK, RESET, scripted

POLICY = PolicyId("p")
MET = Finding(POLICY, "training", Outcome.MET, "forbidden", "never", Basis.CATALOGUE, "test", "a/b")
APPROVED = approve(
    Decision(
        allowed=True,
        reason="allowed",
        route=Route(RouteId("a/b"), "a", "b", "chat", {}),
        findings=(MET,),
        edits=(),
        rewrites=(),
        policies=(PolicyRef(POLICY, Digest("sha256:" + "0" * 64)),),
    )
)
REQUEST = UpstreamRequest("POST", "/v3/compat/chat/completions", (), b"{}")


async def _send(gateway: Gateway) -> UpstreamReply:
    return await gateway.send(APPROVED, Receipt("log", 1, "0" * 64), REQUEST, key=b"op-key")


async def _whole(reply: UpstreamReply) -> bytes:
    body = b""
    while chunk := await reply.read():
        body += chunk
    return body


@pytest.fixture
def gateway_to():
    opened = []

    def open_gateway(url: str, max_connections: int = 1024) -> Gateway:
        settings = GatewaySettings(
            base_url=url, allow_private_addresses=True, max_connections=max_connections
        )
        gateway = Gateway(settings)
        opened.append(gateway)
        return gateway

    yield open_gateway
    for gateway in opened:
        gateway.close()


async def test_a_connection_whose_answer_was_read_whole_carries_the_next_request(gateway_to):
    async with scripted([OK, NEXT, OK, NEXT, OK, HOLD]) as upstream:
        gateway = gateway_to(upstream.url)
        for _ in range(3):
            assert await _whole(await _send(gateway)) == b"{}"
        assert upstream.connections == gateway.open_connections == 1


async def test_a_connection_with_an_unread_answer_is_cut_and_not_used_again(gateway_to):
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"
    async with scripted([half, HOLD], [OK, HOLD]) as upstream:
        gateway = gateway_to(upstream.url)
        (await _send(gateway)).close()
        assert gateway.open_connections == 0
        assert await _whole(await _send(gateway)) == b"{}"
        assert upstream.connections == 2


async def test_a_connection_that_the_gateway_wants_closed_is_not_used_again(gateway_to):
    closing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    async with scripted([closing, CLOSE], [OK, HOLD]) as upstream:
        gateway = gateway_to(upstream.url)
        for _ in range(2):
            await _whole(await _send(gateway))
        assert upstream.connections == 2


@pytest.mark.parametrize("end", [RESET, CLOSE])
async def test_a_connection_that_breaks_within_its_answer_makes_room_for_another(gateway_to, end):
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"
    async with scripted(*[[half, end]] * 3, [OK, HOLD]) as upstream:
        gateway = gateway_to(upstream.url, max_connections=1)
        for _ in range(3):
            with pytest.raises(UpstreamFailure):
                await _whole(await _send(gateway))
            assert gateway.open_connections == 0
        assert await _whole(await _send(gateway)) == b"{}"
