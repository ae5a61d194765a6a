"""One connection may mix requests of both ways: each gets its own answer, in order, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.core.values import RawRequest
from proxy.pipeline import Pipeline
from proxy.simulator import Fault
from proxy.turns import MOST, Turns
from tests.assembled import chat
from tests.bypass.http1 import Message
from tests.journal.kit import until
from tests.test_server import SMALL, Door, Line, opened, refused

BODY = json.dumps(chat()).encode()


def whole(door: Door, body: bytes = BODY) -> bytes:
    """A request that can be cut in one way only."""
    return door.request(body)


def parsed(door: Door, body: bytes = BODY) -> bytes:
    """A request that takes aiohttp's parser: its body comes in chunks."""
    return door.head(Transfer_Encoding="chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def asked(line: Line, request: bytes) -> Message:
    await line.send(request)
    return await line.answer()


async def test_a_request_that_came_whole_goes_past_the_parser(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.line() as line:
        for number in range(1, 4):
            assert (await asked(line, whole(door))).status == 200
            assert len(door.stand.seen) == number
        assert door.front.requests_count == 0


async def test_both_ways_may_be_mixed_on_one_connection(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.line() as line:
        for request in (whole(door), parsed(door), whole(door), door.head("GET", "/v1/models"), whole(door)):
            assert (await asked(line, request)).status == 200
        assert door.front.requests_count == 2
        assert len(door.stand.seen) == 4


async def test_what_comes_before_the_answer_is_answered_after_it_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.line() as line:
        door.stand.simulator.faults.add(Fault("status", status=418, after=0))
        door.stand.simulator.faults.add(Fault("delay", delay_ms=200))
        assert (await asked(line, whole(door))).status == 418
        await line.send(whole(door))
        await until(lambda: len(door.stand.seen) == 2)
        await line.send(door.head("GET", "/v1/nowhere"), parsed(door))
        odd = door.head(X_Long="a" * 20_000, Content_Length="2") + b"{}"
        await line.send(odd * 4, whole(door))
        assert [(await line.answer()).status for _ in range(8)] == [200, 404, 200, *[403] * 4, 200]


async def test_a_request_in_pieces_takes_the_parser_and_gets_the_same_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.line() as line:
        request = whole(door)
        for cut in (1, 40, len(request) - 1):
            await line.send(request[:cut])
            await asyncio.sleep(0.02)
            assert (await asked(line, request[cut:])).status == 200
        assert door.front.requests_count == 3


async def test_an_answer_may_take_longer_than_a_connection_may_idle(tmp_path: Path) -> None:
    async with opened(tmp_path, header_deadline="200ms") as door, door.line() as line:
        assert (await asked(line, whole(door))).status == 200
        door.stand.simulator.faults.add(Fault("delay", delay_ms=700))
        assert (await asked(line, whole(door))).status == 200
        await asyncio.sleep(0.05)
        assert (await asked(line, whole(door))).status == 200
        assert await line.rest() == b"", "an idle connection is closed by itself"


@pytest.mark.parametrize("way", [whole, parsed])
async def test_of_a_crowd_only_a_few_begin_in_one_turn_of_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[Door], bytes]
) -> None:
    begun, turns, serve = Counter[int](), itertools.count(), Pipeline.serve
    turn = [next(turns)]

    def another() -> None:
        turn[0] = next(turns)

    async def noted(self: Pipeline, raw: RawRequest) -> object:
        begun[turn[0]] += 1
        asyncio.get_running_loop().call_soon(another)
        return await serve(self, raw)

    async with opened(tmp_path) as door, AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(door.line()) for _ in range(40)]
        monkeypatch.setattr(Pipeline, "serve", noted)
        for line in lines:
            await line.send(way(door))
        assert [(await line.answer()).status for line in lines] == [200] * 40
        assert begun.total() == 40
        assert max(begun.values()) <= MOST


async def test_who_waits_for_a_turn_counts_as_waiting(tmp_path: Path) -> None:
    async with opened(tmp_path, max_waiting=4) as door, AsyncExitStack() as stack:
        door.front._turns = Turns(asyncio.get_running_loop(), most=0)
        for _ in range(4):
            await (await stack.enter_async_context(door.line())).send(whole(door))
        await until(lambda: door.front._turns.waiting == 4)
        assert door.front.full()
        async with door.line() as line:
            refused(await asked(line, whole(door)), "overloaded")
        assert not door.stand.seen


