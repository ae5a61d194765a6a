"""The most precise place counts, and a wider word beside it must not contradict it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.base import Misread
from proxy.core.dimensions.inference_location import InferenceLocation
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

PLACE = InferenceLocation()


def outcome(row: dict[str, Any], *within: str) -> Outcome:
    requirement = PLACE.parse({"within": list(within)}, COUNTRIES)
    return PLACE.judge(requirement, PLACE.read(row), at=AT).outcome


@pytest.mark.parametrize(
    ("row", "within", "expected"),
    [
        ({"country": "United States"}, ["US"], Outcome.MET),
        ({"compliance": {"country": "United States"}, "region": "US"}, ["US"], Outcome.MET),
        ({"compliance": {"inference_location": "SE"}, "region": "EU"}, ["SE"], Outcome.MET),
        ({"compliance": {"inference_location": ["SE", "DE"]}}, ["EU"], Outcome.MET),
        ({"compliance": {"inference_location": ["SE", "US"]}}, ["EU"], Outcome.UNMET),
        ({"compliance": {"inference_location": {"country": "Sweden", "region": "EU"}}}, ["SE"], Outcome.MET),
        ({"region": "EU"}, ["EU"], Outcome.MET),
        ({"region": "EU"}, ["SE"], Outcome.UNMET),
        ({"compliance": {"residency": "GLOBAL"}}, ["EU", "US"], Outcome.UNMET),
        ({"country": "Sweden", "region": "GLOBAL"}, ["EU"], Outcome.UNMET),
        ({"country": "Sweden", "region": "US"}, ["EU"], Outcome.UNMET),
        ({"country": "Sweden", "region": "somewhere"}, ["EU"], Outcome.UNKNOWN),
        ({"compliance": {"inference_location": 7}}, ["EU"], Outcome.UNKNOWN),
        ({"id": "provider/model-eu"}, ["EU"], Outcome.UNKNOWN),
        ({}, ["EU"], Outcome.UNKNOWN),
    ],
)
def test_places(row: dict[str, Any], within: list[str], expected: Outcome) -> None:
    assert outcome(row, *within) is expected


def test_every_wrong_name_in_a_list_is_reported_with_the_nearest() -> None:
    with pytest.raises(Misread) as caught:
        PLACE.parse({"within": ["SE", "EUU", False, "GLOBAL"]}, COUNTRIES)
    assert [pointer for pointer, _ in caught.value.wrongs] == [("within", 1), ("within", 2), ("within", 3)]
    assert "did you mean 'EU'?" in caught.value.wrongs[0][1]
    assert "Norway" in caught.value.wrongs[1][1]


def test_the_order_of_places_in_a_policy_does_not_matter() -> None:
    one = PLACE.parse({"within": ["US", "SE", "SE"]}, COUNTRIES)
    assert one == PLACE.parse({"within": ["SE", "US"]}, COUNTRIES)
    assert one.asked == "within SE, US"
