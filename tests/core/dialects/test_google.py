"""Google requests: the model stands in the path, and the body may not say another one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.core import rewrite
from proxy.core.dialects import google
from proxy.core.errors import Unreadable
from proxy.core.values import Edit, RouteId
from tests.core.dialects.facts import JSON, TABLES, asked

DIALECT = google.DIALECT
MODELS = "/v1beta/models/"


def read(target: str, body: Any) -> Any:
    raw, match = asked(target, orjson.dumps(body))
    return raw, match, DIALECT.read(raw, match, TABLES)


def test_the_model_comes_from_the_path_and_goes_into_it():
    raw, match, call = read("/v1/models/alibaba:eu/Qwen/Q:generateContent", {"contents": []})
    assert (call.models, call.model_at, call.stream) == (("alibaba:eu/Qwen/Q",), (), False)
    sent = DIALECT.forward(raw, match, call, raw.body, TABLES)
    assert sent.target == "/v3/compat/v1beta/models/alibaba:eu/Qwen/Q:generateContent"
    assert sent.body is raw.body


def test_a_stream_is_asked_for_by_its_path_and_keeps_its_query_but_no_key():
    raw, match, call = read(MODELS + "m:streamGenerateContent?key=rf-x&alt=sse", {"contents": []})
    assert call.stream
    sent = DIALECT.forward(raw, match, call, raw.body, TABLES)
    assert sent.target == "/v3/compat/v1beta/models/m:streamGenerateContent?alt=sse"


def test_a_stream_that_is_no_event_stream_is_refused():
    with pytest.raises(Unreadable) as caught:
        read(MODELS + "m:streamGenerateContent", {"contents": []})
    assert "alt=sse" in caught.value.detail


@pytest.mark.parametrize("named", ["a/b", "models/a/b"])
def test_the_body_may_say_the_paths_model_again(named):
    assert read(MODELS + "a/b:embedContent", {"content": {}, "model": named})[2].repeats == (("model",),)


@pytest.mark.parametrize(
    "named", ["models/gemini-us", "gemini-us", "A/B", "models/models/a/b", "", 7, ["a/b"]]
)
def test_another_model_in_the_body_is_refused(named):
    for target, body in (
        (MODELS + "a/b:generateContent", {"contents": [], "model": named}),
        (MODELS + "a/b:batchEmbedContents", {"requests": [{"model": "models/a/b"}, {"model": named}]}),
    ):
        with pytest.raises(Unreadable) as caught:
            read(target, body)
        assert caught.value.code in ("ambiguous_member", "wrong_type")


def test_a_pin_goes_into_the_path_and_wherever_the_body_repeats_it():
    body = {"requests": [{"model": "models/pool", "content": {}}, {"content": {}}]}
    raw, match, call = read(MODELS + "pool:batchEmbedContents", body)
    pinned, edits = DIALECT.pin(match, call, RouteId("gemini/pool"))
    text = rewrite.apply(raw.body, edits)
    assert orjson.loads(text)["requests"] == [{"model": "models/gemini/pool", "content": {}}, {"content": {}}]
    again = DIALECT.read(raw.__class__("POST", raw.path, "", raw.headers, text), pinned, TABLES)
    assert again.models == ("gemini/pool",)
    assert DIALECT.pin(pinned, again, RouteId("gemini/pool")) == (pinned, ())
    assert DIALECT.forward(raw, pinned, again, text, TABLES).target.endswith(
        "/models/gemini/pool:batchEmbedContents"
    )


def test_a_route_that_cannot_stand_in_a_path_is_not_pinned():
    _, match, call = read(MODELS + "m:generateContent", {"contents": []})
    with pytest.raises(Unreadable):
        DIALECT.pin(match, call, RouteId("a/../b"))


def test_an_interaction_names_its_model_in_the_body():
    raw, match, call = read("/v1/interactions", {"model": "a/b", "input": "x", "stream": True})
    assert (call.models, call.model_at, call.stream) == (("a/b",), ("model",), True)
    assert DIALECT.pin(match, call, RouteId("c/d")) == (match, (Edit(("model",), "set", "c/d"),))
    assert DIALECT.forward(raw, match, call, raw.body, TABLES).target == "/v3/compat/v1beta/interactions"


def test_an_agent_is_no_model():
    assert read("/v1/interactions", {"agent": "deep-research", "input": "x"})[2].models == ("",)


def test_a_look_up_takes_no_body():
    raw, match = asked("/v1beta/models?key=rf-x", b"", JSON, "GET")
    assert DIALECT.read(raw, match, TABLES).models == ()
    raw, match = asked("/v1beta/models", b"x", (), "GET")
    with pytest.raises(Unreadable):
        DIALECT.read(raw, match, TABLES)


@pytest.mark.parametrize(
    ("operation", "streamed", "text"),
    [
        ("streamGenerateContent", True, b'data: {"candidates":[{"finishReason":"STOP"}]}\r\n\r\n'),
        ("interactions", True, b'data: {"event_type":"interaction.completed"}\n\n'),
        ("generateContent", False, b"{}"),
    ],
)
def test_the_tap_fits_the_reply(operation, streamed, text):
    tap = DIALECT.tap(operation, streamed)
    tap.feed(text)
    tap.finish()
    assert tap.complete


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "INVALID_ARGUMENT"), (413, "INVALID_ARGUMENT"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"),
     (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED")],
)  # fmt: skip
def test_errors_are_named_by_status(status, name):
    assert google.error_status(status) == name
