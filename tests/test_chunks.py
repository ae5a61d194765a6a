"""A body in chunks has one reading, however its bytes are cut, or none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from proxy.chunks import Chunks, Unframed
from tests.bypass.http1 import read_all

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"


def read(*pieces: bytes) -> tuple[bytes, Chunks]:
    chunks = Chunks()
    return b"".join([chunks.feed(piece) for piece in pieces]), chunks


def written(contents: list[bytes], spelling: str) -> bytes:
    return b"".join(b"%s\r\n%s\r\n" % (format(len(each), spelling).encode(), each) for each in contents)


@given(
    contents=st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    spelling=st.sampled_from(["x", "X", "04x"]),
    cuts=st.lists(st.integers(0, 250), max_size=8),
)
def test_content_comes_through_whole_wherever_the_bytes_are_cut(
    contents: list[bytes], spelling: str, cuts: list[int]
) -> None:
    sent = written(contents, spelling) + b"0\r\n\r\n"
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    content, chunks = read(*(sent[a:b] for a, b in pairwise(places)))
    assert (content, chunks.done, chunks.surplus) == (b"".join(contents), True, False)


def test_content_is_given_away_before_its_chunk_has_ended() -> None:
    assert read(b"5\r\nhe")[0] == b"he"


@pytest.mark.parametrize("cut", range(len(WHOLE) + 1))
def test_extensions_and_trailers_are_read_over(cut: int) -> None:
    content, chunks = read(WHOLE[:cut], WHOLE[cut:])
    assert (content, chunks.done, chunks.surplus) == (b"hello", True, False)


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_body_that_is_cut_short_has_not_ended(cut: int) -> None:
    assert not read(WHOLE[:cut])[1].done


@pytest.mark.parametrize("more", [b"H", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_what_comes_behind_the_end_is_told(more: bytes) -> None:
    assert read(WHOLE + more)[1].surplus


@pytest.mark.parametrize(
    "bad",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"0x5\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"5\nhello",
        b"5\r;x\r\n",
        b"5;\nhello",
        b"5;\x00\r\n",
        b"5;\x80\r\n",
        b"000000005\r\n",
        b"5" + b";x" * 5000,
        b"5\r\nhello\n",
        b"5\r\nhello5",
        b"5\r\nhello\r5",
        b"5\r\nhello\r\n\r\n",
        b"0\r\nX-T: 1\x00",
        b"0\r\nX T: 1",
        b"0\r\n: 1",
        b"0\r\nX-T: 1\r\n X",
        b"0\r\nX-T: 1\nX",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nX-T: 1\r\ncontent-length: 5\r\n\r\n",
        b"0\r\nX-T" + b"t" * 9000,
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(bad: bytes) -> None:
    with pytest.raises(Unframed):
        read(bad)
    with pytest.raises(Unframed):
        read(*(bytes([byte]) for byte in bad))


CHUNK = [b"2\r\nlo\r\n", b"c\r\nhello\r\nworld\r\n", b"00A\r\n0\r\n\r\n12345\r\n", b"1\r\n\n\r\n"]
ODD = [b"2\nlo\r\n", b"2\r\nlo\n", b"3\r\nlo\r\n", b"1\r\nlo\r\n", b"\r\n", b"\r", b"0\r\n", b"2\r\r\nlo\r\n"]


@settings(max_examples=1000)
@given(
    before=st.lists(st.sampled_from(CHUNK)),
    odd=st.just(b"") | st.sampled_from(ODD),
    behind=st.sampled_from(CHUNK),
)
def test_what_is_whole_is_whole_for_a_strict_reader_too(
    before: list[bytes], odd: bytes, behind: bytes
) -> None:
    body = b"".join(before) + odd + behind + b"0\r\n\r\n"
    try:
        content, chunks = read(body)
    except Unframed:
        event("not read")
        return
    if chunks.done and not chunks.surplus:
        event("whole")
        (message,), rest = read_all(HEAD + body, answers=True)
        assert (message.whole, message.body, rest) == (True, content, b"")
