"""the load client tells a whole answer from a broken one, however the bytes are cut"""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import wire
from benchmarks.client import Reading
from benchmarks.loader import Load, Run
from benchmarks.upstream import Script, Upstream

STREAM = (
    wire.STREAM_HEAD
    + b"".join(wire.chunk(n, last=False) for n in range(3))
    + wire.chunk(9, last=True)
    + wire.STREAM_END
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
@settings(deadline=None)
def test_every_event_is_counted_once_wherever_a_stream_is_cut(cuts):
    reading = Reading()
    edges = [0, *sorted(cuts), len(STREAM)]
    ends = [reading.feed(STREAM[a:b]) for a, b in itertools.pairwise(edges) if a < b]
    assert ends == [False] * (len(ends) - 1) + [True]
    assert (reading.events, reading.ok, reading.streamed_whole) == (4, True, True)


def test_a_stream_without_its_own_last_event_is_not_whole():
    reading = Reading()
    reading.feed(wire.STREAM_HEAD + wire.chunk(1, last=False) + wire.STREAM_END)
    assert not reading.streamed_whole


@pytest.fixture
async def mock_port():
    script = Script(b'{"models":[]}')
    script.pace = 0.001
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(script), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("kind", ["chat", "agent", "image"])
async def test_the_mock_answers_each_kind_and_no_answer_fails(mock_port, kind):
    tally = await Run(Load(mock_port, kind, connections=2, seconds=0.1)).go()
    assert tally.answered > 0
    assert tally.failed == 0
    assert len(tally.latencies) == tally.answered


async def test_every_chunk_of_every_stream_arrives_with_its_time_of_travel(mock_port):
    tally = await Run(Load(mock_port, "stream", connections=2, seconds=0.1)).go()
    assert tally.chunks == tally.answered * wire.STREAM_CHUNKS > 0
    assert all(transit > 0 for transit in tally.transits)


async def test_an_open_loop_sends_as_many_as_its_rate_says(mock_port):
    tally = await Run(Load(mock_port, "chat", connections=4, seconds=0.2, rate=100)).go()
    assert (tally.answered, tally.failed) == (20, 0)


async def test_a_server_that_refuses_or_cuts_is_counted_as_failing():
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    tally = await Run(Load(server.sockets[0].getsockname()[1], "chat", connections=1, seconds=0.1)).go()
    server.close()
    assert tally.answered == 0
    assert tally.failed > 0


def test_a_load_is_bounded_in_connections_and_time():
    with pytest.raises(ValueError, match="at most"):
        Load(1, "chat", connections=5_001, seconds=1)
    with pytest.raises(ValueError, match="at most"):
        Load(1, "chat", connections=1, seconds=121)
