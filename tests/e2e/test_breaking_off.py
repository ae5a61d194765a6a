"""When one side breaks off, the other learns of it at once, and the record says which side it was."""

from __future__ import annotations

import socket
import time
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google.genai import _interactions_errors as interaction_errors

from proxy.simulator import Seen
from tests.running import UPSTREAM_KEY, Stage, eventually
from tests.sdks.uses import STREAMS, USES, Clients, Use, clients, user

BROKEN = (
    httpx2.TransportError,
    openai.APIConnectionError,
    anthropic.APIConnectionError,
    interaction_errors.APIConnectionError,
)
CHAT: dict[str, Any] = {"model": "example-us/atlas-1", "messages": user("[[words:40]]")}
PLAIN = [use for use in USES if use.mode == "plain" and "count" not in use.endpoint]


@pytest.fixture
def sdks(stage: Stage) -> Clients:
    return clients(stage.url, stage.keys["open"])


@pytest.mark.parametrize("kind", ["reset", "close"])
@pytest.mark.parametrize("use", [use.param() for use in STREAMS])
def test_a_stream_that_the_gateway_breaks_off_never_ends_cleanly(
    use: Use, kind: str, sdks: Clients, stage: Stage
) -> None:
    stage.fault(kind, after=300)
    with pytest.raises(BROKEN):
        use.ask(sdks, use.allowed)
    assert 0 < len(sdks.wire.exchanges[0].received) <= 300
    rid = sdks.wire.exchanges[0].answer["x-ringfence-decision-id"]
    outcome = stage.record(rid, "outcome")
    assert outcome["end"] == "upstream_reset"
    # The last bytes are held while they may be the start of a key that must not come through.
    assert 0 <= outcome["bytes"] - len(sdks.wire.exchanges[0].received) < len(UPSTREAM_KEY)


@pytest.mark.parametrize("use", [use.param() for use in PLAIN])
def test_a_whole_answer_that_the_gateway_breaks_off_is_not_taken_for_whole(use: Use, stage: Stage) -> None:
    http = clients(stage.url, stage.keys["open"])
    stage.fault("reset", after=20, times=-1)
    once = Clients(
        http.openai.with_options(max_retries=0),
        http.anthropic.with_options(max_retries=0),
        http.google,
        http.plain,
        http.wire,
    )
    with pytest.raises(BROKEN):
        use.ask(once, use.allowed)
    assert len(http.wire.exchanges[0].received) <= 20


# -- the client leaves -----------------------------------------------------------------------------


def gone(stage: Stage) -> Seen:
    """The one request whose client the gateway has seen leave."""
    return eventually(lambda: next((seen for seen in stage.seen if seen.gone_ns is not None), None))


def test_a_client_that_leaves_a_stream_cancels_the_gateway_within_a_second(
    sdks: Clients, stage: Stage
) -> None:
    with stage.lockstep():
        stream = sdks.openai.chat.completions.create(stream=True, **CHAT)
        next(iter(stream))
        left = time.monotonic_ns()
        stream.close()
        seen = gone(stage)
    assert seen.gone_ns is not None
    assert seen.gone_ns - left < 1_000_000_000
    assert seen.events_sent == 1
    rid = sdks.wire.last.answer["x-ringfence-decision-id"]
    assert stage.record(rid, "outcome")["end"] == "client_gone"


@pytest.mark.parametrize("after", [-1, 0], ids=["before the head", "after the head"])
def test_a_client_that_stops_waiting_cancels_the_gateway_within_a_second(after: int, stage: Stage) -> None:
    stage.fault("stall", after=after)
    body = b'{"model":"example-us/atlas-1","messages":[{"role":"user","content":"hi"}]}'
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stage.keys['open']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    before = len(stage.records())
    with socket.create_connection(("127.0.0.1", stage.port)) as connection:
        connection.sendall(head.encode() + body)
        eventually(lambda: [seen for seen in stage.seen if seen.whole_ns is not None])
        left = time.monotonic_ns()
    seen = gone(stage)
    assert seen.gone_ns is not None
    assert seen.gone_ns - left < 1_000_000_000

    def outcomes() -> list[Any]:
        return [record for record in stage.records()[before:] if record["kind"] == "outcome"]

    assert [outcome["end"] for outcome in eventually(outcomes)] == ["client_gone"]


# -- answers that must not be believed -------------------------------------------------------------


def test_a_redirect_is_not_followed_and_not_relayed(sdks: Clients, stage: Stage) -> None:
    stage.fault("redirect", location=f"{stage.simulator.base_url}/v3/compat/elsewhere")
    with pytest.raises(openai.InternalServerError) as raised:
        sdks.openai.with_options(max_retries=0).chat.completions.create(**CHAT)
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_broke_off")
    assert "location" not in raised.value.response.headers
    assert [seen.target for seen in stage.seen] == ["/v3/compat/chat/completions"]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_an_answer_by_another_route_is_withheld_and_the_route_set_aside(
    streamed: bool, sdks: Clients, stage: Stage
) -> None:
    model = "example-us/claude-sonnet-4-6" if streamed else "example-us/solo-1"
    stage.fault("served", provider="example-open", model="meadow-1")
    ask: dict[str, Any] = {"model": model, "messages": user(), "stream": streamed}
    with pytest.raises(openai.PermissionDeniedError) as raised:
        sdks.openai.chat.completions.create(**ask)
    assert raised.value.code == "served_mismatch"
    assert "x-opper-served-model" not in raised.value.response.headers
    outcome = stage.record(raised.value.body["decision_id"], "outcome")  # type: ignore[index]
    assert (outcome["end"], outcome["served"]) == ("served_mismatch", "mismatch")

    def again() -> str | None:
        try:
            sdks.openai.chat.completions.create(**ask)
        except openai.PermissionDeniedError as refused:
            return refused.code
        return None

    assert eventually(again) == "route_quarantined"


def test_an_answer_that_nobody_vouches_for_is_withheld_where_a_policy_asks(stage: Stage) -> None:
    stage.fault("unserved", times=2)
    with pytest.raises(openai.PermissionDeniedError) as raised:
        clients(stage.url, stage.keys["confirmed"]).openai.chat.completions.create(**CHAT)
    assert raised.value.code == "not_confirmed"
    sdks = clients(stage.url, stage.keys["open"])
    assert sdks.openai.chat.completions.create(**CHAT).choices
    outcome = stage.record(sdks.wire.last.answer["x-ringfence-decision-id"], "outcome")
    assert outcome["served"] != "confirmed"


@pytest.mark.parametrize("use", [use.param() for use in USES])
def test_a_gateway_that_echoes_its_key_does_not_reach_the_client_with_it(
    use: Use, sdks: Clients, stage: Stage
) -> None:
    stage.fault("echo", status=400)
    try:
        use.ask(sdks, use.allowed)
    except Exception as error:  # each SDK has its own
        assert UPSTREAM_KEY not in str(error)
    assert sdks.wire.last.status == 400
    assert UPSTREAM_KEY.encode() not in sdks.wire.last.received
    assert b"rejected" in sdks.wire.last.received
    assert UPSTREAM_KEY.encode() not in stage.written()
