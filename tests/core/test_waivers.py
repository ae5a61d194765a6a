"""A waiver names its policy, dimension and routes, says why and by whom, and ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxy.core.errors import Mistakes
from proxy.core.strict_yaml import load
from proxy.core.waivers import WAIVABLE, read_waivers

GOOD = """waivers:
  - id: w1
    policy: p
    dimension: retention.cache
    routes: ["openai/*"]
    because: A migration is under way.
    approved_by: Data protection officer
    approved_at: 2026-11-01
    valid_until: 2026-12-01
"""


def told(text: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        read_waivers(load(text, "w.yaml"))
    return [str(mistake) for mistake in caught.value.found]


@pytest.mark.parametrize(
    ("dimension", "route", "day", "covered"),
    [
        ("retention.cache", "openai/x", datetime(2026, 11, 15, tzinfo=UTC), True),
        ("retention.abuse_logs", "openai/x", datetime(2026, 11, 15, tzinfo=UTC), False),
        ("retention.cache", "azure/x", datetime(2026, 11, 15, tzinfo=UTC), False),
        ("retention.cache", "openai/x", datetime(2026, 10, 31, 23, 59, tzinfo=UTC), False),
        ("retention.cache", "openai/x", datetime(2026, 12, 1, 23, 59, tzinfo=UTC), True),
        ("retention.cache", "openai/x", datetime(2026, 12, 2, tzinfo=UTC), False),
    ],
)
def test_it_covers_its_dimension_its_routes_and_its_days(
    dimension: str, route: str, day: datetime, covered: bool
) -> None:
    (one,) = read_waivers(load(GOOD, "w.yaml"))
    assert one.covers(dimension, route, day) is covered


@pytest.mark.parametrize(
    "field", ["id", "policy", "dimension", "routes", "because", "approved_by", "approved_at", "valid_until"]
)
def test_every_field_is_mandatory(field: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.strip(" -").startswith(f"{field}:")]
    text = "\n".join(lines)
    if field == "id":
        text = text.replace("    policy: p", "  - policy: p")
    assert len(told(text)) == 1
    assert field in told(text)[0]


def test_request_features_and_model_lists_cannot_be_waived() -> None:
    assert "models" not in WAIVABLE
    assert "did you mean" in told(GOOD.replace("retention.cache", "retention.caches"))[0]
    assert told(GOOD.replace("retention.cache", "features.app_state"))


def test_a_waiver_does_not_end_before_it_begins() -> None:
    assert "before" in told(GOOD.replace("2026-12-01", "2026-10-01"))[0]


def test_ids_are_distinct() -> None:
    assert "twice" in told(GOOD + GOOD.split("\n", 1)[1])[0]


def test_a_file_with_attestations_beside_may_be_read_for_its_waivers() -> None:
    assert read_waivers(load("attestations: []\n", "w.yaml")) == ()
