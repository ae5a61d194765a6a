"""A crowd is let in bit by bit, in its order, and the loop turns in between."""

from __future__ import annotations

import asyncio

import pytest

from proxy.turns import Turns
from tests.crowds import most_in_one_turn


async def _begin(turns: Turns, number: int, begun: list[int]) -> None:
    if not turns.take():
        await turns.wait()
    begun.append(number)


async def test_a_few_begin_at_once_without_waiting() -> None:
    turns = Turns(asyncio.get_running_loop(), most=3)
    assert [turns.take() for _ in range(4)] == [True, True, True, False]


async def test_a_turn_later_there_is_room_again() -> None:
    turns = Turns(asyncio.get_running_loop(), most=1)
    for _ in range(3):
        assert turns.take()
        assert not turns.take()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_a_crowd_begins_in_its_order_and_the_loop_turns_between_each_few() -> None:
    begun: list[int] = []
    turns = Turns(asyncio.get_running_loop(), most=4)
    tasks = [asyncio.create_task(_begin(turns, number, begun)) for number in range(30)]
    most = await most_in_one_turn(begun, 30)
    assert begun == list(range(30))
    assert most == 4
    await asyncio.gather(*tasks)


async def test_who_leaves_while_waiting_takes_no_turn() -> None:
    begun: list[int] = []
    turns = Turns(asyncio.get_running_loop(), most=1)
    tasks = [asyncio.create_task(_begin(turns, number, begun)) for number in range(4)]
    await asyncio.sleep(0)
    assert turns.waiting == 3
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait_for(tasks[3], 10)
    assert begun == [0, 3]
    for task in tasks[1:3]:
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_whoever_is_woken_goes_on_when_a_turn_has_room() -> None:
    loop = asyncio.get_running_loop()
    turns = Turns(loop, most=2)
    waiters: list[asyncio.Future[None]] = [loop.create_future() for _ in range(5)]
    for waiter in waiters:
        turns.wake(waiter)
    assert [waiter.done() for waiter in waiters] == [True, True, False, False, False]
    waiters[2].cancel()
    await asyncio.wait_for(waiters[4], 10)
    assert not waiters[3].cancelled()
