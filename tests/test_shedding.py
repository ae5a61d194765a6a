"""A full proxy says no cheaply, in the caller's words, and to nothing that could be cut in two ways."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server import Front
from proxy.shedding import Crowd, shed
from proxy.simulator import Fault
from tests.bypass.http1 import Message, read_all
from tests.journal.kit import until
from tests.test_server import Door, closes, opened, refused

BODY = b'{"model":"a/b"}'
FIELDS = (b"Host: a", b"Connection: keep-alive", b"Content-Length: 15")
CHAT = b"/v1/chat/completions"


def request(*fields: bytes, line: bytes = b"POST " + CHAT + b" HTTP/1.1", body: bytes = BODY) -> bytes:
    return b"\r\n".join((line, *(fields or FIELDS))) + b"\r\n\r\n" + body


def only(data: bytes) -> Message:
    (found,), rest = read_all(data, answers=True)
    assert rest == b""
    return found


# -- how many may wait -----------------------------------------------------------------------------


def test_a_burst_may_wait_and_one_more_is_too_many():
    crowd = Crowd(8)
    assert [crowd.full(waiting, 0.0) for waiting in range(9)] == [False] * 8 + [True]


def test_once_somebody_was_refused_a_quarter_may_wait_until_a_second_is_calm():
    crowd = Crowd(8)
    assert crowd.full(8, 0.0)
    assert not crowd.full(1, 0.5)
    assert crowd.full(2, 0.9)
    assert crowd.full(2, 1.8), "the second begins anew with every refusal"
    assert not crowd.full(7, 2.9)


def test_even_the_smallest_limit_lets_one_in():
    assert not Crowd(1).full(0, 0.0)


# -- what is said ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "sign", "kind"),
    [
        (CHAT, b"", ("error", "code", "overloaded")),
        (b"/v1/responses", b"", ("error", "code", "overloaded")),
        (b"/v1/messages", b"anthropic-version: 2023-06-01", ("error", "type", "api_error")),
        (b"/v1beta/models/a:generateContent", b"x-goog-api-key: k", ("error", "status", "UNAVAILABLE")),
        (b"/v1beta/models/a:generateContent?alt=sse", b"", ("error", "status", "UNAVAILABLE")),
        (b"/%00/../nowhere", b"", ("error", "code", "overloaded")),
    ],
)
def test_every_sdk_is_told_in_its_own_words_and_when_to_come_back(target, sign, kind):
    fields = (*FIELDS, sign) if sign else FIELDS
    data = shed(request(*fields, line=b"POST " + target + b" HTTP/1.1"))
    assert data is not None
    message = only(data)
    found = refused(message, "overloaded")
    assert found[kind[0]][kind[1]] == kind[2]
    assert message.all(b"retry-after") == [b"2"]
    assert message.all(b"x-should-retry") == [b"true"]


@pytest.mark.parametrize(
    "data",
    [
        request(b"Host: a"),
        request(b"Content-Length: 15", b"content-length: 15"),
        request(b"Content-Length: 15", b"Transfer-Encoding: chunked"),
        request(b"Content-Length: +15"),
        request(b"Content-Length: 15 "),
        request(b"Content-Length: 15, 15"),
        request(b"Content-Length : 15"),
        request(b"Content-Length: 14"),
        request(b"Content-Length: 16"),
        request(b"Content-Length: 15\r\n 1"),
        request(b"Content-Length: 15", b"X: a\nTransfer-Encoding: chunked"),
        request(b"Content-Length: 15", b"X: a\rb"),
        request(b"Content-Length: 15", b"X: \xe9"),
        request(b"Content-Length: 15", b"X: a\x00b"),
        request(b"Content-Length: 15", b"Connection: close"),
        request(b"Content-Length: 15", b"Connection: upgrade", b"Upgrade: h2c"),
        request(b"Content-Length: 15", b"Expect: 100-continue"),
        request(line=b"POST " + CHAT + b" HTTP/1.0"),
        request(line=b"GET " + CHAT + b" HTTP/1.1"),
        request(line=b"POST  " + CHAT + b" HTTP/1.1"),
        request(line=b"POST http://a" + CHAT + b" HTTP/1.1"),
        request() + request(),
        b"\r\n" + request(),
        request()[:-1],
        request()[: -len(BODY) - 2],
        b"",
    ],
)
def test_what_has_another_reading_or_is_not_all_is_left_to_the_parser(data):
    assert shed(data) is None


@given(st.binary(max_size=200), st.integers(0, 60))
def test_only_the_whole_request_counts_wherever_bytes_are_changed(noise, at):
    whole = request()
    changed = whole[:at] + noise + whole[at:]
    reply = shed(changed)
    if reply is not None:
        # Whatever was let through still is one request of exactly these bytes to a strict reader.
        messages, rest = read_all(changed, answers=False)
        assert (len(messages), rest, messages[0].whole) == (1, b"", True)
        assert only(reply).status == 503


# -- at the door -----------------------------------------------------------------------------------


def full(door: Door, by: int = 1_000_000) -> None:
    """Have so many wait, or no more of them."""
    door.front.pipeline.waiting += by


async def test_a_full_proxy_refuses_keeps_the_connection_and_serves_it_when_it_has_room(tmp_path: Path):
    async with opened(tmp_path) as door, door.line() as line:
        full(door)
        for _ in range(3):
            await line.send(door.request())
            message = await line.answer()
            assert refused(message, "overloaded")["error"]["code"] == "overloaded"
            assert not closes(message)
        full(door, -1_000_000)
        await line.send(door.request())
        assert (await line.answer()).status == 200
        assert door.rejected("overloaded") == 3
        assert len(door.stand.seen) == 1
        rejects = await door.stand.records("reject")
        assert sum(record["count"] for record in rejects if record["reason"] == "overloaded") == 3


async def test_a_request_that_comes_in_pieces_is_refused_before_its_body_is_read(tmp_path: Path):
    async with opened(tmp_path) as door:
        full(door)
        whole = door.request()
        cut = whole.index(b"\r\n\r\n") + 4
        async with door.line() as line:
            await line.send(whole[:40])
            await asyncio.sleep(0.05)
            await line.send(whole[40:cut])
            message = await line.answer()
            refused(message, "overloaded")
            assert closes(message)
        assert door.front.pipeline.waiting == 1_000_000


async def test_a_second_request_never_overtakes_the_answer_to_the_first(tmp_path: Path):
    async with opened(tmp_path) as door, door.line() as line:
        door.stand.simulator.faults.add(Fault("status", status=418, after=0))
        door.stand.simulator.faults.add(Fault("delay", delay_ms=200))
        await line.send(door.request())
        assert (await line.answer()).status == 418
        await line.send(door.request())
        await until(lambda: len(door.stand.seen) == 2)
        full(door)
        await line.send(door.request())
        assert [(await line.answer()).status for _ in range(2)] == [200, 200]


async def test_of_a_crowd_every_request_is_served_or_refused_and_nothing_is_counted_for_ever(tmp_path: Path):
    async with opened(tmp_path, max_waiting=8) as door:

        async def ask() -> int:
            async with door.line() as line:
                await line.send(door.request())
                return (await line.answer()).status

        found = Counter(await asyncio.gather(*(ask() for _ in range(100))))
        assert set(found) == {200, 503}
        assert len(door.stand.seen) == found[200]
        assert door.rejected("overloaded") == found[503]
        assert empty(door.front)


async def test_clients_that_leave_at_once_do_not_make_the_proxy_full(tmp_path: Path):
    async with opened(tmp_path, max_waiting=4) as door:
        for _ in range(40):
            async with door.line() as line:
                await line.send(door.request())
        await asyncio.sleep(0.2)
        async with door.line() as line:
            await line.send(door.request())
            assert (await line.answer()).status == 200
        assert empty(door.front)
        json.loads(door.stand.seen[-1].body)


def empty(front: Front) -> bool:
    """Whether nobody is thought to wait."""
    return (front.entering, front.pipeline.waiting) == (0, 0)
