from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.core.catalog_rows import route
from proxy.core.values import Price, Route

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PER_IMAGE = Price(image=0.01)


def read(**row: Any) -> Route:
    found = route({"id": "a/b", **row}, source="test", fetched_at=AT)
    assert found is not None
    return found


def test_a_whole_row_is_read():
    found = read(
        name="B",
        type="llm",
        provider="a",
        model="b",
        aliases=["b-latest"],
        successor="c",
        context_window=1000,
        max_output_tokens=50,
        pooled=False,
        access="restricted",
        retired_at="2027-01-01T00:00:00+01:00",
        route={"last_verified_at": "2026-02-28"},
    )
    assert (found.name, found.kind, found.provider, found.model) == ("B", "llm", "a", "b")
    assert (found.aliases, found.successor, found.access, found.pooled) == (
        ("b-latest",),
        "c",
        "restricted",
        False,
    )
    assert (found.context_window, found.max_output) == (1000, 50)
    assert found.retired_at == datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert found.verified_at == datetime(2026, 2, 28, tzinfo=UTC)


def test_every_claim_tells_when_it_was_read():
    assert {claim.seen_at for claim in read(country="Sweden").posture.values()} == {AT}


def test_the_provider_is_the_slug_when_the_row_has_none():
    found = route({"id": "alibaba:eu/qwen/X"}, source="test", fetched_at=AT)
    assert found is not None
    assert found.provider == "alibaba:eu"


@pytest.mark.parametrize(
    ("pricing", "price"),
    [
        ({"input": [3, 6], "output": [15.5, 30]}, Price(3, 15.5)),
        ({"input": 3, "output": 15}, Price(3, 15)),
        ({"price_per_generation": 0.02}, Price(image=0.02)),
        ({"image_prices": {"1024x1024": {"low": 0.01, "high": 0.17}, "2048x2048": {"low": 0.05}}}, PER_IMAGE),
        ({"input": [], "output": ["3"], "price_per_generation": True}, Price()),
        ({"input": [-1], "output": [float("nan")], "price_per_generation": float("inf")}, Price()),
        ({"input": 10**400}, Price()),
        ([3, 15], Price()),
    ],
)
def test_prices_are_the_first_band_and_junk_is_no_price(pricing, price):
    assert read(pricing=pricing).price == price


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1000", [1000], float("inf"), 10**30])
def test_what_is_not_a_number_of_tokens_is_no_limit(value):
    found = read(context_window=value, max_output_tokens=value)
    assert (found.context_window, found.max_output) == (None, None)


@pytest.mark.parametrize("value", ["soon", 1, True, ["2026"], {"at": "2026"}])
def test_a_retirement_that_cannot_be_dated_counts_from_when_it_was_read(value):
    assert read(retired_at=value).retired_at == AT


@pytest.mark.parametrize("value", [None, False, "", 0])
def test_no_mark_of_retirement_is_none(value):
    assert read(retired_at=value).retired_at is None


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "yesterday", 5])
def test_an_impossible_day_of_verification_is_none(value):
    assert read(route={"last_verified_at": value}).verified_at is None


def test_aliases_that_are_not_text_are_left_out():
    assert read(aliases=["x", 7, None, "", "x"]).aliases == ("x",)
    assert read(aliases="x").aliases == ()
