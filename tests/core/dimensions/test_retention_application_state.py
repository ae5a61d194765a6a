"""What the endpoint itself keeps is another matter than logs."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.retention_application_state import RetentionApplicationState
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

STATE = RetentionApplicationState()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"compliance": {"content_storage": False}}, Outcome.MET),
        ({"compliance": {"content_storage": "None"}}, Outcome.MET),
        ({"compliance": {"content_storage": True}}, Outcome.UNMET),
        ({"compliance": {"content_storage": None}}, Outcome.UNKNOWN),
        ({"route": {"data_handling": {"zdr": {"status": "always"}}}}, Outcome.MET),
        ({"route": {"data_handling": {"zdr": "always", "content_storage": "unknown"}}}, Outcome.UNKNOWN),
        ({"route": {"data_handling": {"zdr": {"status": "enterprise"}}}}, Outcome.UNMET),
        # That nothing is logged does not say that nothing is stored.
        ({"compliance": {"zdr": {"logging": False, "moderation": False}}}, Outcome.UNKNOWN),
    ],
)
def test_none_asks_that_nothing_is_stored(row: dict[str, Any], expected: Outcome) -> None:
    assert STATE.judge(STATE.parse("none", COUNTRIES), STATE.read(row), at=AT).outcome is expected


@pytest.mark.parametrize(
    ("asked", "storage", "expected"),
    [
        ("until_deleted", "until deleted", Outcome.MET),
        ("until_deleted", "30 days", Outcome.MET),
        ("until_deleted", True, Outcome.UNMET),
        ({"at_most": "30d"}, "30 days", Outcome.MET),
        ({"at_most": "7d"}, "30 days", Outcome.UNMET),
        ({"at_most": "30d"}, "until deleted", Outcome.UNMET),
    ],
)
def test_periods_and_deletion(asked: Any, storage: Any, expected: Outcome) -> None:
    row = {"compliance": {"content_storage": storage}}
    assert STATE.judge(STATE.parse(asked, COUNTRIES), STATE.read(row), at=AT).outcome is expected
