"""The admin port: alive, ready or why not, and numbers; nothing else, and nobody's key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin import Admin
from proxy.metrics import Metrics
from tests.operations.kit import Client
from tests.running import Stage, eventually


@dataclass
class Running:
    """An admin port whose report a test can change."""

    admin: Admin
    report: dict[str, object] = field(default_factory=lambda: {"ready": True, "troubles": []})

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.admin.port}{path}"


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async def readiness() -> dict[str, object]:
        return found.report

    async def metrics() -> bytes:
        return Metrics().text()

    found = Running(Admin(readiness, metrics))
    await found.admin.start("127.0.0.1", 0)
    yield found
    await found.admin.stop()


async def get(url: str, method: str = "GET") -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as reply:
        return reply.status, reply.content_type, await reply.text()


async def test_health_tells_that_the_process_lives_be_it_ready_or_not(running: Running) -> None:
    running.report = {"ready": False, "troubles": ["no disk"]}
    assert await get(running.url("/healthz")) == (200, "text/plain", "ok\n")


async def test_readiness_is_a_status_and_says_why_not(running: Running) -> None:
    assert (await get(running.url("/readyz")))[0] == 200
    running.report = {"ready": False, "troubles": ["the gateway does not answer"]}
    status, kind, body = await get(running.url("/readyz"))
    assert (status, kind) == (503, "application/json")
    assert "the gateway does not answer" in body


async def test_a_report_that_does_not_say_is_not_ready(running: Running) -> None:
    running.report = {}
    assert (await get(running.url("/readyz")))[0] == 503


async def test_metrics_are_what_prometheus_reads(running: Running) -> None:
    status, kind, body = await get(running.url("/metrics"))
    assert (status, kind) == (200, "text/plain")
    assert {family.name for family in text_string_to_metric_families(body)} >= {"ringfence_requests"}


@pytest.mark.parametrize("path", ["/", "/metrics/", "/readyz/x", "/v1/models", "/debug"])
async def test_nothing_else_is_there(running: Running, path: str) -> None:
    assert (await get(running.url(path)))[0] == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_nothing_can_be_changed(running: Running, path: str) -> None:
    assert (await get(running.url(path), "POST"))[0] == 405


async def test_a_client_that_announces_what_it_does_not_send_does_not_hold_up_the_end(
    running: Running,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.admin.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nContent-Length: 100000\r\n\r\nabc")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    async with asyncio.timeout(5):
        await running.admin.stop()
    writer.close()


async def test_it_stops_listening_when_told() -> None:
    async def nothing() -> dict[str, object]:
        return {}

    async def empty() -> bytes:
        return b""

    admin = Admin(nothing, empty)
    await admin.stop()
    await admin.start("127.0.0.1", 0)
    port = admin.port
    await admin.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"http://127.0.0.1:{port}/healthz")


# -- a running proxy -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_clients_cannot_reach_it_through_their_port(stage: Stage, path: str) -> None:
    status, _, body = await get(f"{stage.url}{path}")
    assert status in (401, 404)
    assert "ringfence_" not in body


def test_whatever_clients_send_the_numbers_stay_bounded(stage: Stage) -> None:
    """Model names, paths, keys and methods that nobody has seen before make no new series."""

    def series() -> int:
        return len([line for line in stage.metrics().splitlines() if line.startswith("ringfence_")])

    def strange(number: int) -> None:
        client = Client(stage)
        client.status(f"CANARY-{number}", User_Agent=f"agent-{number}")
        client.connection.request("POST", f"/v1/CANARY-{number}", b"{}", _bearer(stage.keys["open"]))
        client.connection.getresponse().read()
        client.close()
        other = Client(stage)
        other.connection.request("GET", "/v1/models", headers=_bearer(f"sk-CANARY-{number}-unknown"))
        other.connection.getresponse().read()
        other.close()

    strange(0)
    before = _settled(series)
    for number in range(1, 40):
        strange(number)
    assert _settled(series) == before
    assert "CANARY" not in stage.metrics()


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _settled(count: Callable[[], int]) -> int:
    """A number once two looks agree."""
    return eventually(lambda: found if (found := count()) == count() else None)


def test_the_report_of_a_running_proxy_names_its_revision_and_log(stage: Stage) -> None:
    report = stage.ready()
    assert report["ready"] is True
    assert report["troubles"] == []
    assert str(report["revision"]).startswith("sha256:")
    assert report["log"] == "ringfence/r0/w0/000001"
