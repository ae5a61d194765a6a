"""What keeps nothing is stored nowhere; what is kept without a place is kept anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.storage_location import StorageLocation
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

STORAGE = StorageLocation()
NOTHING: dict[str, Any] = {
    "content_storage": False,
    "zdr": {"logging": False, "moderation": False, "caching": False},
}
LOGS: dict[str, Any] = {
    "content_storage": False,
    "zdr": {"logging": True, "moderation": False, "caching": False},
}


@pytest.mark.parametrize(
    ("compliance", "expected"),
    [
        (NOTHING, Outcome.MET),
        ({**NOTHING, "caching": "in-memory"}, Outcome.MET),
        ({**NOTHING, "storage_location": "United States"}, Outcome.MET),
        (LOGS, Outcome.UNMET),
        ({**LOGS, "storage_location": "Germany"}, Outcome.MET),
        ({**LOGS, "storage_location": "United States"}, Outcome.UNMET),
        ({**LOGS, "storage_location": ["Germany", "United States"]}, Outcome.UNMET),
        ({"zdr": {"logging": False, "moderation": None}}, Outcome.UNKNOWN),
        ({"zdr": {"logging": False, "moderation": False, "caching": False}}, Outcome.UNKNOWN),
        ({"storage_location": "Germany"}, Outcome.MET),
        ({"storage_location": 7}, Outcome.UNKNOWN),
        ({}, Outcome.UNKNOWN),
    ],
)
def test_within_the_union(compliance: dict[str, Any], expected: Outcome) -> None:
    requirement = STORAGE.parse({"within": ["EU"]}, COUNTRIES)
    assert STORAGE.judge(requirement, STORAGE.read({"compliance": compliance}), at=AT).outcome is expected


def test_the_worst_of_several_pipelines_decides_where_it_rests() -> None:
    row: dict[str, Any] = {
        "route": {
            "data_handling": {
                "logging": {"retention_days": 30, "storage_location": "Germany"},
                "moderation": {"retention_days": 30, "storage_location": "United States"},
            }
        }
    }
    requirement = STORAGE.parse({"within": ["EU"]}, COUNTRIES)
    assert STORAGE.judge(requirement, STORAGE.read(row), at=AT).outcome is Outcome.UNMET


def test_a_route_without_a_place_counts_as_global_in_words_too() -> None:
    assert "GLOBAL" in STORAGE.read({"compliance": LOGS}).words
