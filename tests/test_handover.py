"""Messages and connections between processes: whole, in order, and an end that is noticed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from proxy.handover import MOST_BYTES, Channel, Letter, pair


@dataclass
class End:
    """One end, and what it heard."""

    channel: Channel | None = None
    heard: list[tuple[Letter, bytes]] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    gone: int = 0

    def hear(self, letter: Letter, body: bytes, connection: socket.socket | None) -> None:
        self.heard.append((letter, body))
        if connection is not None:
            self.connections.append(connection)

    def leave(self) -> None:
        self.gone += 1

    def say(self, letter: Letter, body: bytes = b"", connection: socket.socket | None = None) -> bool:
        assert self.channel is not None
        return self.channel.say(letter, body, connection)

    def close(self) -> None:
        assert self.channel is not None
        self.channel.close()


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    found = End(), End()
    for end, sock in zip(found, pair(), strict=True):
        end.channel = Channel(sock, end.hear, end.leave)
    yield found
    for end in found:
        end.close()
        for connection in end.connections:
            connection.close()


async def until(true: object) -> None:
    """Let the loop turn until something is so."""
    assert callable(true)
    async with asyncio.timeout(10):
        while True:
            if true():
                return
            await asyncio.sleep(0)


async def test_messages_come_whole_and_in_order(ends: tuple[End, End]) -> None:
    one, other = ends
    said = [(letter, bytes([number]) * number) for number, letter in enumerate(Letter)]
    assert all(one.say(letter, body) for letter, body in said)
    await until(lambda: len(other.heard) == len(said))
    assert other.heard == said


async def test_both_ends_can_talk(ends: tuple[End, End]) -> None:
    one, other = ends
    one.say(Letter.TELL)
    other.say(Letter.TOLD, b"{}")
    await until(lambda: one.heard and other.heard)
    assert (one.heard, other.heard) == ([(Letter.TOLD, b"{}")], [(Letter.TELL, b"")])


async def test_a_worker_may_say_much_at_once(ends: tuple[End, End]) -> None:
    one, other = ends
    body = bytes(range(256)) * ((MOST_BYTES // 2) // 256)
    assert one.say(Letter.TOLD, body)
    await until(lambda: other.heard)
    assert other.heard == [(Letter.TOLD, body)]


async def test_a_connection_travels_and_serves_after_its_sender_let_go(ends: tuple[End, End]) -> None:
    one, other = ends
    client, server = socket.socketpair()
    with server:
        assert one.say(Letter.CONNECTION, connection=server)
    await until(lambda: other.connections)
    other.connections[0].sendall(b"hello")
    with client:
        assert client.recv(5) == b"hello"


async def test_an_end_that_closes_is_noticed_once_and_can_be_told_nothing_more(
    ends: tuple[End, End],
) -> None:
    one, other = ends
    one.close()
    await until(lambda: other.gone)
    assert other.gone == 1
    assert other.say(Letter.UP) is False
    other.close()
    assert other.gone == 1


async def test_what_was_said_before_the_end_is_heard_before_it(ends: tuple[End, End]) -> None:
    one, other = ends
    for _ in range(200):
        one.say(Letter.CLOSED)
    one.close()
    await until(lambda: other.gone)
    assert len(other.heard) == 200


async def test_one_who_does_not_listen_blocks_nobody(ends: tuple[End, End]) -> None:
    one, _ = ends
    body = b"x" * 1000
    said = 0
    while one.say(Letter.TOLD, body):
        said += 1
        assert said < 100_000
    assert said > 0
