"""Many connections are let in at one turn of the loop, and a machine without room makes nobody spin."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket

import pytest

from proxy.accepting import MANY, Acceptor
from tests.journal.kit import until


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as sock:
        yield sock


async def test_those_who_wait_are_let_in_together(listening):
    crowd = [socket.create_connection(listening.getsockname()) for _ in range(100)]
    taken: list[socket.socket] = []
    acceptor = Acceptor(listening, taken.append)
    # One turn to learn that somebody is there, one to take them.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(taken) == 100 <= MANY
    assert not any(each.getblocking() for each in taken)
    acceptor.close()
    for each in (*crowd, *taken):
        each.close()


async def test_after_the_end_nobody_is_let_in(listening):
    taken: list[socket.socket] = []
    Acceptor(listening, taken.append).close()
    assert listening.fileno() == -1
    await asyncio.sleep(0.02)
    assert not taken


async def test_without_descriptors_it_rests_and_then_goes_on(listening, monkeypatch):
    monkeypatch.setattr("proxy.accepting._AGAIN_SECONDS", 0.05)
    crowd = [socket.create_connection(listening.getsockname()) for _ in range(5)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[socket.socket] = []
    lowest = socket.socket()
    # Every descriptor below the limit is in use, so that the next accept meets it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno() + 1, hard))
    try:
        with pytest.raises(OSError) as met:
            while True:
                taken.append(socket.socket())
        assert met.value.errno == errno.EMFILE
        for each in taken:
            each.close()
        taken.clear()
        holes = fill()
        acceptor = Acceptor(listening, taken.append)
        await asyncio.sleep(0.02)
        assert not taken
        for hole in holes:
            hole.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        lowest.close()
    await until(lambda: len(taken) == 5)
    acceptor.close()
    for each in (*crowd, *taken):
        each.close()


def fill() -> list[socket.socket]:
    """Sockets until there is no descriptor left."""
    found = []
    while True:
        try:
            found.append(socket.socket())
        except OSError:
            return found
