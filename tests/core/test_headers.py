"""Header fields cross only when the table lists them, and opt-in values only when it judged them."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import Mistake, Unreadable
from proxy.core.fields import Fields
from proxy.core.headers import compile_headers

SOURCE = pathlib.Path(__file__).parents[2] / "proxy" / "tables" / "headers.yaml"
PARSED = yaml.safe_load(SOURCE.read_text())
TABLE = compile_headers(PARSED)

CLAUDE_CODE = (
    b"claude-code-20250219,context-1m-2025-08-07,interleaved-thinking-2025-05-14,"
    b"thinking-token-count-2026-05-13,context-management-2025-06-27,prompt-caching-scope-2026-01-05,"
    b"mid-conversation-system-2026-04-07,effort-2025-11-24"
)

CREDENTIALS = ["authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization"]
STEERING = [
    "x-opper-trace-id", "x-opper-tags", "x-opper-api-key", "x_opper_api_key", "x-opper-guard-action",
    "openai-organization", "openai-project", "x-goog-user-project", "anthropic-user-profile-id",
]  # fmt: skip
PRIVATE = [
    "x-codex-turn-metadata", "session-id", "thread-id", "x-claude-code-session-id", "user-agent", "referer",
    "x-forwarded-for", "forwarded", "traceparent", "baggage", "idempotency-key", "x-client-request-id",
]  # fmt: skip
FRAMING = ["host", "connection", "content-length", "transfer-encoding", "accept-encoding", "expect", "te"]


def test_listed_fields_keep_their_order_and_case():
    sent = ((b"Accept", b"*/*"), (b"X-Stainless-Lang", b"python"), (b"content-type", b"application/json"))
    assert TABLE.upstream(Fields(sent)) == sent


@pytest.mark.parametrize("name", [*CREDENTIALS, *STEERING, *PRIVATE, *FRAMING])
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_what_is_not_listed_does_not_travel_up(name, case):
    assert TABLE.upstream(Fields(((case(name).encode(), b"x"),))) == ()


@pytest.mark.parametrize("value", [b"a\xffb", b"\x1b[31m", b"a\x00", b"x" * 2000, "\u2028".encode()])
def test_a_value_that_servers_read_differently_is_dropped(value):
    assert TABLE.upstream(Fields(((b"Accept", value),))) == ()


@pytest.mark.parametrize(
    "name",
    [b"Set-Cookie", b"Location", b"WWW-Authenticate", b"Authorization", b"OpenAI-Organization", b"Server",
     b"Transfer-Encoding", b"Connection", b"anthropic-organization-id", b"Alt-Svc", b"Link", b"Refresh"],
)  # fmt: skip
def test_what_is_not_listed_does_not_travel_back(name):
    assert TABLE.downstream([(name, b"x"), (b"Content-Type", b"text/event-stream")]) == (
        (b"Content-Type", b"text/event-stream"),
    )


@pytest.mark.parametrize(
    "name",
    [
        b"x-opper-cost",
        b"X-Opper-Served-Model",
        b"x-ratelimit-remaining-tokens",
        b"Retry-After",
        b"request-id",
    ],
)
def test_cost_evidence_and_limits_travel_back(name):
    assert TABLE.downstream([(name, b"1")]) == ((name, b"1"),)


def test_names_that_strangers_invent_do_not_pile_up():
    table = compile_headers(PARSED)
    for number in range(5_000):
        table.downstream([(b"x-invented-%d" % number, b"")])
    assert len(table._memo) <= 512


names = st.sampled_from(
    [b"Accept", b"accept", b"X-Stainless-Lang", b"x-stainless-os", b"anthropic-beta", b"Anthropic-Beta",
     b"openai-beta", b"cookie", b"User-Agent", b"user-agent", b"x-invented"]
)  # fmt: skip
values = st.sampled_from(
    [b"", b"python", b"a\xffb", b"a\nb", b"x" * 1024, b"x" * 1025, b"claude-cli/2", b"xcodex_", CLAUDE_CODE,
     b"effort-2025-11-24", b"responses=experimental", b" , ", b"x-future", b"message-batches-2024-09-24"]
)  # fmt: skip
fields = st.lists(st.tuples(names, values), max_size=6).map(tuple)


@given(fields)
def test_the_short_way_up_takes_what_the_long_way_takes(pairs):
    fresh = compile_headers(PARSED)
    assert TABLE.upstream(Fields(pairs)) == fresh._upstream_each(pairs)


@given(fields)
def test_the_short_judgement_is_that_of_every_field_by_itself(pairs):
    fresh = compile_headers(PARSED)
    assert verdict(TABLE.judge, Fields(pairs)) == verdict(fresh._judge_each, pairs)


@given(fields)
def test_the_agent_is_that_of_the_first_user_agent_and_the_first_row_that_fits(pairs):
    sent = next((value for name, value in pairs if name.lower() == b"user-agent"), b"")
    known = next((name for prefix, name in TABLE.agents if sent.startswith(prefix)), "other")
    assert TABLE.agent(Fields(pairs)) == known


def verdict(judge, given_to):
    try:
        judge(given_to)
    except Unreadable as unread:
        return unread.code, unread.param, unread.detail
    return None


def test_values_and_names_that_were_admitted_do_not_pile_up():
    table = compile_headers(PARSED)
    for number in range(2_000):
        value = b"effort-2025-11-24" + b" " * (number % 900) + b"," * (number // 900)
        table.judge(Fields(((b"Anthropic-Beta", value),)))
        table.upstream(Fields(((b"x-invented-%d" % number, b"x"),)))
    table.upstream(Fields(((b"x" * 65, b"x"),)))
    assert len(table._admitted_whole) <= 512
    assert len(table._crosses) <= 512
    assert max(map(len, table._crosses)) <= 64


def test_a_value_that_was_admitted_vouches_for_no_other_value_and_no_other_header():
    table = compile_headers(PARSED)
    table.judge(Fields(((b"anthropic-beta", b"effort-2025-11-24"),)))
    for pair in ((b"openai-beta", b"effort-2025-11-24"), (b"anthropic-beta", b"effort-2025-11-24,x")):
        with pytest.raises(Unreadable):
            table.judge(Fields((pair,)))


def test_what_claude_code_sends_is_admitted_as_it_came():
    headers = ((b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", CLAUDE_CODE))
    TABLE.judge(Fields(headers))
    assert TABLE.upstream(Fields(headers)) == headers


@pytest.mark.parametrize(
    "value", [b"x-future-2027-01-01", b"Effort-2025-11-24", b"effort-2025-11-24;q=1", b"\xff"]
)
def test_a_beta_value_that_nobody_judged_is_refused(value):
    with pytest.raises(Unreadable) as caught:
        TABLE.judge(Fields(((b"Anthropic-Beta", b"effort-2025-11-24, " + value),)))
    assert (caught.value.code, caught.value.param) == ("unknown_value", "anthropic-beta")
    assert "nobody has judged" in caught.value.detail


def test_a_beta_value_that_lets_another_model_answer_is_refused_with_its_reason():
    with pytest.raises(Unreadable) as caught:
        TABLE.judge(Fields(((b"anthropic-beta", b"server-side-fallback-2026-07-01"),)))
    assert caught.value.code == "feature_refused"
    assert "another model" in caught.value.detail


def test_a_value_to_be_dropped_is_left_out():
    headers = ((b"OpenAI-Beta", b"responses=experimental"), (b"Accept", b"*/*"))
    TABLE.judge(Fields(headers))
    assert TABLE.upstream(Fields(headers)) == ((b"Accept", b"*/*"),)


def test_a_field_that_stands_twice_with_two_values_is_refused():
    once = ((b"anthropic-version", b"2023-06-01"), (b"Anthropic-Version", b"2023-06-01"))
    TABLE.judge(Fields(once))
    with pytest.raises(Unreadable) as caught:
        TABLE.judge(Fields((*once, (b"ANTHROPIC-VERSION", b"2026-10-21"))))
    assert caught.value.code == "ambiguous_member"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"claude-cli/2.1.197 (external, cli)", "claude-code"),
        (b"codex_exec/0.169.0 (Linux)", "codex"),
        (b"OpenAI/Python 3.57.0", "openai-python"),
        (b"somebody's own", "other"),
    ],
)
def test_the_agent_is_a_name_from_the_table(sent, name):
    assert TABLE.agent(Fields(((b"Host", b"x"), (b"User-Agent", sent)))) == name


def test_no_user_agent_is_other():
    assert TABLE.agent(Fields(())) == "other"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"requests": []}, "no section"),
        ({"request": [{"name": "accept", "source": "nowhere"}]}, "no source"),
        ({"request": [{"source": "ours"}]}, "'name'"),
        ({"request": "accept"}, "must be a list"),
        ({"judged": {"x": [{"value": "a", "verdict": "maybe", "why": "?", "source": "ours"}]}}, "no verdict"),
        ({"judged": {"x": [{"value": "a", "verdict": "admit", "why": "?", "source": "ours"}] * 2}}, "twice"),
        ({"sources": None}, "must be a mapping"),
    ],
)
def test_a_malformed_table_is_not_taken(change, said):
    with pytest.raises(Mistake, match=said):
        compile_headers({**PARSED, **change})
