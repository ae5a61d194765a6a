"""A rewrite that calls for another is followed to its end, and what is left then is what counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from jiter import from_json

from proxy.core import strict_yaml
from proxy.core.approval import approve
from proxy.core.catalog import read_catalogue
from proxy.core.dialects import routing
from proxy.core.policy import read_policy
from proxy.core.values import RawRequest
from proxy.pipeline import Asked, order
from proxy.visit import Visit
from tests.bypass.fixture import POLICY, US, row
from tests.fuzz.forwarding import AT, CALLER, revision

US_POLICY = POLICY.replace("within: [EU]", "within: [US]")
ROUTE = "anthropic/claude-sonnet-5"


def _ordered(policy: str, body: dict[str, Any]) -> tuple[Visit, Asked, Any]:
    facts = revision().facts
    rows: Any = {"models": [row(ROUTE, "claude-sonnet-5", {**US, "keeps": False})], "total": 1}
    now = replace(
        revision(),
        policies=(read_policy(strict_yaml.load(policy, "p.yaml"), facts.countries),),
        catalogue=read_catalogue(rows, source="test", fetched_at=AT),
    )
    headers = ((b"content-type", b"application/json"), (b"anthropic-version", b"2023-06-01"))
    raw = RawRequest("POST", "/v1/messages", "", headers, json.dumps(body).encode())
    match = routing.match(raw)
    assert match is not None
    call = routing.dialect_of(match.endpoint).read(raw, match, now.tables)
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

