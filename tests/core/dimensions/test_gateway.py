"""The gateway is judged apart from the providers behind it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.gateway import GatewayLocation, GatewayRetention
from proxy.core.strict_yaml import load
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES, ROOT

LOCATION, RETENTION = GatewayLocation(), GatewayRetention()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"location": "SE"}, Outcome.MET),
        ({"location": "US"}, Outcome.UNMET),
        ({"location": None}, Outcome.UNKNOWN),
    ],
)
def test_where_it_stands(facts: dict[str, Any], expected: Outcome) -> None:
    asked = LOCATION.parse({"within": ["EU"]}, COUNTRIES)
    assert LOCATION.judge(asked, LOCATION.read(facts), at=AT).outcome is expected


@pytest.mark.parametrize(
    ("asked", "kept", "expected"),
    [
        ("none", None, Outcome.UNKNOWN),
        ("none", {"retention_days": 0}, Outcome.MET),
        ("none", {"retention_days": 7}, Outcome.UNMET),
        ({"at_most": "7d"}, {"retention_days": 7}, Outcome.MET),
        ({"at_most": "7d"}, {"retention_days": 30}, Outcome.UNMET),
    ],
)
def test_what_it_keeps(asked: Any, kept: Any, expected: Outcome) -> None:
    judged = RETENTION.judge(
        RETENTION.parse(asked, COUNTRIES), RETENTION.read({"content_retention": kept}), at=AT
    )
    assert judged.outcome is expected
    assert "route" not in judged.remedy


def test_the_shipped_facts_name_sweden_and_leave_retention_open() -> None:
    facts = load((ROOT / "proxy/tables/gateway.yaml").read_bytes(), "gateway.yaml").data
    assert isinstance(facts, dict)
    assert LOCATION.read(facts).value == {"places": ["SE"], "beside": []}
    assert RETENTION.read(facts).value is None
    assert facts["sources"]
