"""Where an answer ends does not depend on how its bytes are cut; what is unclear is broken, not guessed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from tests.bypass.http1 import read_all
from tests.heard import read

LENGTH = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
TO_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH
SHOUTED = CHUNKS.replace(b"chunked", b"Chunked")
ANSWERS = {LENGTH: True, CHUNKS: True, SHOUTED: True, TO_CLOSE: False, CLOSING: False, INTERIM: True}
"""Whole answers with the body `hello`, and whether another one may follow."""


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@given(answer=st.sampled_from(list(ANSWERS)), cuts=st.lists(st.integers(1, 100), max_size=6))
def test_an_answer_reads_the_same_wherever_it_is_cut(
    loop: asyncio.AbstractEventLoop, answer: bytes, cuts: list[int]
) -> None:
    places = [0, *sorted(set(cuts)), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(places) if answer[a:b]]
    heard, framing = read(loop, *pieces)
    assert (heard.heads >= 1, heard.body, heard.breaks) == (True, b"hello", 0)
    assert framing.head is not None
    assert framing.head.status == 200
    assert framing.reusable is ANSWERS[answer]
    assert framing.done is (answer is not TO_CLOSE)


@pytest.mark.parametrize(
    ("answer", "cleanly", "told"),
    [(TO_CLOSE, True, (1, 0)), (TO_CLOSE, False, (0, 1)), (LENGTH, False, (1, 0))],
)
def test_a_closed_connection_ends_a_body_that_has_no_other_end(
    loop: asyncio.AbstractEventLoop, answer: bytes, cleanly: bool, told: tuple[int, int]
) -> None:
    heard, framing = read(loop, answer, close=cleanly)
    assert (heard.ends, heard.breaks) == told
    assert framing.ends_by_closing is (answer is TO_CLOSE)
    assert not framing.reusable


@pytest.mark.parametrize("cut", [1, 20, len(LENGTH) - 1])
def test_an_answer_that_the_connection_cuts_short_is_broken(
    loop: asyncio.AbstractEventLoop, cut: int
) -> None:
    heard, _ = read(loop, LENGTH[:cut], close=True)
    assert (heard.ends, heard.breaks) == (0, 1)


def test_bytes_that_nobody_asked_for_break_the_connection(loop: asyncio.AbstractEventLoop) -> None:
    heard, framing = read(loop, LENGTH)
    framing.rest()
    framing.feed(LENGTH)
    assert (heard.body, heard.breaks) == (b"hello", 1)


@pytest.mark.parametrize(
    "odd",
    [
        b"\r\n" + LENGTH,
        b"\n" + LENGTH,
        INTERIM.replace(b"Link: </a>", b"Transfer-Encoding: identity"),
        INTERIM.replace(b"Link: </a>", b"Content-Length: 5"),
        LENGTH.replace(b"Length: 5", b"Length: 0" + b"0" * 60),
        LENGTH.replace(b"Length: 5", b"Length: +5"),
        CHUNKS.replace(b"chunked", b"gzip, chunked"),
        CHUNKS.replace(b"chunked", b"chunked, chunked"),
        CHUNKS.replace(b"chunked", b"identity"),
        CHUNKS.replace(b"HTTP/1.1", b"HTTP/1.0"),
        CHUNKS.replace(b"\r\n\r\n3", b"\r\nContent-Length: 5\r\n\r\n3"),
        LENGTH.replace(b"X-A: b", b"Content-Length: 5"),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 20])
def test_a_head_that_a_strict_reader_would_not_take_breaks_the_answer(
    loop: asyncio.AbstractEventLoop, odd: bytes, cut: int
) -> None:
    heard, framing = read(loop, odd[:cut], odd[cut:])
    assert (heard.ends, heard.breaks) == (0, 1)
    assert not framing.reusable


def test_a_bare_lf_in_a_line_of_chunks_breaks_the_answer(loop: asyncio.AbstractEventLoop) -> None:
    heard, framing = read(loop, CHUNKS.replace(b"2\r\nlo", b"2;\nlo"))
    assert (heard.ends, heard.breaks) == (0, 1)
    assert not framing.reusable


@settings(max_examples=1000)
@given(at=st.integers(0, len(CHUNKS) - 1), byte=st.integers(0, 255))
@example(at=CHUNKS.index(b"0 OK"), byte=ord("4"))
def test_an_answer_that_another_may_follow_ends_where_a_strict_reader_ends_it(
    loop: asyncio.AbstractEventLoop, at: int, byte: int
) -> None:
    changed = CHUNKS[:at] + bytes([byte]) + CHUNKS[at + 1 :]
    heard, framing = read(loop, changed)
    event("whole" if framing.done else "broken" if heard.breaks else "more expected")
    assert heard.ends <= 1
    assert heard.breaks <= 1
    assert not (heard.breaks and framing.reusable)
    if framing.done and framing.reusable:
        (message,), rest = read_all(changed, answers=True)
        assert (message.whole, message.body, rest) == (True, heard.body, b"")
