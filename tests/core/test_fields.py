"""Header fields are found by name without regard to case, and what stands twice is not lost."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.core import fields
from proxy.core.fields import LONGEST_NAME, MOST_NAMES, Fields, Lowered
from proxy.core.values import RawRequest

names = st.sampled_from([b"Host", b"host", b"HOST", b"X-A", b"x-a", b"x-b", b"x-\xff"])
pairs = st.lists(st.tuples(names, st.binary(max_size=3)), max_size=6).map(tuple)


@given(pairs)
def test_every_field_is_found_by_its_name_whatever_its_case(sent) -> None:
    found = Fields(sent)
    for name in (b"host", b"x-a", b"x-b", b"x-\xff"):
        values = tuple(value for each, value in sent if each.lower() == name)
        assert found.first.get(name) == (values[0] if values else None)
        assert found.repeated.get(name, values[:1]) == values
        assert (name in found.repeated) == (len(values) > 1)
    assert found.pairs == sent


def test_names_that_strangers_invent_do_not_pile_up() -> None:
    lowered = Lowered()
    for number in range(2 * MOST_NAMES):
        assert lowered[b"X-Invented-%d" % number] == b"x-invented-%d" % number
    assert len(lowered) == MOST_NAMES


def test_a_long_name_is_read_and_not_remembered() -> None:
    lowered = Lowered()
    assert lowered[b"X" * (LONGEST_NAME + 1)] == b"x" * (LONGEST_NAME + 1)
    assert not lowered


def test_no_value_outlives_its_request() -> None:
    Fields(((b"Authorization", b"Bearer rk-test-secret"),))
    assert b"rk-test-secret" not in repr(fields._LOWERED).encode()


def test_the_fields_of_a_request_are_found_once_and_go_with_it_around_another_body() -> None:
    raw = RawRequest("POST", "/", "", ((b"Host", b"a"),), b"{}", "192.0.2.1")
    found = raw.fields
    other = raw.with_body(b"[]")
    assert other == RawRequest("POST", "/", "", ((b"Host", b"a"),), b"[]", "192.0.2.1")
    renamed = replace(raw, headers=((b"Host", b"b"),))
    assert (raw.fields.first[b"host"], renamed.fields.first[b"host"]) == (b"a", b"b")
    assert raw.fields is found
    assert other.fields is found
