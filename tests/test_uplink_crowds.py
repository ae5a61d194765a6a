"""What comes on many connections at once is passed on bit by bit, in its order, and whole."""

from __future__ import annotations

import asyncio

import pytest

from proxy.core.errors import UpstreamFailure
from proxy.turns import Turns
from proxy.uplink import Uplink
from tests.crowds import most_in_one_turn
from tests.test_uplink import CHUNKED, LENGTH, Wire, begin

CROWD, MOST = 30, 4


class Cup:
    """Takes what is poured, and notes which connection's it was."""

    def __init__(self, number: int, order: list[int]) -> None:
        self.number = number
        self.order = order
        self.content = b""

    def take(self, chunk: bytes) -> bool:
        self.order.append(self.number)
        self.content += chunk
        return True

    async def drained(self) -> None:
        raise AssertionError("there was room")


def connected(turns: Turns) -> Uplink:
    made = Uplink(asyncio.get_running_loop(), Turns(asyncio.get_running_loop()), turns)
    made.connection_made(Wire())
    begin(made)
    return made


@pytest.fixture
async def busy() -> Turns:
    """Turns of which this turn of the loop has none left."""
    turns = Turns(asyncio.get_running_loop(), most=1)
    assert turns.take()
    return turns


async def pouring(made: Uplink, cup: Cup) -> asyncio.Task[None]:
    """An answer whose head has come, and whose chunks go to `cup`."""
    made.data_received(CHUNKED)
    await made.head()
    task = asyncio.get_running_loop().create_task(made.pour(cup.take, cup.drained))
    await asyncio.sleep(0)
    return task


async def test_of_many_answers_that_come_at_once_a_few_go_on_in_one_turn_of_the_loop() -> None:
    loop = asyncio.get_running_loop()
    turns, gone_on = Turns(loop, most=MOST), list[int]()

    async def read(number: int, made: Uplink) -> None:
        await made.head()
        gone_on.append(number)

    all_of_them = [Uplink(loop, turns, Turns(loop)) for _ in range(CROWD)]
    tasks = [asyncio.ensure_future(read(number, made)) for number, made in enumerate(all_of_them)]
    for made in all_of_them:
        made.connection_made(Wire())
        begin(made)
    await asyncio.sleep(0)
    for made in all_of_them:
        made.data_received(LENGTH)
    most = await most_in_one_turn(gone_on, CROWD)
    assert gone_on == list(range(CROWD))
    assert most == MOST
    await asyncio.gather(*tasks)


async def test_of_many_chunks_that_come_at_once_a_few_are_passed_on_in_one_turn_of_the_loop() -> None:
    turns, order = Turns(asyncio.get_running_loop(), most=MOST), list[int]()
    cups = [Cup(number, order) for number in range(CROWD)]
    all_of_them = [connected(turns) for _ in cups]
    tasks = [await pouring(made, cup) for made, cup in zip(all_of_them, cups, strict=True)]
    for made in all_of_them:
        made.data_received(b"3\r\none\r\n")
    assert order == list(range(MOST))
    assert await most_in_one_turn(order, CROWD) == MOST
    assert order == list(range(CROWD))
    for made in all_of_them:
        made.data_received(b"0\r\n\r\n")
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert {cup.content for cup in cups} == {b"one"}
    assert all(made.rest() for made in all_of_them)


async def test_what_follows_a_chunk_that_waits_does_not_overtake_it(busy):
    cup = Cup(0, [])
    made = connected(busy)
    task = await pouring(made, cup)
    assert busy.take()
    for piece in (b"3\r\none\r\n", b"3\r\nt", b"wo\r\n", b"0\r\n", b"\r\n"):
        made.data_received(piece)
    assert cup.content == b""
    await asyncio.wait_for(task, 10)
    assert cup.content == b"onetwo"
    assert made.rest()


async def test_much_at_once_waits_for_no_turn_and_keeps_its_order(busy):
    cup = Cup(0, [])
    made = connected(busy)
    task = await pouring(made, cup)
    assert busy.take()
    made.data_received(b"3\r\none\r\n")
    assert cup.content == b""
    made.data_received(b"4e20\r\n" + b"x" * 20_000 + b"\r\n")
    assert cup.content == b"one" + b"x" * 20_000
    made.data_received(b"0\r\n\r\n")
    await asyncio.wait_for(task, 10)


async def test_a_chunk_that_waits_when_the_connection_ends_is_passed_on_before_the_end_is_told(busy):
    cup = Cup(0, [])
    made = connected(busy)
    task = await pouring(made, cup)
    assert busy.take()
    made.data_received(b"3\r\none\r\n")
    made.connection_lost(None)
    with pytest.raises(UpstreamFailure, match="upstream_broke_off"):
        await asyncio.wait_for(task, 10)
    assert cup.content == b"one"


async def test_bytes_that_nobody_asked_for_end_the_connection_although_they_wait_for_their_turn(busy):
    cup = Cup(0, [])
    made = connected(busy)
    task = await pouring(made, cup)
    made.data_received(b"3\r\none\r\n0\r\n\r\n")
    while busy.take():
        pass
    made.data_received(LENGTH)
    await asyncio.wait_for(task, 10)
    assert cup.content == b"one"
    assert not made.rest()
    assert not made.usable
