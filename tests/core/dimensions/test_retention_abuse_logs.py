"""Both pipelines count, null is not no, and a contract that is for sale has not been bought."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.retention_abuse_logs import RetentionAbuseLogs
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

LOGS = RetentionAbuseLogs()
DAY = 86_400
ENTERPRISE: dict[str, Any] = {"data_handling": {"zdr": {"status": "enterprise"}}}


def facts(logging: Any, moderation: Any) -> dict[str, Any]:
    return {"compliance": {"zdr": {"logging": logging, "moderation": moderation}}}


def outcome(asked: Any, row: dict[str, Any]) -> Outcome:
    return LOGS.judge(LOGS.parse(asked, COUNTRIES), LOGS.read(row), at=AT).outcome


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (facts(False, False), Outcome.MET),
        (facts(False, None), Outcome.UNKNOWN),
        (facts(None, False), Outcome.UNKNOWN),
        (facts(False, "no"), Outcome.UNKNOWN),
        (facts(True, False), Outcome.UNMET),
        (facts(False, True), Outcome.UNMET),
        ({"compliance": {"logging": "None", "moderation": "None"}}, Outcome.MET),
        ({"compliance": {"logging": "None"}}, Outcome.UNKNOWN),
        ({"compliance": {"logging": "Limited debug logs"}}, Outcome.UNMET),
        (
            {"compliance": {"logging": "Abuse monitoring (window not specified in public docs)"}},
            Outcome.UNMET,
        ),
        ({"compliance": {"zdr": "Available via Opper Enterprise contract."}}, Outcome.UNMET),
        ({"compliance": {"zdr": "None"}}, Outcome.UNKNOWN),
        ({"route": ENTERPRISE}, Outcome.UNMET),
        ({"route": {"data_handling": {"zdr": {"status": "always"}}}}, Outcome.MET),
        # A word for all does not settle what a statement on one pipeline leaves open.
        (
            {"route": {"data_handling": {"zdr": {"status": "always"}, "moderation": "not established"}}},
            Outcome.UNKNOWN,
        ),
        # The newer tri-state facts speak louder than the older word.
        ({"route": {"data_handling": {"zdr": {"status": "always"}}}, **facts(True, False)}, Outcome.UNMET),
        ({"route": {"data_handling": {"zdr": {"status": "always"}}}, **facts(False, None)}, Outcome.UNKNOWN),
        ({"route": ENTERPRISE, **facts(False, False)}, Outcome.MET),
        # Two blocks that disagree: the worse one counts.
        (
            {
                "compliance": {"zdr": {"logging": False, "moderation": False}},
                "route": {"zdr": {"logging": True}},
            },
            Outcome.UNMET,
        ),
    ],
)
def test_none_asks_that_neither_pipeline_keeps_anything(row: dict[str, Any], expected: Outcome) -> None:
    assert outcome("none", row) is expected


def test_a_contract_for_sale_names_the_attestation_that_would_settle_it() -> None:
    claim = LOGS.read({"route": ENTERPRISE, "compliance": {"logging": "Abuse monitoring (30-day retention)"}})
    judged = LOGS.judge(LOGS.parse("none", COUNTRIES), claim, at=AT)
    assert claim.value == {"kept": "content", "seconds": 30 * DAY, "contract": True}
    assert "Abuse monitoring (30-day retention)" in judged.claimed
    assert "zero_data_retention" in judged.remedy
    assert "Enterprise" in judged.remedy


@pytest.mark.parametrize(
    ("asked", "words", "expected"),
    [
        ({"at_most": "30d"}, "Abuse monitoring (30-day retention)", Outcome.MET),
        ({"at_most": "29d"}, "Abuse monitoring (30-day retention)", Outcome.UNMET),
        ({"at_most": "52w"}, "Abuse monitoring (window not specified)", Outcome.UNMET),
        ("flagged_only", "Abuse-flagged only", Outcome.MET),
        ("flagged_only", "Abuse monitoring (30-day retention)", Outcome.UNMET),
        ("none", "Abuse-flagged only", Outcome.UNMET),
        ({"at_most": "90d"}, "Flagged only, 30 days", Outcome.MET),
    ],
)
def test_a_period_or_a_sort_may_be_let_pass(asked: Any, words: str, expected: Outcome) -> None:
    row: dict[str, Any] = {"compliance": {"logging": words, "moderation": "None"}}
    assert outcome(asked, row) is expected


def test_the_longer_of_two_periods_counts_and_an_unstated_one_leaves_it_unstated() -> None:
    both: dict[str, Any] = {"compliance": {"logging": "7 days", "moderation": "30 days"}}
    one: dict[str, Any] = {"compliance": {"logging": "7 days", "moderation": "kept"}}
    assert LOGS.read(both).value == {"kept": "content", "seconds": 30 * DAY}
    assert LOGS.read(one).value == {"kept": "content"}


def test_retention_days_of_the_route_block_are_read() -> None:
    row: dict[str, Any] = {
        "route": {"data_handling": {"logging": {"retention_days": 30}, "moderation": {"retention_days": 0}}}
    }
    assert LOGS.read(row).value == {"kept": "content", "seconds": 30 * DAY}
    none: dict[str, Any] = {
        "route": {"data_handling": {"logging": {"retention_days": 0}, "moderation": {"retention_days": 0}}}
    }
    assert LOGS.read(none).value == {"kept": "none"}


def test_what_is_not_established_is_named() -> None:
    assert LOGS.read(facts(False, None)).words == "moderation not established"
