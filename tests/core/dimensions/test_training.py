"""Words that sound like promises have defined readings."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.training import Training
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

TRAINING = Training()
NEVER = "No training on customer data."


def row(**compliance: Any) -> dict[str, Any]:
    return {"compliance": compliance}


@pytest.mark.parametrize(
    ("one", "value"),
    [
        (row(training=NEVER), "never"),
        (row(training="No"), "never"),
        (row(training=False), "never"),
        (row(zdr={"training": False}), "never"),
        (row(training="No training by default"), "opt_in"),
        (row(training="No training on prompts by default."), "opt_in"),
        (row(training="Not used for training on customer data by default"), "opt_in"),
        (row(training="Not excluded from training by default"), None),
        (row(training="No opt-out: used for training by default"), None),
        (row(training="opt-in"), "opt_in"),
        (row(training="Conditional"), "conditional"),
        (row(training="depends on billing"), "conditional"),
        (row(training="Opt-out"), "allowed"),
        (row(training=True), "allowed"),
        (row(zdr={"training": True}), "allowed"),
        (row(training="We care about privacy"), None),
        (row(training=["No"]), None),
        (row(training=None, zdr={"training": None}), None),
        # A fact and a label: "by default" outweighs a bare fact, a promise in words outweighs "by default".
        (row(training="No training by default", zdr={"training": False}), "opt_in"),
        (
            {"compliance": {"training": NEVER}, "route": {"data_handling": {"training": {"default": "no"}}}},
            "never",
        ),
        # The older shape speaks of a default only.
        ({"route": {"data_handling": {"training": {"default": "no"}}}}, "opt_in"),
        ({"route": {"data_handling": {"training": {"default": False}}}}, "opt_in"),
        ({"route": {"data_handling": {"training": {"default": "yes"}}}}, "allowed"),
        # A block that says more than a default is not understood, and hides behind no other statement.
        (row(training={"allowed": True}, zdr={"training": False}), None),
        (row(training={"default": True}, zdr={"training": False}), None),
        ({**row(training=NEVER), "route": {"data_handling": {"training": {"status": "allowed"}}}}, None),
        ({"route": {"data_handling": {"training": {"default": "no", "from": "opt-in"}}}}, None),
        ({"route": {"data_handling": {"training": {"default": "no", "from": None}}}}, "opt_in"),
        # Contradictions: the worse one counts, and what is not understood makes the whole unknown.
        (row(training=NEVER, zdr={"training": True}), "allowed"),
        (
            {"compliance": {"training": NEVER}, "route": {"data_handling": {"training": "Conditional"}}},
            "conditional",
        ),
        ({"compliance": {"training": NEVER}, "route": {"data_handling": {"training": "perhaps"}}}, None),
    ],
)
def test_readings(one: dict[str, Any], value: str | None) -> None:
    assert TRAINING.read(one).value == value


@pytest.mark.parametrize(
    ("asked", "passing"),
    [
        ("forbidden", {"never"}),
        ("opt_in_only", {"never", "opt_in"}),
        ("allowed", {"never", "opt_in", "conditional", "allowed"}),
    ],
)
def test_each_requirement_lets_through_what_is_at_least_as_strict(asked: str, passing: set[str]) -> None:
    labels = {"never": NEVER, "opt_in": "opt-in", "conditional": "Conditional", "allowed": "yes"}
    requirement = TRAINING.parse(asked, COUNTRIES)
    met = {
        value
        for value, label in labels.items()
        if TRAINING.judge(requirement, TRAINING.read(row(training=label)), at=AT).outcome is Outcome.MET
    }
    assert met == passing


def test_by_default_can_be_settled_by_a_clause() -> None:
    claim = TRAINING.read(row(training="No training by default"))
    judged = TRAINING.judge(TRAINING.parse("forbidden", COUNTRIES), claim, at=AT)
    assert judged.outcome is Outcome.UNMET
    assert "no_training" in judged.remedy


def test_the_claim_keeps_the_words_and_where_they_stand() -> None:
    claim = TRAINING.read(row(training=NEVER))
    assert (claim.words, claim.source) == (NEVER, "catalogue:compliance.training")
