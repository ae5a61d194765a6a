"""A record has one byte form: what is cut is seen to be cut, and every moment is written in one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.record_form import FIRST_PREV, Stamp, clip, moment, seal, stamped
from proxy.core.record_schema import COMMON, MAX_BYTES

LOG = "example/r0/w0/000001"
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DRAFT = stamped("heartbeat", Stamp("01890000-0000-7000-8000-00000000000e", AT, 7, "0b00"))

moments = st.datetimes(
    min_value=datetime(1990, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2090, 1, 1),  # noqa: DTZ001 - likewise
    timezones=st.just(UTC),
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
any_text = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=60)


# -- clip ------------------------------------------------------------------------------------------


@given(any_text, st.integers(4, 80))
def test_what_was_clipped_fits_its_bytes_and_can_be_written(text: str, longest: int) -> None:
    assert len(clip(text, longest).encode()) <= longest


@given(st.text(max_size=60), st.integers(4, 80))
def test_a_text_that_fits_is_kept_and_any_other_ends_where_it_was_cut(text: str, longest: int) -> None:
    clipped = clip(text, longest)
    if len(text.encode()) <= longest:
        assert clipped == text
    else:
        assert clipped.endswith("\u2026")
        assert text.startswith(clipped[:-1])
        # No more than one character is lost to the cut: the longest takes four bytes.
        assert len(clipped.encode()) > longest - 4


# -- moments ---------------------------------------------------------------------------------------


@given(moments, zones)
def test_a_moment_is_written_alike_in_every_zone_and_reads_back(at: datetime, zone: timezone) -> None:
    written = moment(at.astimezone(zone))
    assert written == moment(at)
    assert COMMON["t"](written)
    assert datetime.fromisoformat(written) == at


@given(moments, moments)
def test_written_moments_sort_as_they_happened(one: datetime, other: datetime) -> None:
    assert (moment(one) < moment(other)) == (one < other)


@given(st.lists(moments, max_size=6), st.lists(st.integers(-2_000_001, 2_000_001), max_size=6))
def test_a_moment_is_written_alike_whichever_was_written_before(ats: list[datetime], near: list[int]) -> None:
    for at in (*ats, *(AT + timedelta(microseconds=step) for step in near)):
        assert moment(at) == at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# -- seal ------------------------------------------------------------------------------------------


@given(st.permutations(sorted(DRAFT)))
def test_the_order_in_which_a_draft_was_filled_leaves_no_trace(names: list[str]) -> None:
    shuffled = {name: DRAFT[name] for name in names}
    assert seal(shuffled, LOG, 3, "a" * 64) == seal(DRAFT, LOG, 3, "a" * 64)


def test_a_draft_cannot_name_its_own_place() -> None:
    forged = {**DRAFT, "log": "elsewhere/r0/w0/000009", "seq": 99, "prev": "f" * 64}
    assert seal(forged, LOG, 0, FIRST_PREV) == seal(DRAFT, LOG, 0, FIRST_PREV)


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_is_the_last_size_that_is_taken(over: int) -> None:
    room = MAX_BYTES - len(seal({**DRAFT, "x": ""}, LOG, 0, FIRST_PREV))
    draft = {**DRAFT, "x": "y" * (room + over)}
    if over:
        with pytest.raises(ValueError, match=f"{MAX_BYTES + 1} bytes"):
            seal(draft, LOG, 0, FIRST_PREV)
    else:
        assert len(seal(draft, LOG, 0, FIRST_PREV)) == MAX_BYTES


def test_every_record_begins_with_the_same_members() -> None:
    held = orjson.loads(seal(DRAFT, LOG, 0, FIRST_PREV))
    assert held.keys() == COMMON.keys()
    assert all(COMMON[name](value) for name, value in held.items())
