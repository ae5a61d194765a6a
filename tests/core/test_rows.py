"""Rows are read tolerantly: what is absent or odd is not established."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.rows import (
    catalogued,
    has_zdr_facts,
    look,
    place_words,
    plain,
    said,
    spoken,
    unstated,
    zdr_fact,
    zdr_status,
)
from proxy.core.values import Basis


def test_a_path_leads_through_objects_only() -> None:
    row: Any = {"a": {"b": [1]}}
    assert look(row, "a.b") == [1]
    assert look(row, "a.b.c") is None
    assert look(row, "x.y") is None


def test_nulls_and_empty_values_are_not_said() -> None:
    row: Any = {"a": None, "b": "", "c": [], "d": {}, "e": False, "f": 0}
    assert said(row, *"abcdef") == (("e", False), ("f", 0))


@pytest.mark.parametrize(
    ("keyless", "keyed", "fact"),
    [
        (False, None, False),
        (True, None, True),
        (None, None, None),
        (False, True, True),
        (True, False, True),
        (False, False, False),
        ("false", None, None),
        (False, "no", None),
    ],
)
def test_the_worse_of_two_blocks_counts(keyless: Any, keyed: Any, fact: bool | None) -> None:
    row: Any = {"compliance": {"zdr": {"logging": keyless}}, "route": {"zdr": {"logging": keyed}}}
    assert zdr_fact(row, "logging") is fact


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"route": {"data_handling": {"zdr": {"status": "always"}}}}, "always"),
        ({"route": {"data_handling": {"zdr": {"status": "Enterprise"}}}}, "enterprise"),
        ({"compliance": {"zdr": "Available via Opper Enterprise contract."}}, "enterprise"),
        ({"compliance": {"zdr": "None"}}, "none"),
        ({"compliance": {"zdr": "maybe"}}, "none"),
        (
            {"compliance": {"zdr": "always"}, "route": {"data_handling": {"zdr": {"status": "enterprise"}}}},
            "enterprise",
        ),
        ({"compliance": {"zdr": False}, "route": {"data_handling": {"zdr": "always"}}}, "none"),
        ({"compliance": {"zdr": {"status": ["none"]}}, "route": {"zdr": "always"}}, "none"),
        ({"compliance": {"zdr": {"status": {"text": "no"}}}, "route": {"zdr": "always"}}, "none"),
        ({"compliance": {"zdr": {"logging": False}}}, ""),
        ({}, ""),
    ],
)
def test_the_older_word_counts_at_its_weakest(row: Any, status: str) -> None:
    assert zdr_status(row) == status


def test_facts_are_there_even_where_they_are_null() -> None:
    assert has_zdr_facts({"compliance": {"zdr": {"logging": None}}})
    assert not has_zdr_facts({"compliance": {"zdr": "Enterprise"}})
    assert not has_zdr_facts({"route": {"data_handling": {"zdr": {"status": "always"}}}})


def test_a_claim_without_a_value_is_unknown_and_keeps_the_words() -> None:
    assert catalogued(None, "odd", ("a",)).basis is Basis.UNKNOWN
    assert catalogued("x", "x", (("a.b", "x"), ("c", "x"))).source == "catalogue:a.b,c"
    assert unstated("odd").words == "odd"


def test_statements_are_quoted_once_in_order() -> None:
    assert (
        spoken((("a.x", "No"), ("b.x", "No"), ("c.y", True), ("d.z", {"k": 1, "n": None})))
        == "No; y: yes; z: k 1"
    )
    assert plain("  No   Training. ") == "no training"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Sweden", ("Sweden",)),
        (["SE", "DE", "SE"], ("SE", "DE")),
        ({"country": "Sweden", "region": "EU"}, ("Sweden",)),
        ({"locations": [{"country": "SE"}, "DE"]}, ("SE", "DE")),
        ({"country": "Sweden", "region": "GLOBAL"}, ("Sweden", "GLOBAL")),
        ({"countries": ["SE"], "locations": ["US"]}, ("SE", "US")),
        ({"country": "SE", "fallback": "US"}, ("SE", "?")),
        ({"country": "SE", "fallback": None, "note": "By contract."}, ("SE",)),
        (["EU", []], ("EU", "?")),
        ({"unknown": 1}, ("?",)),
        (7, ("?",)),
    ],
)
def test_places_are_taken_out_of_any_shape_and_what_is_no_place_is_unknown(
    value: Any, words: tuple[str, ...]
) -> None:
    assert place_words((("x", value),)) == words
