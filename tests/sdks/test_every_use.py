"""What every endpoint owes every SDK: a verdict, a record, the same bytes, and a refusal it can read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proxy.facts import read_facts
from proxy.simulator import Seen
from tests.running import UPSTREAM_KEY, Stage
from tests.sdks.uses import CHAT, PNG, PROMPT, SAID, USES, Clients, Use, clients

# The proxy's own words on its connection to the gateway, beside what the table lets through.
OURS = {"host", "authorization", "user-agent", "accept-encoding", "content-length"}
ALLOWED = {name.decode() for name in read_facts().tables.headers.request} | OURS


def each(*promises: str) -> pytest.MarkDecorator:
    marked = []
    for use in USES:
        param = use.param()
        marks = [pytest.mark.covers(use.endpoint, use.mode, *promises)]
        marked.append(pytest.param(*param.values, id=param.id, marks=marks))
    return pytest.mark.parametrize("use", marked)


@pytest.fixture
def sdks(stage: Stage) -> Clients:
    return clients(stage.url, stage.keys["open"])


def decision(sdks: Clients) -> str:
    return sdks.wire.last.answer["x-ringfence-decision-id"]


@each("verdict")
def test_a_compliant_route_answers_as_the_sdk_reads_it(use: Use, sdks: Clients, stage: Stage) -> None:
    assert use.said(use.ask(sdks, use.allowed)) == SAID
    assert sdks.wire.last.answer["x-ringfence-route"] == use.allowed
    assert sdks.wire.last.answer["x-ringfence-policy"] == "open"
    assert [each.target for each in stage.seen] == [use.upstream]


@each("record")
def test_an_intent_and_an_outcome_are_on_record_without_a_word_of_content(
    use: Use, sdks: Clients, stage: Stage
) -> None:
    use.ask(sdks, use.allowed)
    rid, sent = decision(sdks), sdks.wire.last
    intent, outcome = stage.record(rid, "intent"), stage.record(rid, "outcome")
    assert (intent["dialect"], intent["op"]) == tuple(use.endpoint.split(" "))
    assert (intent["model_fwd"], intent["project"], intent["effect"]) == (use.allowed, "open", "allow")
    assert (intent["in_len"], intent["stream"]) == (len(sent.body), use.mode == "stream")
    assert (outcome["end"], outcome["status"]) == ("complete", sent.status)
    assert outcome["bytes"] == len(sent.received)
    if sent.status == 200:
        assert (outcome["served"], outcome["model_srv"]) == ("confirmed", use.model)
    if sent.status == 200 and use.model == CHAT:
        assert (outcome["tok_in"] > 0, outcome["tok_out"] > 0, outcome["cost_microusd"] > 0) == (True,) * 3
    assert intent["mono"] < outcome["mono"]
    assert PROMPT[10:20] not in json.dumps([intent, outcome], ensure_ascii=False)


@each("fidelity")
def test_the_gateway_receives_the_very_bytes_and_no_header_beyond_the_list(
    use: Use, sdks: Clients, stage: Stage
) -> None:
    use.ask(sdks, use.allowed)
    (seen,) = stage.seen
    if use.upstream == "/v3/images" and use.dialect == "openai":
        check_translation(use, seen)
    else:
        assert seen.body == sdks.wire.last.body
        assert seen.header("content-type") == sdks.wire.last.header("content-type")
    names = [name.decode().lower() for name, _ in seen.headers]
    assert set(names) <= ALLOWED
    assert [value for name, value in seen.headers if name.lower() == b"authorization"] == [
        f"Bearer {UPSTREAM_KEY}".encode()
    ]
    everything = seen.target.encode() + b"".join(name + value for name, value in seen.headers) + seen.body
    assert stage.keys["open"].encode() not in everything


def check_translation(use: Use, seen: Seen) -> None:
    """Images are the one translation: every member carried over, and kept by nobody."""
    body: dict[str, Any] = seen.json()
    assert (body["model"], body["prompt"], body["store"]) == (use.allowed, PROMPT, False)
    if use.endpoint == "openai images.edit":
        head, _, picture = body["image"].partition(",")
        assert (head, base64.b64decode(picture)) == ("data:image/png;base64", PNG)
    else:
        assert (body["n"], body["size"]) == (1, "1024x1024")


@each("refusal")
def test_a_refusal_is_the_sdks_own_error_is_not_retried_and_says_why(
    use: Use, sdks: Clients, stage: Stage
) -> None:
    with pytest.raises(use.error) as raised:
        use.ask(sdks, use.forbidden)
    refused = use.read(raised.value)
    assert (refused.status, refused.code) == (403, "requirement_unmet")
    assert "training is not met" in refused.message
    assert use.allowed in refused.routes
    assert sdks.wire.last.answer["x-ringfence-refusal"] == refused.code
    assert len(sdks.wire.exchanges) == 1
    assert stage.seen == ()
    record = stage.record(refused.decision_id, "refusal")
    assert (record["reason"], record["model_req"]) == (refused.code, use.forbidden)
