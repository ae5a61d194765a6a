"""identifiers are UUIDs of version 7, in the order of time, and never the same twice"""

from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from proxy import ids


def test_an_identifier_is_a_uuid_of_version_7_and_carries_the_present_moment():
    before = time.time_ns() // 1_000_000
    found = uuid.UUID(ids.uuid7())
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert before <= found.int >> 80 <= time.time_ns() // 1_000_000


def test_identifiers_sort_by_the_millisecond_in_which_they_were_made(monkeypatch):
    for moment in (0, 1, 1, (1 << 48) - 1, 1_772_368_200_123, 1_772_368_200_123):
        monkeypatch.setattr("proxy.ids.time.time_ns", lambda moment=moment: moment * 1_000_000 + 999_999)
        assert uuid.UUID(ids.uuid7()).int >> 80 == moment


def test_every_random_bit_of_an_identifier_is_drawn():
    made = [uuid.UUID(ids.uuid7()).int & ((1 << 80) - 1) for _ in range(500)]
    always, ever = (1 << 80) - 1, 0
    for each in made:
        always, ever = always & each, ever | each
    assert always == 0x7 << 76 | 0x2 << 62
    assert ever == ((1 << 80) - 1) & ~(0x8 << 76) & ~(0x1 << 62)


def test_threads_are_never_given_the_same_identifier():
    def many(_: int) -> list[str]:
        return [ids.uuid7() for _ in range(5_000)]

    with ThreadPoolExecutor(4) as pool:
        found = [each for part in pool.map(many, range(4)) for each in part]
    assert len({each[-17:] for each in found}) == 20_000


def test_a_forked_child_does_not_hand_out_what_its_parent_will():
    ids.uuid7()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "\n".join(ids.uuid7()[-17:] for _ in range(100)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = set(pipe.read().split())
    os.waitpid(child, 0)
    ours = {ids.uuid7()[-17:] for _ in range(100)}
    assert len(theirs) == 100
    assert not theirs & ours


def test_the_wall_clock_is_in_utc():
    assert ids.now().utcoffset().total_seconds() == 0  # type: ignore[union-attr]