async def test_a_client_that_leaves_takes_its_request_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        door.stand.simulator.faults.add(Fault("stall"))
        async with door.line() as line:
            await line.send(whole(door))
            await until(lambda: len(door.stand.seen) == 1)
            line.leave()
        await until(lambda: door.front.busy == 0)
        assert [record["end"] for record in await door.stand.records("outcome")] == ["client_gone"]
        assert door.front.entering == door.front.budget.held == 0


@pytest.mark.parametrize("way", [whole, parsed])
async def test_a_client_that_takes_nothing_of_its_answer_is_cut_and_frees_its_place_at_the_gateway(
    tmp_path: Path, way: Callable[[Door, bytes], bytes]
) -> None:
    much = json.dumps(chat(text="[[words:100000]]", stream=True)).encode()
    async with opened(tmp_path, answer_deadline="300ms") as door, door.line() as line:
        await line.send(way(door, much))
        await until(lambda: len(door.stand.seen) == 1)
        await until(lambda: door.front.busy == 0)
        assert door.stand.seen[0].events_sent < 100_000
        assert [record["end"] for record in await door.stand.records("outcome")] == ["client_gone"]
        assert door.stand.assembly.gateway.open_connections == 0
        assert not (await line.rest()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("way", [whole, parsed])
async def test_a_gateway_that_breaks_off_is_no_fault_of_ours(
    tmp_path: Path, way: Callable[[Door, bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path) as door, door.line() as line:
        door.stand.simulator.faults.add(Fault("reset", after=60))
        await line.send(way(door, json.dumps(chat(stream=True)).encode()))
        assert not (await line.rest()).endswith(b"0\r\n\r\n")
        await until(lambda: door.front.busy == 0)
        assert [record["end"] for record in await door.stand.records("outcome")] == ["upstream_reset"]
    assert "proxy_fault" not in capsys.readouterr().out


async def test_a_fault_of_ours_is_said_in_our_words_and_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Pipeline, raw: object) -> object:
        raise RuntimeError("kanarie")

    monkeypatch.setattr(Pipeline, "serve", broken)
    async with opened(tmp_path) as door, door.line() as line:
        message = await asked(line, whole(door))
        refused(message, "proxy_fault")
        assert b"kanarie" not in await line.rest()
        assert message.all(b"connection") == [b"close"]


async def test_a_fault_of_ours_has_nobody_to_tell_when_the_client_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))

    async def broken(self: Pipeline, raw: object) -> object:
        for connection in door.front.connections:
            assert connection.transport is not None
            connection.transport.abort()
        raise RuntimeError("kanarie")

    monkeypatch.setattr(Pipeline, "serve", broken)
    async with opened(tmp_path) as door, door.line() as line:
        await line.send(whole(door))
        assert await line.rest() == b""
        await until(lambda: door.front.busy == 0)
        gc.collect()
    assert not troubles


async def test_a_body_beyond_the_common_budget_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    async with opened(tmp_path, max_body_bytes=SMALL, body_budget_bytes=SMALL) as door, door.line() as line:
        door.front.budget.take(65_530)
        refused(await asked(line, whole(door)), "overloaded")
        door.front.budget.release(65_530)
        assert (await asked(line, whole(door))).status == 200
        assert door.front.budget.held == 0


async def test_the_last_answer_of_a_proxy_that_drains_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.line() as line:
        door.stand.simulator.faults.add(Fault("delay", delay_ms=200))
        await line.send(whole(door))
        await until(lambda: len(door.stand.seen) == 1)
        door.front.draining = True
        door.front.stop_listening_to_idle()
        message = await line.answer()
        assert (message.status, message.all(b"connection")) == (200, [b"close"])
        assert await line.rest() == b""


async def test_an_answer_that_does_not_end_is_cut_when_the_time_is_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.line() as line:
        door.stand.simulator.faults.add(Fault("stall"))
        await line.send(whole(door))
        await until(lambda: len(door.stand.seen) == 1)
        door.front.cutting = True
        await door.front.shutdown(0.1)
        assert not (await line.rest()).endswith(b"0\r\n\r\n"), "nobody may take it for whole"
        await until(lambda: door.front.busy == 0)
        assert [record["end"] for record in await door.stand.records("outcome")] == ["shutdown"]
