""" "None disclosed" is not "none"."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.third_parties import ThirdParties
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

PARTIES = ThirdParties()


@pytest.mark.parametrize(
    ("compliance", "value"),
    [
        ({"third_party_access": "None"}, []),
        ({"third_party_access": False}, []),
        ({"zdr": {"subprocessors": False}}, []),
        ({"zdr": {"subprocessors": True}}, "unnamed"),
        ({"third_party_access": "None", "zdr": {"subprocessors": True}}, "unnamed"),
        ({"third_party_access": "None disclosed"}, None),
        ({"third_party_access": "None disclosed", "zdr": {"subprocessors": False}}, None),
        ({"third_party_access": ["B", "A"]}, ["A", "B"]),
        ({"third_party_access": "Example Search and others"}, None),
        ({"third_party_access": 7}, None),
        ({}, None),
    ],
)
def test_readings(compliance: dict[str, Any], value: Any) -> None:
    assert PARTIES.read({"compliance": compliance}).value == value


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        ("none", "None", Outcome.MET),
        ("none", ["Example Search"], Outcome.UNMET),
        ("none", "None disclosed", Outcome.UNKNOWN),
        ({"only": ["Example Search"]}, ["example  SEARCH"], Outcome.MET),
        ({"only": ["Example Search"]}, ["Example Search", "Other"], Outcome.UNMET),
        ({"only": ["Example Search"]}, "None", Outcome.MET),
        ({"only": ["Example Search"]}, True, Outcome.UNMET),
        ("any", "None disclosed", Outcome.MET),
    ],
)
def test_requirements(asked: Any, found: Any, expected: Outcome) -> None:
    claim = PARTIES.read({"compliance": {"third_party_access": found}})
    assert PARTIES.judge(PARTIES.parse(asked, COUNTRIES), claim, at=AT).outcome is expected


def test_the_names_a_policy_lets_through_are_in_its_words() -> None:
    assert PARTIES.parse({"only": ["A", "B"]}, COUNTRIES).asked == "only A, B"
