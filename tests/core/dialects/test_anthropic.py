"""Anthropic requests, with the query and beta headers that its SDK and Claude Code send."""

from __future__ import annotations

import orjson
import pytest

from proxy.core.dialects import anthropic
from proxy.core.errors import Unreadable
from proxy.core.values import Match
from tests.core.dialects.facts import JSON, TABLES, asked

DIALECT = anthropic.DIALECT
BODY = orjson.dumps({"model": "claude-opus-4-8", "max_tokens": 3, "stream": True, "messages": []})
CLAUDE_CODE = (
    *JSON,
    (b"Authorization", b"Bearer rf-x"),
    (b"User-Agent", b"claude-cli/2.1.197 (external, cli)"),
    (b"anthropic-version", b"2023-06-01"),
    (b"anthropic-beta", b"claude-code-20250219,context-1m-2025-08-07,effort-2025-11-24"),
    (b"X-Claude-Code-Session-Id", b"s"),
    (b"x-app", b"cli"),
)


def test_what_claude_code_sends_is_read_and_sent_with_its_beta_query():
    raw, match = asked("/v1/messages?beta=true", BODY, CLAUDE_CODE)
    call = DIALECT.read(raw, match, TABLES)
    assert (call.operation, call.models, call.stream, call.agent) == (
        "messages", ("claude-opus-4-8",), True, "claude-code",
    )  # fmt: skip
    sent = DIALECT.forward(raw, match, call, raw.body, TABLES)
    assert sent.target == "/v3/compat/v1/messages?beta=true"
    assert [name for name, _ in sent.headers] == [b"content-type", b"anthropic-version", b"anthropic-beta"]


def test_without_the_query_none_is_sent():
    raw, match = asked("/v1/messages/count_tokens", BODY, CLAUDE_CODE)
    call = DIALECT.read(raw, match, TABLES)
    assert DIALECT.forward(raw, match, call, raw.body, TABLES).target == "/v3/compat/v1/messages/count_tokens"


def test_a_session_path_is_sent_to_its_compat_twin_without_id_and_tags():
    raw, match = asked("/v3/session/sess_a-1/team:red/v1/messages?beta=true", BODY, CLAUDE_CODE)
    sent = DIALECT.forward(raw, match, DIALECT.read(raw, match, TABLES), raw.body, TABLES)
    assert sent.target == "/v3/compat/v1/messages?beta=true"


@pytest.mark.parametrize("value", [b"brand-new-2027-01-01", b"server-side-fallback-2026-07-01"])
def test_a_beta_value_that_may_not_pass_is_refused_before_the_body_counts(value):
    raw, match = asked("/v1/messages", BODY, (*JSON, (b"anthropic-beta", value)))
    with pytest.raises(Unreadable) as caught:
        DIALECT.read(raw, match, TABLES)
    assert caught.value.param == "anthropic-beta"


@pytest.mark.parametrize(
    ("method", "target"),
    [("HEAD", "/"), ("HEAD", "/v3/compat"), ("HEAD", "/v3/session/sess_a-1"), ("GET", "/api/hello"),
     ("HEAD", "/api/hello")],
)  # fmt: skip
def test_probes_are_read_without_a_body_and_answered_here(method, target):
    raw, match = asked(target, b"", (), method)
    call = DIALECT.read(raw, match, TABLES)
    assert (call.operation, call.models, match.endpoint.upstream) == ("probe", (), "")
    assert DIALECT.answer(match, ()).status == 200


def test_a_list_of_no_models_has_no_ends():
    endpoint = next(each for each in DIALECT.endpoints if each.operation == "models.list")
    body = orjson.loads(DIALECT.answer(Match(endpoint), ()).body)
    assert body == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("streamed", "text"), [(True, b'data: {"type":"message_stop"}\n\n'), (False, b'{"id":"m"}')]
)
def test_the_tap_fits_the_reply(streamed, text):
    tap = DIALECT.tap("messages", streamed)
    tap.feed(text)
    tap.finish()
    assert tap.complete


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (405, "invalid_request_error"), (401, "authentication_error"),
     (403, "permission_error"), (404, "not_found_error"), (413, "request_too_large"),
     (429, "rate_limit_error"), (502, "api_error"), (504, "timeout_error")],
)  # fmt: skip
def test_errors_are_named_by_status(status, kind):
    assert anthropic.error_type(status) == kind
