"""Our own replies can be told from the gateway's, and ask for a retry only where one can help."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dialects.replies import (
    DECISION_HEADER,
    REFUSAL_HEADER,
    extension,
    json_reply,
    refusal_reply,
)
from proxy.core.reasons import REASONS
from proxy.core.values import Refusal

RID = "01890000-0000-7000-8000-000000000001"
WORDS = Refusal(503, "overloaded", "Too much at once.", decision_id=RID)


def headers_of(refusal: Refusal) -> dict[str, str]:
    return dict(refusal_reply(refusal, {}).headers)


def test_a_json_reply_says_its_type_and_keeps_the_headers_given() -> None:
    reply = json_reply(200, {"a": [1, None]}, [("x-a", "1")])
    assert reply.headers == (("content-type", "application/json"), ("x-a", "1"))
    assert orjson.loads(reply.body) == {"a": [1, None]}


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_refusal_names_its_reason_in_a_header(code: str) -> None:
    headers = headers_of(Refusal(REASONS[code].status, code, "words"))
    assert headers[REFUSAL_HEADER] == code
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("code", sorted(REASONS))
def test_sdks_are_told_to_retry_what_may_pass_later_and_nothing_else(code: str) -> None:
    known = REASONS[code]
    headers = headers_of(Refusal(known.status, code, "words"))
    passes_later = known.retry and known.status in (408, 429, 502, 503, 504)
    assert headers["x-should-retry"] == ("true" if passes_later else "false")
    assert ("retry-after" in headers) == (passes_later and known.status in (429, 503))


@given(st.integers(0, 86_400))
def test_a_wait_that_is_known_is_said_whatever_the_status(seconds: int) -> None:
    assert headers_of(replace(WORDS, retry_after=seconds))["retry-after"] == str(seconds)
    refused = Refusal(403, "requirement_unmet", "words", retry_after=seconds)
    assert headers_of(refused)["retry-after"] == str(seconds)


def test_a_refusal_without_a_decision_has_no_empty_header() -> None:
    assert headers_of(WORDS)[DECISION_HEADER] == RID
    assert DECISION_HEADER not in headers_of(replace(WORDS, decision_id=""))


def test_what_goes_beyond_the_sdks_shape_is_there_even_when_there_is_nothing_to_say() -> None:
    assert extension(Refusal(404, "unknown_model", "words")) == {
        "decision_id": "",
        "remedies": [],
        "compliant_routes": [],
    }
    advised = replace(WORDS, remedies=("pin a route",), alternatives=("example/atlas-1",))
    assert extension(advised)["compliant_routes"] == ["example/atlas-1"]
