"""A rewrite that calls for another is followed to its end, and what is left then is what counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jiter import from_json

from proxy.core import strict_yaml
from proxy.core.approval import approve
from proxy.core.catalog import Catalogue, read_catalogue
from proxy.core.dialects import routing
from proxy.core.policy import read_policy
from proxy.core.values import RawRequest
from proxy.pipeline import Asked, order
from proxy.revision import Revision
from proxy.visit import Visit
from tests.bypass.fixture import POLICY, US, row
from tests.fuzz.forwarding import AT, CALLER, revision

US_POLICY = POLICY.replace("within: [EU]", "within: [US]")
ROUTE = "anthropic/claude-sonnet-5"


def _world(policy: str, *pins: str) -> Revision:
    clean: dict[str, Any] = {**US, "keeps": False}
    rows: Any = {"models": [row(pin, pin.rpartition("/")[2], clean) for pin in pins], "total": len(pins)}
    return replace(
        revision(),
        policies=(read_policy(strict_yaml.load(policy, "p.yaml"), revision().facts.countries),),
        catalogue=read_catalogue(rows, source="test", fetched_at=AT),
    )


def _within_the_eu(pin: str) -> Catalogue:
    clean: dict[str, Any] = {**US, "keeps": False, "country": "Sweden", "region": "EU"}
    rows: Any = {"models": [row(pin, pin.rpartition("/")[2], clean)], "total": 1}
    return read_catalogue(rows, source="test", fetched_at=AT)


def _read(now: Revision, path: str, body: bytes) -> Asked:
    headers = ((b"content-type", b"application/json"), (b"anthropic-version", b"2023-06-01"))
    raw = RawRequest("POST", path, "", headers, body)
    match = routing.match(raw)
    assert match is not None
    return Asked(raw, match, routing.dialect_of(match.endpoint).read(raw, match, now.tables))


def _ordered(policy: str, body: dict[str, Any]) -> tuple[Visit, Asked, Any]:
    now = _world(policy, ROUTE)
    asked = _read(now, "/v1/messages", json.dumps(body).encode())
    raw, match, call = asked.raw, asked.match, asked.call
    visit = Visit("r", raw, now, AT, 0.0, match=match, caller=CALLER, call=call)
    decision = visit.decision = now.decide(call, CALLER, AT)
    leaving, after = order(visit, Asked(raw, match, call), CALLER, decision)
    return visit, leaving, after


def _message(**more: Any) -> dict[str, Any]:
    turn = {"role": "user", "content": "x"}
    return {"model": "claude-sonnet-5", "max_tokens": 5, "messages": [turn], **more}


def test_a_pool_is_pinned_and_then_rewritten_as_its_provider_needs() -> None:
    visit, leaving, after = _ordered(US_POLICY, _message())
    body = from_json(leaving.raw.body)
    assert body["model"] == ROUTE
    assert body["inference_geo"] == "us"
    assert visit.decision is not None
    assert len(visit.decision.rewrites) == 2
    assert approve(visit.decision, after=after).route.id == ROUTE


def test_what_needs_no_second_rewrite_gets_none() -> None:
    visit, leaving, after = _ordered(US_POLICY, _message(inference_geo="us", model=ROUTE))
    assert after is None
    assert leaving.raw.body is visit.raw.body


def test_a_region_outside_of_what_the_policy_permits_is_refused_though_its_route_lies_within() -> None:
    inside = replace(_world(POLICY, ROUTE), catalogue=_within_the_eu(ROUTE))
    for geo in ("us", "apac"):
        body = json.dumps(_message(model=ROUTE, inference_geo=geo)).encode()
        decision = inside.decide(_read(inside, "/v1/messages", body).call, CALLER, AT)
        assert (decision.allowed, decision.reason) == (False, "feature_refused")


# -- whoever may serve it --------------------------------------------------------------------------

PINS = [ROUTE, "anthropic/claude-fable-5", "example/atlas-1", "openai/gpt-5", "azure/gpt-5"]
NAMES = [*PINS, "claude-sonnet-5", "atlas-1"]
OPEN_POLICY = US_POLICY.replace("model_override: refuse", "model_override: allow").replace(
    "  training: forbidden\n", "  training: forbidden\n  human_review: forbidden\n"
)
SPACIOUS = _world(OPEN_POLICY, *PINS)
PATHS = ["/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1beta/interactions"]
CONTENT: dict[str, Any] = {"input": "x", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
WANTED = {
    "/v1/messages": ("messages", "max_tokens"),
    "/v1/chat/completions": ("messages",),
    "/v1/responses": ("input",),
    "/v1beta/interactions": ("input",),
}
OPTIONS: dict[str, Any] = {
    "/v1/messages": {"inference_geo": st.sampled_from(["us", "global"])},
    "/v1/chat/completions": {"prompt_cache_retention": st.sampled_from(["in_memory", "24h"])},
    "/v1/responses": {"prompt_cache_retention": st.just("in_memory"), "store": st.booleans()},
    "/v1beta/interactions": {"store": st.booleans()},
}


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    path = draw(st.sampled_from(PATHS))
    fallbacks = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    body = {name: CONTENT[name] for name in WANTED[path]} | {"model": draw(st.sampled_from(NAMES))}
    chosen = draw(st.fixed_dictionaries({}, optional=OPTIONS[path]))
    return path, body | chosen | ({"fallback_models": fallbacks} if fallbacks else {})


@settings(database=None, derandomize=True, deadline=None, max_examples=400)
@given(bodies())
def test_what_leaves_is_in_order_whichever_of_its_models_serves_it(asked: tuple[str, dict[str, Any]]) -> None:
    path, body = asked
    first = _read(SPACIOUS, path, json.dumps(body).encode())
    visit = Visit("r", first.raw, SPACIOUS, AT, 0.0, match=first.match, caller=CALLER, call=first.call)
    decision = visit.decision = SPACIOUS.decide(first.call, CALLER, AT)
    if not decision.allowed:
        return
    leaving, after = order(visit, first, CALLER, decision)
    if after is not None and not after.allowed:
        return
    assert approve(visit.decision, after=after)
    sent: Any = from_json(leaving.raw.body)
    for model in [sent["model"], *sent.pop("fallback_models", ())]:
        alone = _read(SPACIOUS, path, json.dumps({**sent, "model": model}).encode())
        verdict = SPACIOUS.decide(alone.call, CALLER, AT)
        assert verdict.allowed, (model, verdict.findings)
        assert not verdict.rewrites


def test_some_requests_with_fallbacks_do_leave() -> None:
    for body in (
        {"model": "example/atlas-1", "fallback_models": ["azure/gpt-5", "atlas-1"], "input": "x"},
        {"model": "azure/gpt-5", "fallback_models": ["example/atlas-1"], "input": "x"},
    ):
        asked = _read(SPACIOUS, "/v1/responses", json.dumps(body).encode())
        decision = SPACIOUS.decide(asked.call, CALLER, AT)
        visit = Visit("r", asked.raw, SPACIOUS, AT, 0.0, call=asked.call, caller=CALLER, decision=decision)
        leaving, after = order(visit, asked, CALLER, decision)
        assert after is not None
        assert after.allowed, after.findings
        assert from_json(leaving.raw.body)["store"] is False


def test_two_models_of_one_provider_are_asked_for_the_same_and_rewritten_alike() -> None:
    body = _message(model=ROUTE, fallback_models=["anthropic/claude-sonnet-5"])
    asked = _read(SPACIOUS, "/v1/messages", json.dumps(body).encode())
    decision = SPACIOUS.decide(asked.call, CALLER, AT)
    assert decision.rewrites == ("undo=ant.inference_geo.absent",)


def test_a_main_model_that_is_yet_to_be_pinned_is_not_held_against_its_fallback() -> None:
    body = _message(model="claude-sonnet-5", fallback_models=["anthropic/claude-sonnet-5"])
    asked = _read(SPACIOUS, "/v1/messages", json.dumps(body).encode())
    decision = SPACIOUS.decide(asked.call, CALLER, AT)
    visit = Visit("r", asked.raw, SPACIOUS, AT, 0.0, call=asked.call, caller=CALLER, decision=decision)
    leaving, after = order(visit, asked, CALLER, decision)
    assert after is not None
    assert after.allowed
    assert from_json(leaving.raw.body)["inference_geo"] == "us"
