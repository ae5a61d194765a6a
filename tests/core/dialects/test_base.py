"""What dialects share: the model is named once, and nothing of a client's target travels on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dialects.base import Common, unknown_model
from proxy.core.errors import Unreadable
from proxy.core.values import Call, Edit, Endpoint, Match, RawRequest, RouteId
from tests.core.dialects.facts import TABLES

COMMON = Common()
ENDPOINT = Endpoint(
    "chat", "openai", "POST", "/v1/x", "/v3/x", "openai.chat", query=("alt=sse", "beta=true", "k=")
)
TEMPLATE = Endpoint("count", "google", "POST", "/v1beta/x", "/v3/models/{model}:count", "google.x")
PIN = RouteId("example/atlas-1")
BODY = b'{"model": "m"}'


def raw(query: str = "", headers=()) -> RawRequest:
    return RawRequest("POST", "/v1/x", query, headers, BODY)


def call(*models: str, **fields) -> Call:
    return Call("chat", "openai", models, False, (), **fields)


def leaving(query: str = "", headers=(), endpoint: Endpoint = ENDPOINT, model: str = "m"):
    return COMMON.forward(raw(query, headers), Match(endpoint), call(model), BODY, TABLES)


def test_a_request_is_in_the_gateways_form_already() -> None:
    asked, match = raw(), Match(ENDPOINT)
    assert COMMON.translate(asked, match) == (asked, match)


# -- pinning ---------------------------------------------------------------------------------------


def test_a_pin_is_set_wherever_the_body_names_the_model() -> None:
    asked = call("atlas-1", model_at=("model",), repeats=(("requests", 0, "model"), ("requests", 1, "model")))
    _, edits = COMMON.pin(Match(ENDPOINT), asked, PIN)
    assert edits == tuple(
        Edit(place, "set", PIN) for place in (("model",), ("requests", 0, "model"), ("requests", 1, "model"))
    )


def test_what_names_the_route_already_is_left_as_it_is() -> None:
    assert COMMON.pin(Match(ENDPOINT), call(PIN, model_at=("model",)), PIN)[1] == ()


def test_nothing_is_set_where_the_body_names_no_model() -> None:
    assert COMMON.pin(Match(ENDPOINT), call("atlas-1", model_at=()), PIN)[1] == ()


# -- forwarding ------------------------------------------------------------------------------------

pairs = st.lists(
    st.sampled_from(["alt=sse", "beta=true", "k=", "k=secret", "key=secret", "alt=media", "", "alt=sse#x"]),
    max_size=6,
)


@given(pairs)
def test_only_the_literal_pairs_of_the_endpoint_travel_on(asked: list[str]) -> None:
    target = leaving("&".join(asked)).target
    kept = [pair for pair in asked if pair in ("alt=sse", "beta=true")]
    assert target == "/v3/x" + ("?" + "&".join(kept) if kept else "")


@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_no_other_query_leaves_a_trace(query: str) -> None:
    known = {"alt=sse", "beta=true"}
    assert set(query.split("&")) & known or leaving(query).target == "/v3/x"


def test_method_and_target_are_the_endpoints_and_the_body_is_the_one_given() -> None:
    made = leaving()
    assert (made.method, made.target, made.body) == ("POST", "/v3/x", BODY)


def test_no_credential_of_the_client_travels_on() -> None:
    secret = ((b"Authorization", b"Bearer x"), (b"X-Api-Key", b"x"), (b"Cookie", b"x"), (b"Host", b"x"))
    names = {name.lower() for name, _ in leaving(headers=secret).headers}
    assert not names & {name.lower() for name, _ in secret}


def test_the_model_stands_in_the_path_where_the_endpoint_has_it() -> None:
    assert leaving(endpoint=TEMPLATE, model="example/atlas-1").target == "/v3/models/example/atlas-1:count"


@pytest.mark.parametrize("model", ["", "a/../b", "a b", "a%2fb", "a?x", "/a", "a//b"])
def test_a_model_that_would_bend_the_path_is_refused(model: str) -> None:
    with pytest.raises(Unreadable) as caught:
        leaving(endpoint=TEMPLATE, model=model)
    assert caught.value.code == "bad_request_target"


def test_a_look_up_of_an_unknown_model_is_a_404_that_names_it() -> None:
    words = unknown_model("atlas-9")
    assert (words.status, words.code, words.param) == (404, "unknown_model", "model")
    assert '"atlas-9"' in words.message
