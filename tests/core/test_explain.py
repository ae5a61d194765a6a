"""A stranger understands a refusal without the documentation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.core.decide import decide
from proxy.core.explain import plain_refusal, refusal, remedies, sentences, table
from proxy.core.reasons import REASONS
from proxy.core.values import Candidates, Decision, Edit, Effect, Reference, Signal
from tests.judging import AT, CALLER, Shelf, call, claim, pin, policy, pool, route

HOSTED = Effect("row.tool", (Signal.HOSTED_TOOL,), "tools[*].type", "hosted web search")
KEPT = route("example/a", retention__abuse_logs={"kept": "content", "contract": True}, human_review=None)
STRICT = policy(name="strict", require={"retention": {"abuse_logs": "none"}, "human_review": "forbidden"})


def judge(
    candidates: Candidates, *policies: Any, effects: Any = (), model: str = "example/a", **more: Any
) -> Decision:
    return decide(
        call(model, effects=effects), CALLER, candidates, policies or (policy(),), {}, at=AT, **more
    )


def test_a_refusal_says_what_was_asked_by_which_policy_why_what_is_missing_and_what_would_help() -> None:
    told = refusal(judge(pin(KEPT), STRICT), call(), decision_id="id-1")
    assert told.status == 403
    assert told.code == "requirement_unmet"
    assert told.decision_id == "id-1"
    assert told.param == "model"
    for words in (
        "refused the model 'example/a' (chat.completions) before it left",
        "By policy strict (The reason of strict).",
        "retention.abuse_logs is not met (asked: none;",
        "human_review is unknown (asked: forbidden; found: nothing is stated)",
        "attest zero_data_retention for this route, which needs the gateway's Enterprise contract",
        "no_human_review",
        "No other route of this kind was found that complies today.",
    ):
        assert words in told.message.replace("found: None", "found: nothing is stated"), words
    assert len(told.remedies) == 2


def test_routes_that_comply_are_named() -> None:
    shelf = Shelf(KEPT, route("other/a"))
    told = refusal(judge(pin(KEPT), STRICT, catalogue=shelf), call(), decision_id="x")
    assert told.alternatives == ("other/a",)
    assert "Or use a route that complies today: other/a." in told.message
    assert "No other route" not in told.message


def test_where_the_gateway_falls_short_no_route_is_promised() -> None:
    asks = policy(gateway={"content_retention": "none"})
    told = refusal(judge(pin(route()), asks, catalogue=Shelf(route())), call(), decision_id="x")
    assert "the gateway itself is what falls short" in told.message
    assert "gateway_zero_content_retention" in told.message


def test_a_refused_feature_names_the_feature_where_it_stands_and_the_parameter() -> None:
    told = refusal(judge(pin(route()), effects=[HOSTED]), call(effects=[HOSTED]), decision_id="x")
    assert told.code == "feature_refused"
    assert told.param == "tools[*].type"
    assert (
        "hosted web search at tools[*].type is not let through (features.hosted_tool: refuse)" in told.message
    )
    assert "No other route" not in told.message


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (Reference.UNKNOWN, "exactly as the model list shows it"),
        (Reference.EMPTY, "Write one route as provider/model"),
    ],
)
def test_a_refusal_without_findings_gives_the_advice_of_its_reason(reference: Reference, words: str) -> None:
    told = refusal(judge(Candidates(reference, ())), call(""), decision_id="x")
    assert words in told.message
    assert told.remedies


def test_without_a_policy_the_caller_is_told_whom_to_ask() -> None:
    found = decide(call(), CALLER, pin(route()), [], {}, at=AT)
    told = refusal(found, call(), decision_id="x")
    assert "applies_to" in told.message
    assert told.param is None


def test_findings_of_a_pool_say_which_route_they_are_about() -> None:
    found = judge(pool(route("a/m", training=None), route("b/m", training="allowed")), model="m")
    told = refusal(found, call("m"), decision_id="x").message
    assert "training on a/m is unknown" in told
    assert "training on b/m is not met" in told


def test_a_long_list_is_cut_and_says_so() -> None:
    many = pool(*(route(f"r{i:02}/m", training="allowed") for i in range(30)))
    told = refusal(judge(many, model="m"), call("m"), decision_id="x").message
    assert "and 14 more" in told
    assert len(told) < 4000


def test_a_model_name_of_any_length_is_cut_in_the_message() -> None:
    told = refusal(judge(Candidates(Reference.UNKNOWN, ())), call("x" * 5000), decision_id="x").message
    assert len(told) < 1000


def test_an_allowance_is_told_with_what_it_rests_on_and_what_was_changed() -> None:
    attested = claim("never", until=AT + timedelta(days=1), source="attestation:a1")
    one = route()
    one = replace(one, posture={**one.posture, "training": attested})
    undo = Effect("row.store", (Signal.APP_STATE,), "store", "stored", (Edit(("store",), "set", False),))
    told = " ".join(sentences(judge(pool(one), effects=[undo], model="a"), call("a")))
    for words in (
        "served by example/a",
        "pin=example/a, undo=row.store",
        "attestations a1",
        "until 2026-11-23 12:00",
    ):
        assert words in told
    assert remedies(judge(pin(one))) == ()


def test_the_table_has_a_line_for_every_finding_and_the_verdict_below() -> None:
    found = judge(pin(KEPT), STRICT)
    lines = table(found).splitlines()
    assert lines[0].split() == ["policy", "about", "asked", "claimed", "verdict"]
    assert len([line for line in lines if line.startswith("strict")]) == len(found.findings)
    assert any(line.endswith("NOT MET") for line in lines)
    assert any(line.endswith("UNKNOWN") for line in lines)
    assert any(line.startswith("refused: requirement_unmet") for line in lines)
    allowed = table(judge(pin(route()))).splitlines()
    assert allowed[-1] == "allowed: example/a"


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_can_be_told_without_a_decision(code: str) -> None:
    told = plain_refusal(code, "a detail", decision_id="d", param="p", retry_after=3)
    assert told.code == code
    assert 400 <= told.status < 600
    assert "a detail." in told.message
    assert (told.decision_id, told.param, told.retry_after) == ("d", "p", 3)


def test_a_detail_may_be_left_out() -> None:
    assert (
        plain_refusal("no_credential").message
        == "The request carries no key. Send a Ringfence key where your SDK puts its API key."
    )
