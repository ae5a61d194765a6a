"""Memory that forgets by itself is a sort of its own."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.retention_cache import RetentionCache
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

CACHE = RetentionCache()
HOUR, DAY = {"at_most": "1h"}, {"at_most": "24h"}
ZDR_ON = {"zdr": {"caching": True}}


@pytest.mark.parametrize(
    ("asked", "compliance", "expected"),
    [
        ("none", {"zdr": {"caching": False}}, Outcome.MET),
        ("none", {"zdr": {"caching": None}}, Outcome.UNKNOWN),
        ("none", {"caching": "in-memory"}, Outcome.UNMET),
        ("volatile_only", {"caching": "in-memory"}, Outcome.MET),
        ("volatile_only", {"caching": "in-memory", **ZDR_ON}, Outcome.MET),
        ("volatile_only", {"caching": "on disk, 24 hours"}, Outcome.UNMET),
        ("volatile_only", ZDR_ON, Outcome.UNMET),
        (DAY, {"caching": "on disk, 24 hours"}, Outcome.MET),
        (DAY, {"caching": "on disk, 48 hours"}, Outcome.UNMET),
        (DAY, ZDR_ON, Outcome.UNMET),
        # Memory without a stated period counts at the longest that is documented anywhere, a day.
        (DAY, {"caching": "in-memory"}, Outcome.MET),
        (HOUR, {"caching": "in-memory"}, Outcome.UNMET),
        (HOUR, {"caching": "in-memory, up to 10 minutes"}, Outcome.MET),
        (HOUR, {"zdr": {"caching": False}}, Outcome.MET),
        (DAY, {}, Outcome.UNKNOWN),
    ],
)
def test_caches(asked: Any, compliance: dict[str, Any], expected: Outcome) -> None:
    claim = CACHE.read({"compliance": compliance})
    assert CACHE.judge(CACHE.parse(asked, COUNTRIES), claim, at=AT).outcome is expected


def test_hours_and_seconds_of_the_route_block_are_read() -> None:
    row: dict[str, Any] = {"route": {"data_handling": {"caching": {"kind": "in-memory", "ttl_seconds": 300}}}}
    assert CACHE.read(row).value == {"kept": "volatile", "seconds": 300}
    row = {"route": {"data_handling": {"caching": {"retention_hours": 0.5}}}}
    assert CACHE.read(row).value == {"kept": "content", "seconds": 1800}
