"""What is kept, how, and how long: the worst of everything that is said."""

from __future__ import annotations

import math
from typing import Any

import pytest

from proxy.core.keeping import LOGGING, Kept, keeping, kept_anywhere, period_words, read_keeping

DAY = 86_400


def kept(value: Any) -> tuple[str | None, int | None]:
    found = read_keeping({"x": value}, "x")
    return found.kept, found.seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (False, ("none", 0)),
        ("None", ("none", 0)),
        ("No logging.", ("none", 0)),
        (True, ("content", None)),
        ("Enabled", ("content", None)),
        ("Abuse monitoring (30-day retention)", ("content", 30 * DAY)),
        ("Limited debug logs", ("content", None)),
        ("in-memory, 5 minutes", ("volatile", 300)),
        ("Abuse-flagged only", ("flagged", None)),
        ("unknown", (None, None)),
        ({"retention_days": 30}, ("content", 30 * DAY)),
        ({"retention_days": 0}, ("none", 0)),
        ({"retention_days": 1.5}, ("content", 129_600)),
        # What JSON spells as 1e999 is read as a number without end.
        ({"retention_days": math.inf}, ("content", 10**9 * DAY)),
        ({"summary": "none", "retention_days": 1e308}, ("content", 10**9 * DAY)),
        ({"retention_days": None}, (None, None)),
        ({"retention_days": True}, (None, None)),
        ({"retention_days": -1}, (None, None)),
        ({"enabled": False, "retention_days": 30}, ("content", 30 * DAY)),
        ({"enabled": True, "retention_days": 0}, ("content", None)),
        ({"summary": "flagged only", "retention_days": 30}, ("flagged", 30 * DAY)),
        ({"enabled": False, "retention_days": "30"}, (None, None)),
        ({"enabled": False, "retention_days": -1}, (None, None)),
        ({"enabled": True, "retention_days": "30", "retention_hours": 1}, ("content", None)),
        ({"retention_days": 0, "retention_hours": 24}, ("content", DAY)),
        ({"enabled": False, "until_deleted": True}, (None, None)),
        ({"kind": "none", "retention": "30 days"}, (None, None)),
        ({"summary": "none", "enabled": True}, ("content", None)),
        ({"summary": "unknown", "retention_days": 0}, (None, None)),
        ({"enabled": False, "storage_location": "Sweden", "until_deleted": False}, ("none", 0)),
        ("All content for 30 days, abuse-flagged longer", ("content", None)),
        ("not flagged only: all content", ("content", None)),
        ("Abuse-flagged and sampled content", ("content", None)),
        ("In-memory by default; extended caching on disk for 24 hours", ("content", None)),
        ("not in-memory: persisted for 24 hours", ("content", None)),
        ("in memory and on disk", ("content", None)),
        ({}, (None, None)),
        ([1], ("content", None)),
        (7, ("content", None)),
    ],
)
def test_statements(value: Any, expected: tuple[str | None, int | None]) -> None:
    assert kept(value) == expected


def test_of_several_statements_the_worst_sort_and_the_longest_period_count() -> None:
    row: Any = {"a": "in-memory, 1 hour", "b": "flagged only, 2 days", "c": "None"}
    found = read_keeping(row, "a", "b", "c")
    assert (found.kept, found.seconds) == ("flagged", 2 * DAY)


def test_a_fact_adds_to_the_words_and_never_takes_away() -> None:
    row: Any = {"compliance": {"zdr": {"logging": True}, "logging": "None"}}
    assert read_keeping(row, "compliance.logging", fact="logging").kept == "content"
    row = {"compliance": {"zdr": {"logging": False}, "logging": "30 days"}}
    assert read_keeping(row, "compliance.logging", fact="logging").kept == "content"


@pytest.mark.parametrize(
    "other",
    [
        {"route": {"data_handling": {"logging": "unknown"}}},
        {"route": {"data_handling": {"logging": {"until_deleted": True}}}},
        {"route": {"zdr": {"logging": "yes"}}},
    ],
)
def test_what_one_statement_leaves_open_no_other_one_settles(other: Any) -> None:
    row: Any = {"compliance": {"logging": "None"}, **other}
    assert read_keeping(row, *LOGGING, fact="logging").kept is None


@pytest.mark.parametrize("block", [{}, {"retention_days": None}, {"storage_location": "Sweden"}])
def test_a_block_that_says_nothing_of_keeping_leaves_a_statement_as_it_is(block: Any) -> None:
    row: Any = {"compliance": {"logging": "None"}, "route": {"data_handling": {"logging": block}}}
    assert read_keeping(row, *LOGGING, fact="logging").kept == "none"


def test_something_kept_anywhere_outweighs_what_is_not_established() -> None:
    facts: dict[str, Any] = {"logging": True, "moderation": None, "caching": None}
    assert kept_anywhere({"compliance": {"zdr": facts}}) is True
    assert kept_anywhere({"compliance": {"zdr": {**facts, "logging": False}}}) is None
    nothing: Any = {"zdr": dict.fromkeys(facts, False), "content_storage": False}
    assert kept_anywhere({"compliance": nothing}) is False


def test_a_claim_leaves_out_what_is_not_stated() -> None:
    assert keeping("none", 0) == {"kept": "none"}
    assert keeping("content", 60, until_deleted=True, contract=True) == {
        "kept": "content", "seconds": 60, "until_deleted": True, "contract": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Kept("none"), "no cache"),
        (Kept("volatile", 300), "cache in memory only, up to 5 minutes"),
        (Kept("content"), "cache for a period that is not stated"),
        (Kept("content", None, until_deleted=True), "cache until deleted"),
    ],
)
def test_a_keeping_is_told_in_words(one: Kept, words: str) -> None:
    assert period_words(one, "cache") == words
