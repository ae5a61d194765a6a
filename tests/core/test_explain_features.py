"""A refused feature comes with the change that would undo it, as its sender would write it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.decide import decide
from proxy.core.explain import refusal
from proxy.core.values import Json, Refusal
from proxy.facts import read_facts
from tests.judging import AT, CALLER, call, pin, policy, route


def refused(table: str, body: dict[str, Json], **features: Any) -> Refusal:
    dialect = table.partition(".")[0]
    effects = read_facts().tables.effects.find(dialect, table, body)
    asked = call("example/a", effects=effects)
    rules = [policy(features=features)]
    return refusal(decide(asked, CALLER, pin(route("example/a")), rules, {}, at=AT), asked, decision_id="d")


def test_a_member_that_is_missing_is_to_be_set_and_not_to_be_left_out() -> None:
    words = refused("openai.responses", {"model": "example/a", "input": "x"}, app_state="refuse")
    assert words.param == "store"
    assert words.remedies == ("set $.store to false, or have the policy allow features.app_state",)


@pytest.mark.parametrize(
    ("body", "param", "remedy"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].external_web_access", "set $.tools[0].external"),
        ({"store": False, "user": "u"}, "user", "leave out $.user"),
    ],
)
def test_the_remedy_is_what_a_rewrite_would_do(body: dict[str, Json], param: str, remedy: str) -> None:
    whole: dict[str, Json] = {"model": "example/a", "input": "x", "store": False, **body}
    words = refused("openai.responses", whole, third_party_egress="refuse", identifier="refuse")
    assert (words.code, words.param) == ("feature_refused", param)
    assert words.remedies[0].startswith(remedy)
    assert words.remedies[0] in words.message


def test_a_model_is_not_to_be_left_out_but_to_be_another_one() -> None:
    for table in ("anthropic.messages", "openai.chat"):
        words = refused(table, {"model": "anthropic/claude-fable-5"}, human_review="refuse")
        assert words.remedies == ("name another model, or have the policy allow features.human_review",)
        assert words.param == "model"
