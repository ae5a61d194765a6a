"""OpenAI requests: every model that a body names is read, and what goes on is what came."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.core import rewrite
from proxy.core.dialects import openai
from proxy.core.errors import Unreadable
from proxy.core.values import Edit, RouteId, Signal
from tests.core.dialects.facts import JSON, TABLES, asked

DIALECT = openai.DIALECT
CHAT = "/v1/chat/completions"


def read(body: Any, target: str = CHAT, headers: Any = JSON) -> Any:
    raw, match = asked(target, body if isinstance(body, bytes) else orjson.dumps(body), headers)
    return DIALECT.read(raw, match, TABLES)


def refused(body: Any, target: str = CHAT, headers: Any = JSON) -> str:
    with pytest.raises(Unreadable) as caught:
        read(body, target, headers)
    return caught.value.code


def test_a_call_holds_what_is_asked_and_no_content():
    call = read({"model": "azure/gpt", "messages": [{"role": "user", "content": "CANARY"}], "stream": True})
    assert (call.operation, call.dialect, call.models, call.stream) == (
        "chat.completions", "openai", ("azure/gpt",), True,
    )  # fmt: skip
    assert call.effects == ()
    assert call.model_at == ("model",)
    assert "CANARY" not in repr(call)


def test_every_model_is_read_the_main_one_first():
    body = {
        "model": "a/b",
        "fallback_models": ["c/d", "e"],
        "tools": [{"type": "image_generation", "model": "f/g"}],
    }
    call = read(body)
    assert call.models == ("a/b", "c/d", "e", "f/g")
    assert call.fallbacks_at == (("fallback_models", 0), ("fallback_models", 1), ("tools", 0, "model"))


def test_a_model_within_a_tool_counts_wherever_the_tool_stands():
    image = {"type": "image_generation", "model": "f/g"}
    body = {
        "model": "a/b",
        "input": ["x", {"type": "additional_tools", "tools": [{"type": "namespace", "tools": [image]}]}],
        "messages": [
            {"content": "x"},
            {"content": [{"tool": {"definition": image}}, {"tool_changes": [image]}]},
        ],
    }
    call = read(body)
    assert call.models == ("a/b", "f/g", "f/g", "f/g")
    assert set(call.fallbacks_at) == {
        ("input", 1, "tools", 0, "tools", 0, "model"),
        ("messages", 1, "content", 0, "tool", "definition", "model"),
        ("messages", 1, "content", 1, "tool_changes", 0, "model"),
    }


@pytest.mark.parametrize(("one", "most"), [("a", 2048), ([1], 2048), (1, 8192)])
def test_embeddings_in_bulk_are_refused(one, most):
    assert read({"model": "a/b", "input": [one] * most}, "/v1/embeddings").models == ("a/b",)
    assert refused({"model": "a/b", "input": [one] * (most + 1)}, "/v1/embeddings") == "too_many_members"


@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}])
def test_no_model_reads_as_an_empty_one(body):
    assert read(body).models == ("",)


@pytest.mark.parametrize(
    "body",
    [
        {"model": ["a/b", "c/d"]}, {"model": {"name": "a/b"}}, {"model": "a/b", "fallback_models": "c/d"},
        {"model": "a/b", "fallback_models": [["c/d"]]}, {"model": "a/b", "stream": "true"},
        {"model": "a/b", "stream": 1}, {"model": "a/b", "tools": [{"model": 7}]},
    ],
)  # fmt: skip
def test_a_model_or_a_stream_flag_of_another_type_is_refused(body):
    assert refused(body) == "wrong_type"


def test_an_effect_is_found_with_what_undoes_it():
    (effect,) = read({"model": "a/b", "store": True}).effects
    assert (effect.row, effect.signals) == ("test.stored", (Signal.APP_STATE,))
    assert effect.edits == (Edit(("store",), "set", False),)


def test_unknown_members_are_one_finding_that_does_not_spell_them_out():
    call = read(b'{"model":"a/b","x_secret":1,"x_other":{"region":"us"}}')
    (effect,) = call.effects
    assert effect.signals == (Signal.UNKNOWN_MEMBER,)
    assert "x_" not in effect.path + effect.feature
    assert [edit.pointer for edit in effect.edits] == [("x_secret",), ("x_other",)]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"model":"a","model":"b"}', b"\xef\xbb\xbf{}", b'{"n":NaN}', b"{}{}"]
)
def test_a_body_without_exactly_one_reading_is_refused(body):
    assert refused(body) in ("unreadable_json", "duplicate_key", "wrong_type")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((), "unsupported_media_type"),
        (((b"content-type", b"text/plain"),), "unsupported_media_type"),
        (((b"content-type", b"application/json; charset=utf-16"),), "unsupported_media_type"),
        (((b"content-type", b"application/json; boundary=x"),), "unsupported_media_type"),
        (((b"content-type", b"application/json, text/plain"),), "unsupported_media_type"),
        ((*JSON, (b"Content-Type", b"application/json")), "unsupported_media_type"),
        ((*JSON, (b"Content-Encoding", b"gzip")), "content_coding"),
        ((*JSON, (b"CONTENT-ENCODING", b"identity")), "content_coding"),
        ((*JSON, (b"openai-beta", b"assistants=v2")), "unknown_value"),
    ],
)
def test_a_head_that_lets_a_body_be_read_otherwise_is_refused(headers, code):
    assert refused({"model": "a/b"}, headers=headers) == code


@pytest.mark.parametrize(
    "media", [b"application/json", b"Application/JSON; charset=UTF-8", b'application/json;charset="utf-8"']
)
def test_json_in_utf8_is_taken(media):
    assert read({"model": "a/b"}, headers=((b"Content-Type", media),)).models == ("a/b",)


@pytest.mark.parametrize("target", ["/v1/models", "/v1/models/a/b"])
def test_a_look_up_takes_no_body(target):
    raw, match = asked(target, b"", (), "GET")
    assert DIALECT.read(raw, match, TABLES).models == ()
    raw, match = asked(target, b"{}", (), "GET")
    with pytest.raises(Unreadable):
        DIALECT.read(raw, match, TABLES)


def test_what_goes_on_is_what_came_but_for_the_headers():
    body = b'{ "model" : "a/b", "n":1.0 }'
    headers = (*JSON, (b"Authorization", b"Bearer rf-x"), (b"Cookie", b"a"), (b"X-Opper-Tags", b"a:b"))
    raw, match = asked("/v1/chat/completions", body, headers)
    sent = DIALECT.forward(raw, match, read(body), raw.body, TABLES)
    assert (sent.method, sent.target, sent.headers) == ("POST", "/v3/compat/chat/completions", JSON)
    assert sent.body is raw.body


def test_a_pin_changes_the_model_and_no_other_byte():
    body = b'{ "model" : "gpt-6.1", "n":1.0 }'
    raw, match = asked(CHAT, body)
    call = DIALECT.read(raw, match, TABLES)
    same, edits = DIALECT.pin(match, call, RouteId("azure/gpt-6.1"))
    assert same == match
    assert rewrite.apply(body, edits) == b'{ "model" : "azure/gpt-6.1", "n":1.0 }'


def test_a_pin_that_stands_already_changes_nothing():
    raw, match = asked(CHAT, b'{"model":"azure/gpt"}')
    assert DIALECT.pin(match, DIALECT.read(raw, match, TABLES), RouteId("azure/gpt")) == (match, ())


def test_an_image_request_is_read_and_sent_as_the_native_one():
    raw, match = asked("/v1/images/generations", b'{"model":"openai/gpt-image-1","prompt":"p","n":2}')
    call = DIALECT.read(raw, match, TABLES)
    assert (call.operation, call.models) == ("images.generate", ("openai/gpt-image-1",))
    native, named = DIALECT.translate(raw, match)
    assert DIALECT.translate(native, named) == (native, named)
    assert DIALECT.read(native, named, TABLES) == call
    sent = DIALECT.forward(native, named, call, native.body, TABLES)
    assert (sent.target, orjson.loads(sent.body)["store"]) == ("/v3/images", False)
    assert sent.headers == JSON


def test_other_requests_are_not_translated():
    raw, match = asked(CHAT, b"{}")
    assert DIALECT.translate(raw, match) == (raw, match)


@pytest.mark.parametrize(
    ("operation", "streamed", "end"),
    [
        ("chat.completions", True, b"data: [DONE]\n\n"),
        ("responses", True, b'data: {"type":"response.completed","response":{}}\n\n'),
        ("embeddings", False, b'{"usage":{}}'),
    ],
)
def test_the_tap_fits_the_reply(operation, streamed, end):
    tap = DIALECT.tap(operation, streamed)
    tap.feed(end)
    tap.finish()
    assert tap.complete


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (404, "invalid_request_error"), (401, "authentication_error"),
     (403, "permission_error"), (429, "rate_limit_error"), (503, "server_error")],
)  # fmt: skip
def test_errors_are_named_by_status(status, kind):
    assert openai.error_type(status) == kind
