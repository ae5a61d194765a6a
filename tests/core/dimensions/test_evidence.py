"""Evidence ages, and a stamp from the future is none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from proxy.core.dimensions.evidence import Evidence
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

EVIDENCE = Evidence()
ASKED = EVIDENCE.parse({"not_older_than": "90d"}, COUNTRIES)


def verified(stamp: Any, status: Any = "verified") -> dict[str, Any]:
    return {"route": {"last_verified_at": stamp, "verification": {"status": status}}}


def ago(**length: float) -> str:
    return (AT - timedelta(**length)).isoformat()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (verified(ago(days=10)), Outcome.MET),
        (verified(ago(days=89, hours=23)), Outcome.MET),
        (verified(ago(days=90)), Outcome.UNMET),
        (verified("2026-11-01"), Outcome.MET),
        (verified("2026-11-01T00:00:00Z"), Outcome.MET),
        (verified("2026-11-01T00:00:00"), Outcome.UNKNOWN),
        (verified(ago(days=-1)), Outcome.MET),
        (verified(ago(days=-3)), Outcome.UNKNOWN),
        (verified("last week"), Outcome.UNKNOWN),
        (verified(1_700_000_000), Outcome.UNKNOWN),
        (verified(ago(days=10), "unverified"), Outcome.UNKNOWN),
        (verified(ago(days=10), None), Outcome.MET),
        (verified(None), Outcome.UNKNOWN),
        ({"last_verified_at": ago(days=10), **verified(ago(days=100))}, Outcome.UNMET),
        ({}, Outcome.UNKNOWN),
    ],
)
def test_the_oldest_stamp_counts(row: dict[str, Any], expected: Outcome) -> None:
    assert EVIDENCE.judge(ASKED, EVIDENCE.read(row), at=AT).outcome is expected


def test_a_decision_is_told_until_when_the_evidence_is_fresh() -> None:
    judged = EVIDENCE.judge(ASKED, EVIDENCE.read(verified(ago(days=10))), at=AT)
    assert judged.until == AT + timedelta(days=80)
