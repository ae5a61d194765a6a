"""Bytes that can be cut in one way only are cut as aiohttp's parser cuts them; nothing else is cut at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import event, given, settings
from hypothesis import strategies as st

from proxy.plain import Plain, cut

BODY = b'{"model":"a/b"}'
FIELDS = (b"Host: a", b"User-Agent: x/1 (y; z)", b"Connection: keep-alive", b"Content-Length: 15")
CHAT = b"POST /v1/chat/completions HTTP/1.1"


def request(*fields: bytes, line: bytes = CHAT, body: bytes = BODY) -> bytes:
    return b"\r\n".join((line, *(fields or FIELDS))) + b"\r\n\r\n" + body


def plain(data: bytes) -> Plain | None:
    return cut(data, longest_head=32_768, most_fields=100)


class Unhurried:
    """What aiohttp's parser asks of a protocol."""

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def parsed(loop: asyncio.AbstractEventLoop, data: bytes) -> tuple[RawRequestMessage, bytes] | None:
    """How aiohttp reads the same bytes: one message with its whole body, or None."""
    parser: Any = HttpRequestParser(
        Unhurried(), loop, 2**16, max_line_size=32_768, max_field_size=32_768, max_headers=100  # type: ignore[arg-type]
    )
    try:
        messages, upgraded, rest = parser.feed_data(data)
    except HttpProcessingError:
        return None
    if len(messages) != 1 or upgraded or rest:
        return None
    message, payload = messages[0]
    body = payload.read_nowait()
    return (message, body) if payload.is_eof() else None


def test_a_request_is_cut_into_its_parts() -> None:
    found = plain(request())
    assert found is not None
    assert (found.target, found.body) == ("/v1/chat/completions", BODY)
    assert found.fields.pairs[1] == (b"User-Agent", b"x/1 (y; z)")
    assert found.fields.first[b"user-agent"] == b"x/1 (y; z)"


@pytest.mark.parametrize(
    "data",
    [
        request(b"Host: a"),
        request(b"Content-Length: 15"),
        request(*FIELDS, b"X: a "),
        request(*FIELDS, b"X: a\t"),
        request(*FIELDS, b"X: "),
        request(*FIELDS, b"X:  a"),
        request(*FIELDS, b"Content-Length: 15"),
        request(*FIELDS, b"content-length: 15"),
        request(*FIELDS, b"X-A: 1", b"x-a: 1"),
        request(*FIELDS, b"Transfer-Encoding: chunked"),
        request(*FIELDS, b"Transfer-Encoding: identity"),
        request(*FIELDS, b"Expect: 100-continue"),
        request(*FIELDS, b"Upgrade: h2c"),
        request(b"Connection: close", b"Content-Length: 15"),
        request(b"Connection: keep-alive, upgrade", b"Content-Length: 15"),
        request(b"Content-Length: +15"),
        request(b"Content-Length: 015"),
        request(b"Content-Length: 15 "),
        request(b"Content-Length: 15\t"),
        request(b"Content-Length: 0x0f"),
        request(b"Content-Length : 15"),
        request(b" Content-Length: 15"),
        request(b"Content-Length: 15", b" folded"),
        request(b"Content-Length: 15\n"),
        request(b"Content-Length: 0", body=b""),
        request(*FIELDS, b"X: a\rb"),
        request(*FIELDS, b"X: a\nb"),
        request(*FIELDS, b"X: a\x00b"),
        request(*FIELDS, b"X: \xc3\xa9"),
        request(*FIELDS, b": a"),
        request(*FIELDS, b"X"),
        request(line=b"GET /v1/models HTTP/1.1"),
        request(line=CHAT.replace(b"1.1", b"1.0")),
        request(line=CHAT.replace(b"POST ", b"POST  ")),
        request(line=b"POST http://a/v1/chat/completions HTTP/1.1"),
        request(line=b"POST /v1/chat\x00 HTTP/1.1"),
        request(line=b"POST /v1/chat#a HTTP/1.1"),
        request(line=b"POST * HTTP/1.1"),
        request()[:-1],
        request() + b" ",
        request() + request(),
        b"\r\n" + request(),
        request().replace(b"\r\n", b"\n"),
        b"",
    ],
)
def test_what_has_another_reading_or_is_not_all_is_left_to_the_parser(data: bytes) -> None:
    assert plain(data) is None


def test_heads_beyond_the_limits_are_left_to_the_parser() -> None:
    assert cut(request(), longest_head=len(request()) - len(BODY), most_fields=4) is not None
    assert cut(request(), longest_head=len(request()) - len(BODY) - 1, most_fields=4) is None
    assert cut(request(), longest_head=32_768, most_fields=3) is None


NAMES = st.sampled_from([b"X-A", b"x-b", b"Accept", b"Cookie", b"Content-Type", b"Via", b"a!#$%&'*+.^_`|~1"])
VALUES = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1).map(str.encode)
TARGETS = st.sampled_from([CHAT[5:-9], b"/v1/messages?beta=true", b"/", b"/a//b/../c", b"/%2e%zz"])
ODD_NAMES = st.sampled_from([b"Host", b"Connection", b"Expect", b"Upgrade", b"X A", b"X\x00", b"\xc3", b""])
ODD_VALUES = st.sampled_from(
    [b"", b"keep-alive", b"close", b" a", b"a ", b"\t", b"chunked", b"\xc3\xa9", b"a\nb", b"a\x7f"]
)
ODD_TARGETS = st.text(st.characters(codec="ascii"), max_size=20).map(lambda text: b"/" + text.encode())


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Requests of which about half have something odd about them."""
    odd = draw(st.booleans())
    names, values = (st.one_of(NAMES, ODD_NAMES), st.one_of(VALUES, ODD_VALUES)) if odd else (NAMES, VALUES)
    colons = st.sampled_from([b": ", b":", b" : ", b":  "] if odd else [b": "])
    fields = draw(st.lists(st.tuples(names, colons, values), max_size=6, unique_by=None if odd else _lower))
    body = draw(st.binary(min_size=1, max_size=30))
    size = len(body) + (draw(st.sampled_from([0, 0, 0, 1, -1])) if odd else 0)
    lines = [b"Host: a", *(b"".join(each) for each in fields)]
    lines.insert(draw(st.integers(0, len(lines))), b"Content-Length: %d" % size)
    target = draw(st.one_of(TARGETS, ODD_TARGETS) if odd else TARGETS)
    return request(*lines, line=b"POST " + target + b" HTTP/1.1", body=body)


def _lower(field: tuple[bytes, bytes, bytes]) -> bytes:
    return field[0].lower()


@settings(max_examples=2000)
@given(data=requests())
def test_whatever_is_cut_the_parser_cuts_alike(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    found = plain(data)
    event("cut" if found else "left")
    if found is None:
        return
    read = parsed(loop, data)
    assert read is not None
    message, body = read
    assert (message.method, message.path, body) == ("POST", found.target, found.body)
    assert message.raw_headers == found.fields.pairs
    assert (message.should_close, message.chunked, message.upgrade) == (False, False, False)


@given(noise=st.binary(min_size=1, max_size=4), at=st.integers(0, 140))
def test_no_noise_anywhere_makes_the_two_disagree(
    loop: asyncio.AbstractEventLoop, noise: bytes, at: int
) -> None:
    whole = request()
    changed = whole[:at] + noise + whole[at + len(noise) :]
    found = plain(changed)
    if found is not None:
        read = parsed(loop, changed)
        assert read is not None
        assert (read[0].raw_headers, read[1]) == (found.fields.pairs, found.body)
