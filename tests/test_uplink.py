"""a connection reads an answer the same however its bytes are cut, and never mixes two of them"""

from __future__ import annotations

import asyncio
import gc
import math

import pytest

from proxy.core.errors import UpstreamFailure
from proxy.plain import cut_answer
from proxy.turns import Turns
from proxy.uplink import Uplink

REQUEST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"
EMPTY = (b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
SURPLUS = (b"x", b"HTTP/1.1 200 OK\r\n", LENGTH, b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r")
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH


class Wire(asyncio.Transport):
    """A transport that keeps what was written and says what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def fresh() -> Uplink:
    loop = asyncio.get_running_loop()
    return Uplink(loop, Turns(loop), Turns(loop))


@pytest.fixture
async def uplink() -> tuple[Uplink, Wire]:
    made, wire = fresh(), Wire()
    made.connection_made(wire)
    return made, wire


def begin(uplink: Uplink, *, bodiless: bool = False) -> None:
    uplink.send(REQUEST, b"{}", bodiless=bodiless, first_byte=10, between=5)


async def whole(uplink: Uplink) -> bytes:
    await uplink.head()
    body = b""
    while chunk := await uplink.read():
        body += chunk
    return body


@pytest.mark.parametrize("answer", [LENGTH, CHUNKS, INTERIM])
async def test_an_answer_is_the_same_wherever_its_bytes_are_cut(uplink, answer):
    made, wire = uplink
    for cut in range(1, len(answer)):
        begin(made)
        made.data_received(answer[:cut])
        made.data_received(answer[cut:])
        assert await whole(made) == b"hello"
        assert made.rest()
    for one in range(3):
        begin(made)
        for at in range(len(answer)):
            made.data_received(answer[at : at + 1])
        assert await whole(made) == b"hello", one
        assert made.rest()
    assert not wire.aborted


@pytest.mark.parametrize("answer", [LENGTH, CHUNKS])
@pytest.mark.parametrize("surplus", SURPLUS)
@pytest.mark.parametrize("apart", [False, True])
async def test_bytes_after_an_answer_end_the_connection_and_never_become_another_answer(
    uplink, answer, surplus, apart
):
    made, _ = uplink
    begin(made)
    for part in (answer, surplus) if apart else (answer + surplus,):
        made.data_received(part)
    assert await whole(made) == b"hello"
    assert not made.rest()


async def test_bytes_that_come_before_a_request_end_the_connection(uplink):
    made, wire = uplink
    made.data_received(LENGTH)
    assert wire.aborted
    assert not made.usable


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n",
        b"HTTP/1.1 200 OK\rX-A: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: \x00\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000,
    ],
)
async def test_a_head_with_two_readings_fails_at_once_and_not_at_its_deadline(uplink, head):
    made, wire = uplink
    begin(made)
    made.data_received(head)
    with pytest.raises(UpstreamFailure, match="upstream_broke_off"):
        await made.head()
    assert wire.aborted


@pytest.mark.parametrize("answer", EMPTY)
async def test_an_answer_without_a_body_ends_with_its_head(uplink, answer):
    made, _ = uplink
    begin(made)
    made.data_received(answer)
    assert await whole(made) == b""
    assert made.rest()


async def test_an_answer_to_head_has_no_body_whatever_its_length_says(uplink):
    made, _ = uplink
    begin(made, bodiless=True)
    made.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert await whole(made) == b""
    assert made.rest()


async def test_what_has_come_is_read_before_the_failure_is_told(uplink):
    made, _ = uplink
    begin(made)
    made.data_received(CHUNKS[: CHUNKS.index(b"2;x")])
    made.connection_lost(None)
    await made.head()
    assert await made.read() == b"hel"
    with pytest.raises(UpstreamFailure, match="upstream_broke_off"):
        await made.read()


async def test_a_body_that_only_a_closed_connection_ends_says_so(uplink):
    made, _ = uplink
    begin(made)
    made.data_received(b"HTTP/1.1 200 OK\r\n\r\nhello")
    made.connection_lost(None)
    assert await whole(made) == b"hello"
    assert made.ends_by_closing
    assert not made.rest()


async def test_a_reader_that_lags_pauses_the_gateway_and_is_not_timed_out(uplink):
    made, wire = uplink
    begin(made)
    made.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 300_000)
    assert not wire.reading
    assert made.deadline == math.inf
    await made.head()
    assert len(await made.read()) == 300_000
    assert wire.reading
    assert made.deadline < math.inf


async def test_a_connection_that_was_paused_at_the_end_reads_its_next_answer(uplink):
    made, wire = uplink
    begin(made)
    made.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000)
    assert len(await whole(made)) == 300_000
    assert made.rest()
    assert wire.reading


async def test_silence_is_a_time_out_only_from_the_deadline_on(uplink):
    made, _ = uplink
    begin(made)
    made.expire(made.deadline - 0.001)
    made.data_received(CHUNKED)
    await made.head()
    made.expire(made.deadline)
    with pytest.raises(UpstreamFailure, match="upstream_timeout"):
        await made.read()


LARGE = bytes(range(256)) * 4_000


async def test_a_large_body_is_written_in_slices_with_turns_of_the_loop_between(uplink):
    made, wire = uplink
    made.send(REQUEST, LARGE, bodiless=False, first_byte=10, between=5)
    assert len(wire.written) < 300_000
    for _ in range(20):
        await asyncio.sleep(0)
    assert wire.written == REQUEST + LARGE
    made.data_received(LENGTH)
    assert await whole(made) == b"hello"
    assert made.rest()


async def test_a_large_body_waits_while_the_gateway_does_not_take_it(uplink):
    made, wire = uplink
    made.send(REQUEST, LARGE, bodiless=False, first_byte=10, between=5)
    made.pause_writing()
    for _ in range(20):
        await asyncio.sleep(0)
    waiting = len(wire.written)
    assert waiting < len(LARGE)
    made.resume_writing()
    for _ in range(20):
        await asyncio.sleep(0)
    assert wire.written == REQUEST + LARGE


async def test_an_answer_before_the_body_was_taken_leaves_no_connection_to_use_again(uplink):
    made, _ = uplink
    made.send(REQUEST, LARGE, bodiless=False, first_byte=10, between=5)
    made.data_received(LENGTH)
    assert await whole(made) == b"hello"
    assert not made.rest()


async def test_a_connection_that_broke_within_its_chunks_is_forgotten_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        await _break_within_chunks()
        assert not [each for each in gc.get_objects() if isinstance(each, Uplink)]
    finally:
        gc.enable()


async def _break_within_chunks() -> None:
    made = fresh()
    made.connection_made(Wire())
    begin(made)
    made.data_received(CHUNKED + b"5\r\nhel")
    made.connection_lost(ConnectionResetError())
    with pytest.raises(UpstreamFailure):
        await whole(made)


# -- pouring ---------------------------------------------------------------------------------------


class Cup:
    """Takes chunks until it is full, and is emptied by whoever waits for it."""

    def __init__(self, room: int = 100) -> None:
        self.chunks: list[bytes] = []
        self.room = room
        self.emptied = 0

    def take(self, chunk: bytes) -> bool:
        self.chunks.append(chunk)
        self.room -= 1
        return self.room > 0

    async def drained(self) -> None:
        self.emptied += 1
        self.room = 100


async def test_each_chunk_is_given_away_at_the_moment_it_comes(uplink):
    made, _ = uplink
    cup = Cup()
    begin(made)
    made.data_received(CHUNKED)
    await made.head()
    async with asyncio.TaskGroup() as group:
        group.create_task(made.pour(cup.take, cup.drained))
        await asyncio.sleep(0)
        for number, part in enumerate((b"one", b"two", b"three"), 1):
            made.data_received(b"%x\r\n%b\r\n" % (len(part), part))
            assert len(cup.chunks) == number, "no turn of the loop lies between"
        made.data_received(b"0\r\n\r\n")
    assert b"".join(cup.chunks) == b"onetwothree"
    assert made.rest()


async def test_nothing_is_given_to_who_has_no_room_before_there_is_some(uplink):
    made, _ = uplink
    cup = Cup(room=1)
    begin(made)
    made.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    await made.head()
    async with asyncio.TaskGroup() as group:
        group.create_task(made.pour(cup.take, cup.drained))
        await asyncio.sleep(0)
        for part in (b"abc", b"def", b"ghi"):
            made.data_received(part)
        assert (cup.chunks, cup.emptied) == ([b"abc"], 0)
    assert (cup.chunks, cup.emptied) == ([b"abc", b"defghi"], 1)


async def test_a_taker_that_fails_is_told_so_and_the_loop_is_not_troubled(uplink):
    made, _ = uplink
    begin(made)
    made.data_received(CHUNKED)
    await made.head()

    def broken(chunk: bytes) -> bool:
        raise ConnectionResetError("the client has left")

    pouring = asyncio.get_running_loop().create_task(made.pour(broken, Cup().drained))
    await asyncio.sleep(0)
    made.data_received(b"3\r\none\r\n")
    with pytest.raises(ConnectionResetError):
        await pouring


async def test_a_body_that_breaks_off_while_it_is_poured_says_so_after_what_had_come(uplink):
    made, _ = uplink
    cup = Cup()
    begin(made)
    made.data_received(CHUNKED + b"3\r\none\r\n")
    await made.head()
    pouring = asyncio.get_running_loop().create_task(made.pour(cup.take, cup.drained))
    await asyncio.sleep(0)
    made.data_received(b"3\r\ntwo\r\n")
    made.connection_lost(None)
    with pytest.raises(UpstreamFailure, match="upstream_broke_off"):
        await pouring
    assert b"".join(cup.chunks) == b"onetwo"


# -- heads that need no parser ---------------------------------------------------------------------

FIELDS = [
    (b"Content-Type", b"application/json"),
    (b"X-Opper-Served-Model", b"a/b"),
    (b"X-B", b"b:c, d"),
]


@pytest.mark.parametrize(
    ("more", "cut"),
    [
        ([], True),
        ([(b"X-B", b"twice")], False),
        ([(b"X-C", b"caf\xe9")], False),
        ([(b"X-C", b"blank ")], False),
        ([(b"X-C", b"")], False),
        ([(b"Connection", b"keep-alive")], False),
        ([(b"Connection", b"close")], False),
        ([(b"Upgrade", b"h2c")], False),
    ],
)
@pytest.mark.parametrize(
    ("status", "framing", "body"),
    [(status, b"Content-Length: 5", b"hello") for status in (200, 403, 529)]
    + [(200, b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"), (204, b"Content-Length: 0", b"")],
)
async def test_a_head_reads_the_same_with_and_without_a_parser(
    uplink, more, cut, status, framing, body
):
    """A head that comes in two pieces always takes the parser."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in (*FIELDS, *more))
    head = b"HTTP/1.1 %d Whatever\r\n%b%b\r\n\r\n" % (status, lines, framing)
    assert (cut_answer(head + body, longest_head=65_536) is not None) is (cut and status != 204)
    read = []
    for pieces in ((head + body,), (head[:20], head[20:] + body)):
        made = fresh()
        made.connection_made(Wire())
        begin(made)
        for piece in pieces:
            made.data_received(piece)
        found = await made.head()
        content = b""
        while chunk := await made.read():
            content += chunk
        read.append((found.status, found.fields.pairs, content, made.rest()))
    assert read[0] == read[1]
    assert read[0][2] == (b"hello" if body else b"")
