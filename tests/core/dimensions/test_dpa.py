""" "Available" is not "signed"."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.dpa import Dpa
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES, claim

DPA = Dpa()


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ({"compliance": {"dpa_available": "DPA available"}}, "available"),
        ({"compliance": {"dpa_available": True}}, "available"),
        ({"route": {"gdpr": {"dpa_available": True}}}, "available"),
        ({"compliance": {"dpa_available": "No DPA"}}, "none"),
        ({"compliance": {"dpa_available": True}, "route": {"gdpr": {"dpa_available": False}}}, "none"),
        ({"compliance": {"dpa_available": "DPA signed"}}, None),
        ({"compliance": {"dpa_available": None}}, None),
    ],
)
def test_a_catalogue_can_say_that_one_is_offered_and_never_that_it_is_signed(
    row: dict[str, Any], value: Any
) -> None:
    assert DPA.read(row).value == value


@pytest.mark.parametrize(
    ("asked", "value", "expected"),
    [
        ("signed", "signed", Outcome.MET),
        ("signed", "available", Outcome.UNMET),
        ("available", "available", Outcome.MET),
        ("available", "signed", Outcome.MET),
        ("available", "none", Outcome.UNMET),
    ],
)
def test_requirements(asked: str, value: str, expected: Outcome) -> None:
    assert DPA.judge(DPA.parse(asked, COUNTRIES), claim(value), at=AT).outcome is expected


def test_what_would_help_is_to_sign_it_and_to_say_so() -> None:
    assert "dpa_signed" in DPA.judge(DPA.parse("signed", COUNTRIES), claim("available"), at=AT).remedy
