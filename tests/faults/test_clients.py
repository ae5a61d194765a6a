"""Clients that are slow, leave, or come in crowds; limits of the machine that are met."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bypass.attempt import attempt
from tests.bypass.cases import Step
from tests.faults.kit import Broken, ask, broken, code, holds, needs, outcomes, request, status, until
from tests.faults.measure import descriptors, resident

QUICK: dict[str, Any] = {"listen": {"header_deadline": "1s", "body_deadline": "1s"}}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    with broken(tmp_path_factory.mktemp("clients") / "proxy", config=QUICK) as stage:
        yield stage
        stage.forget()
        holds(stage)


@pytest.fixture
def stage(proxy: Broken) -> Iterator[Broken]:
    proxy.forget()
    yield proxy
    proxy.forget()


# -- slow and gone ---------------------------------------------------------------------------------


@pytest.mark.fault("F20")
async def test_a_client_that_does_not_read_pauses_the_gateway_and_costs_little_memory(stage: Broken) -> None:
    before = resident(stage)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", stage.port))
    with connection:
        connection.sendall(request(stage, stream=True, text="[[words:200000]]"))
        sent = await _at_rest(stage)
        assert 0 < sent < 200_000, "the gateway was read to its end"
        assert resident(stage) - before < 32 << 20
    assert outcomes(stage)[-1]["end"] == "client_gone"


async def _at_rest(stage: Broken) -> int:
    """How many events the gateway has written once it writes no more, however busy the machine is."""
    before, still = -1, 0
    while still < 10:
        await asyncio.sleep(0.2)
        sent = stage.seen[-1].events_sent if stage.seen else 0
        still = still + 1 if sent == before > 0 else 0
        before = sent
    return before


@pytest.mark.fault("F21")
async def test_a_client_that_leaves_mid_stream_stops_the_gateway_within_a_second(stage: Broken) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(request(stage, stream=True, text="[[words:50]] [[pace:50]]"))
    await reader.readuntil(b"data:")
    left = time.monotonic_ns()
    writer.transport.abort()
    gone = await until(_gone(stage))
    assert gone - left < 1_000_000_000
    assert outcomes(stage)[-1]["end"] == "client_gone"


@pytest.mark.fault("F22")
async def test_a_client_that_leaves_at_once_leaves_an_outcome_for_every_intent(stage: Broken) -> None:
    for pause in (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008) * 10:
        _, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(request(stage))
        await asyncio.sleep(pause)
        writer.transport.abort()
    holds(stage, verify=False)
    ends = {record["end"] for record in outcomes(stage)}
    assert ends & {"client_gone", "not_sent"}


def _gone(stage: Broken) -> Any:
    async def look() -> int | None:
        return next((seen.gone_ns for seen in stage.seen if seen.gone_ns is not None), None)

    return look


@pytest.mark.fault("F33")
@pytest.mark.parametrize(
    ("first", "every"),
    [(b"", b""), (b"POST /v1/chat", b""), (b"POST /v1/chat/completions HTTP/1.1\r\nX: ", b"a")],
    ids=["nothing", "half a line", "a byte now and then"],
)
async def test_a_head_that_does_not_come_is_cut_at_its_deadline(
    stage: Broken, first: bytes, every: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    begun = time.monotonic()
    writer.write(first)
    closing = asyncio.ensure_future(reader.read())
    while not closing.done() and time.monotonic() - begun < 10:
        with contextlib.suppress(ConnectionError):
            writer.write(every)
        await asyncio.wait({closing}, timeout=0.1)
    assert closing.done()
    assert time.monotonic() - begun < 4
    writer.close()


@pytest.mark.fault("F33")
@pytest.mark.parametrize("every", [b"", b"x"], ids=["nothing", "a byte now and then"])
async def test_a_body_that_does_not_come_is_408_at_its_deadline(stage: Broken, every: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    begun = time.monotonic()
    head, _, _ = request(stage).partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n{")
    answer = asyncio.ensure_future(reader.read())
    while not answer.done() and time.monotonic() - begun < 10:
        with contextlib.suppress(ConnectionError):
            writer.write(every)
        await asyncio.wait({answer}, timeout=0.1)
    assert answer.result().startswith(b"HTTP/1.1 408 ")
    assert b"body_timeout" in answer.result()
    assert time.monotonic() - begun < 5
    assert not stage.seen
    writer.close()


@pytest.mark.fault("F33")
async def test_the_second_request_of_a_connection_has_a_deadline_too(stage: Broken) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(request(stage, close=False))
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"POST /v1/chat/comp")
    begun = time.monotonic()
    await reader.read()
    assert time.monotonic() - begun < 4
    writer.close()


# -- crowds and limits -----------------------------------------------------------------------------


@pytest.mark.fault("F34")
async def test_connections_beyond_the_limit_get_503_and_established_ones_go_on(tmp_path: Path) -> None:
    with broken(
        tmp_path / "proxy", config={"listen": {"max_connections": 20, "header_deadline": "30s"}}
    ) as stage:
        stage.fault("stall", after=200)
        streaming = asyncio.ensure_future(ask(stage, stream=True, text="[[words:40]]"))
        await until(_sees(stage, 1))
        idle = [await asyncio.open_connection("127.0.0.1", stage.port) for _ in range(25)]
        refused = await ask(stage)
        assert (status(refused), code(refused)) == (503, "overloaded")
        for _, writer in idle:
            writer.close()
        stage.on_loop(_release(stage))
        assert (await streaming).answers[0].whole
        await until(_serves(stage))
        holds(stage)


@pytest.mark.fault("F35")
async def test_running_out_of_descriptors_is_survived(tmp_path: Path) -> None:
    prefix = [needs("prlimit"), "--nofile=64:64"]
    with broken(tmp_path / "proxy", prefix=prefix) as stage:
        crowd = []
        for _ in range(100):
            with contextlib.suppress(OSError):
                crowd.append(await asyncio.wait_for(asyncio.open_connection("127.0.0.1", stage.port), 1))
        await asyncio.sleep(0.5)
        assert stage.process is not None
        assert stage.process.poll() is None
        assert descriptors(stage) <= 64
        for _, writer in crowd:
            writer.transport.abort()
        await until(_serves(stage))
        holds(stage)


@pytest.mark.fault("F36")
async def test_more_bodies_than_the_budget_are_shed_and_the_rest_served(tmp_path: Path) -> None:
    limits = {"listen": {"max_body_bytes": "10MB", "body_budget_bytes": "40MB", "body_deadline": "60s"}}
    prefix = [needs("prlimit"), f"--as={3 << 30}"]
    with broken(tmp_path / "proxy", config=limits, prefix=prefix) as stage:
        large = request(stage, text="x" * 9_000_000)
        before = resident(stage)
        steps = (Step(data=large[:-1], wait=1.0), Step(data=large[-1:]))
        answers = await asyncio.gather(*(attempt(stage.port, steps, patience=60) for _ in range(30)))
        found = [status(answered) for answered in answers]
        assert found.count(200) >= 1
        assert found.count(503) >= 1
        assert set(found) <= {200, 503, 0}
        assert resident(stage) - before < 400 << 20
        too_large = await ask(stage, text="x" * 11_000_000)
        assert status(too_large) in (413, 0)
        await until(_serves(stage))
        holds(stage)


def _sees(stage: Broken, number: int) -> Any:
    async def look() -> bool:
        return len(stage.seen) >= number

    return look


def _serves(stage: Broken) -> Any:
    async def look() -> bool:
        try:
            return status(await ask(stage, patience=5)) == 200
        except OSError:
            return False

    return look


async def _release(stage: Broken) -> None:
    stage.simulator.faults.release()
