"""That nothing is kept does not settle whether people read."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.human_review import HumanReview
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

REVIEW = HumanReview()


def handling(**fields: Any) -> dict[str, Any]:
    return {"route": {"data_handling": fields}}


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (handling(human_review="none"), "none"),
        (handling(human_review=False), "none"),
        (handling(human_review="Abuse-flagged only"), "safety_hits"),
        (handling(human_review="Safety hits only"), "safety_hits"),
        (handling(human_review="Not flagged only"), None),
        (handling(human_review="Flagged only, and samples for quality"), None),
        (handling(human_review=True), "allowed"),
        (handling(human_review="Possible"), "allowed"),
        (handling(human_review="none", moderation={"human_review": "Abuse-flagged only"}), "safety_hits"),
        (handling(human_review="none", logging={"human_review": True}), "allowed"),
        (handling(human_review="none", logging={"human_review": "maybe"}), None),
        (handling(human_review=3), None),
        ({"compliance": {"zdr": {"logging": False, "moderation": False}}}, None),
    ],
)
def test_readings(row: dict[str, Any], value: str | None) -> None:
    assert REVIEW.read(row).value == value


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        ("forbidden", "none", Outcome.MET),
        ("forbidden", "Abuse-flagged only", Outcome.UNMET),
        ("safety_hits_only", "Abuse-flagged only", Outcome.MET),
        ("safety_hits_only", True, Outcome.UNMET),
        ("allowed", True, Outcome.MET),
    ],
)
def test_requirements(asked: str, found: Any, expected: Outcome) -> None:
    claim = REVIEW.read(handling(human_review=found))
    assert REVIEW.judge(REVIEW.parse(asked, COUNTRIES), claim, at=AT).outcome is expected
