"""What is kept, how, and how long: the worst of everything that is said."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.keeping import Kept, keeping, kept_anywhere, period_words, read_keeping

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
        ({"retention_days": None}, (None, None)),
        ({"retention_days": True}, (None, None)),
        ({"retention_days": -1}, (None, None)),
        ({"enabled": False, "retention_days": 30}, ("content", 30 * DAY)),
        ({"enabled": True, "retention_days": 0}, ("content", None)),
        ({"summary": "flagged only", "retention_days": 30}, ("flagged", 30 * DAY)),
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
