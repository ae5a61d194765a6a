"""Durations are read strictly in files and as upper bounds in sentences."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.spans import SPAN_PATTERN, find_seconds, parse_span, span_words


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600)]
)
def test_a_strict_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "0h", "24", "h", "24 h", "1.5h", "-1h", "24H", "1y", "1h30m", "٣h", "9999999d"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    assert parse_span(text) is None


@given(st.from_regex(SPAN_PATTERN, fullmatch=True))
def test_the_published_pattern_and_the_reader_agree(text: str) -> None:
    text = text.rstrip("\n")
    assert (parse_span(text) is not None) == (re.search(SPAN_PATTERN, text) is not None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Abuse monitoring (30-day retention)", 30 * 86_400),
        ("up to 24 h on disk", 86_400),
        ("10 minutes to 1 hour", 3600),
        ("kept 7 days, flagged content 2 years", 2 * 366 * 86_400),
        ("kept for 1,000 days", 1000 * 86_400),
        ("kept for 1.000 days", 1000 * 86_400),
        ("kept for 1 000 days", 1000 * 86_400),
        ("kept for 1'000 days", 1000 * 86_400),
        ("kept for 1,000.5 days", 1001 * 86_400),
        ("kept for 100000 days", 100_000 * 86_400),
        ("kept for 2.0 days", 2 * 86_400),
        ("kept for 0.5 days", 5 * 86_400),
        ("kept 7,30 days", 30 * 86_400),
        ("in 2024, 30 days", None),
        ("logs,30 days", 30 * 86_400),
        (f"{'9' * 5000} days", None),
        (f"{'111 ' * 100_000}", None),
        (f"{'1..' * 100_000}", None),
        ("window not specified", None),
        ("model 5 hosted", None),
    ],
)
def test_the_longest_period_that_a_sentence_names_counts(text: str, seconds: int | None) -> None:
    assert find_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "at least 30 days",
        "More than 30 days",
        "30 days or more",
        "> 30 days",
        "30 days minimum",
        "not less than 30 days",
        "30 days after account deletion",
        "Indefinitely; deleted 30 days after a request",
        "30 days, or one year for flagged content",
        "30 days; longer where the law requires",
        "30 days to 5 yrs",
        "24h to 4w",
        "30 days, 6 mos",
        "30 days (extendable)",
    ],
)
def test_a_sentence_that_leaves_room_for_longer_names_no_longest_period(text: str) -> None:
    assert find_seconds(text) is None


@pytest.mark.parametrize(
    "text", ["no longer than 30 days", "deleted automatically after 30 days", "max. 30 days"]
)
def test_words_that_end_a_period_leave_it_as_it_is(text: str) -> None:
    assert find_seconds(text) == 30 * 86_400


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (86_400, "1 day"),
        (2_592_000, "30 days"),
        (3600, "1 hour"),
        (90, "90 seconds"),
        (1, "1 second"),
        (120, "2 minutes"),
    ],
)
def test_a_period_is_said_in_its_largest_unit(seconds: int, words: str) -> None:
    assert span_words(seconds) == words
