"""The upstream credential never comes back, however it is cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.scrub import Scrubber

SECRET = b"op-secret-0123456789"


def scrubbed(chunks: list[bytes]) -> bytes:
    scrubber = Scrubber(SECRET)
    return b"".join([scrubber.feed(chunk) for chunk in chunks]) + scrubber.finish()


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(a % (len(data) + 1) for a in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    st.lists(st.sampled_from([SECRET, b"op-", b"o", b"data: x\n\n", SECRET[:9]])),
    st.lists(st.integers(0, 500)),
)
def test_no_cut_lets_the_secret_through_and_nothing_else_changes(parts: list[bytes], at: list[int]) -> None:
    body = b"".join(parts)
    out = scrubbed(cut(body, at))
    assert SECRET not in out
    assert out == body.replace(SECRET, b"*" * len(SECRET))


def test_a_chunk_that_cannot_begin_the_secret_is_not_held_back() -> None:
    scrubber = Scrubber(SECRET)
    assert scrubber.feed(b"data: hello\n\n") == b"data: hello\n\n"
    assert scrubber.feed(b'{"to": "op"}\n') == b'{"to": "op"}\n'


def test_a_tail_that_begins_the_secret_goes_on_once_it_is_seen_to_be_harmless() -> None:
    scrubber = Scrubber(SECRET)
    assert scrubber.feed(b"see op-sec") == b"see "
    assert scrubber.feed(b"tion") == b"op-section"


def test_a_scrubber_without_memory_between_chunks_would_be_caught() -> None:
    forgetful = b"".join(Scrubber(SECRET).feed(c) + b"" for c in (b"op-secret-01", b"23456789"))
    assert forgetful != b"*" * len(SECRET)
    assert scrubbed([b"op-secret-01", b"23456789"]) == b"*" * len(SECRET)
