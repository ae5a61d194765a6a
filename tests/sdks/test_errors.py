"""Every way to be turned away, as each SDK's own typed exception with a code that a program can read."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from google.genai import _interactions_errors as interaction_errors
from google.genai import errors as google_errors

from tests.running import Stage, running
from tests.sdks.uses import CHAT, Clients, clients, user

MODEL = f"example-us/{CHAT}"


@dataclass(frozen=True, slots=True)
class Family:
    """An SDK: how it asks, how it asks for what is not there, and its errors by status."""

    ask: Callable[[Clients, dict[str, Any] | None], Any]
    elsewhere: Callable[[Clients], Any]
    errors: dict[int, type[Exception]]
    code: Callable[[Any], str]

    def fails(self, status: int, ask: Callable[[], Any]) -> Any:
        """The error of that status which asking raises."""
        with pytest.raises(self.errors[status]) as raised:
            ask()
        error: Any = raised.value
        assert getattr(error, "status_code", None) == status or error.code == status
        return error


def _openai(c: Clients, extra: dict[str, Any] | None) -> Any:
    sdk = c.openai.with_options(max_retries=0)
    return sdk.chat.completions.create(model=MODEL, messages=user(), extra_body=extra)


def _anthropic(c: Clients, extra: dict[str, Any] | None) -> Any:
    sdk = c.anthropic.with_options(max_retries=0)
    return sdk.messages.create(model=MODEL, max_tokens=16, messages=user(), extra_body=extra)


def _google(c: Clients, extra: dict[str, Any] | None) -> Any:
    config: Any = {"http_options": {"extra_body": extra}} if extra else None
    return c.google.models.generate_content(model=MODEL, contents="hi", config=config)


def _interactions(c: Clients, extra: dict[str, Any] | None) -> Any:
    return c.google.interactions.create(model=MODEL, input="hi", extra_body=extra)


def _google_code(error: Any) -> str:
    return str(error.details["error"]["details"][0]["metadata"]["code"])


FAMILIES = {
    "openai": Family(
        _openai,
        lambda c: c.openai.files.list(),
        {
            400: openai.BadRequestError, 401: openai.AuthenticationError, 404: openai.NotFoundError,
            413: openai.APIStatusError, 429: openai.RateLimitError, 502: openai.InternalServerError,
            503: openai.InternalServerError, 403: openai.PermissionDeniedError,
        },
        lambda error: str(error.code),
    ),
    "anthropic": Family(
        _anthropic,
        lambda c: c.anthropic.beta.files.list(),
        {
            400: anthropic.BadRequestError, 401: anthropic.AuthenticationError, 404: anthropic.NotFoundError,
            413: anthropic.RequestTooLargeError, 429: anthropic.RateLimitError,
            502: anthropic.InternalServerError, 503: anthropic.ServiceUnavailableError,
            403: anthropic.PermissionDeniedError,
        },
        lambda error: str(error.body["error"]["details"]["error_code"]),
    ),
    "google": Family(
        _google,
        lambda c: list(c.google.files.list()),
        {
            **dict.fromkeys((400, 401, 403, 404, 413, 429), google_errors.ClientError),
            **dict.fromkeys((502, 503), google_errors.ServerError),
        },
        _google_code,
    ),
    "interactions": Family(
        _interactions,
        lambda c: c.google.interactions.get("v1_0123"),
        {
            400: interaction_errors.BadRequestError, 401: interaction_errors.AuthenticationError,
            403: interaction_errors.PermissionDeniedError, 404: interaction_errors.NotFoundError,
        },
        lambda error: str(error.body["error"]["details"][0]["metadata"]["code"]),
    ),
}  # fmt: skip
EVERY = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
RETRYING = pytest.mark.parametrize("family", list(FAMILIES.values())[:3], ids=list(FAMILIES)[:3])
"""Without interactions, whose client goes on retrying on its own and cannot be told not to."""


@pytest.fixture
def sdks(stage: Stage) -> Clients:
    return clients(stage.url, stage.keys["open"])


@EVERY
def test_a_key_that_nobody_knows_is_an_authentication_error(family: Family, stage: Stage) -> None:
    sdks = clients(stage.url, "sk-nobody-Zq3vT8wKx5nR2mB7cL9dF4hJ6")
    error = family.fails(401, lambda: family.ask(sdks, None))
    assert family.code(error) == "unknown_key"
    assert len(sdks.wire.exchanges) == 1
    assert stage.seen == ()


@EVERY
def test_a_caller_without_a_policy_is_refused(family: Family, stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["alone"])
    error = family.fails(403, lambda: family.ask(sdks, None))
    assert family.code(error) == "no_matching_policy"
    assert len(sdks.wire.exchanges) == 1


@EVERY
def test_an_unknown_member_is_a_bad_request_that_names_it(
    family: Family, sdks: Clients, stage: Stage
) -> None:
    error = family.fails(400, lambda: family.ask(sdks, {"frobnicate": 1}))
    assert family.code(error) == "unknown_member"
    assert "leave out frobnicate" in str(error)
    assert stage.seen == ()
    rid = sdks.wire.last.answer["x-ringfence-decision-id"]
    assert "frobnicate" not in str(stage.record(rid, "refusal"))


@EVERY
def test_an_endpoint_that_is_not_offered_is_not_found(family: Family, sdks: Clients, stage: Stage) -> None:
    error = family.fails(404, lambda: family.elsewhere(sdks))
    assert family.code(error) == "unknown_endpoint"
    assert stage.seen == ()


@RETRYING
def test_a_used_up_limit_is_a_rate_limit_error_that_says_how_long(family: Family, stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["limited"])

    def twice() -> None:
        for _ in range(2):
            family.ask(sdks, None)

    error = family.fails(429, twice)
    assert family.code(error) == "rate_limited"
    assert 1 <= int(sdks.wire.last.answer["retry-after"]) <= 60
    assert len(stage.seen) <= 1


@RETRYING
def test_the_gateways_own_refusal_is_relayed_and_told_from_ours(
    family: Family, sdks: Clients, stage: Stage
) -> None:
    stage.fault("refused")
    with pytest.raises(family.errors[403]) as raised:
        family.ask(sdks, None)
    assert "model allowlist" in str(raised.value)
    assert "x-ringfence-refusal" not in sdks.wire.last.answer
    rid = sdks.wire.last.answer["x-ringfence-decision-id"]
    outcome = stage.record(rid, "outcome")
    assert (outcome["end"], outcome["up_status"]) == ("refused_by_upstream", 403)


@RETRYING
@pytest.mark.parametrize("status", [429, 503])
def test_the_gateways_troubles_are_passed_on_as_they_came(
    family: Family, status: int, sdks: Clients, stage: Stage
) -> None:
    stage.fault("status", status=status, retry_after="7")
    family.fails(status, lambda: family.ask(sdks, None))
    assert sdks.wire.last.answer["retry-after"] == "7"
    assert len(stage.seen) == 1


@RETRYING
def test_a_gateway_that_breaks_off_before_it_answers_is_a_server_error(
    family: Family, sdks: Clients, stage: Stage
) -> None:
    stage.fault("reset", after=-1)
    error = family.fails(502, lambda: family.ask(sdks, None))
    assert family.code(error) == "upstream_broke_off"
    rid = sdks.wire.last.answer["x-ringfence-decision-id"]
    assert stage.record(rid, "outcome")["end"] == "upstream_reset"


# -- a proxy that can take no more -----------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Iterator[Stage]:
    limits = {"max_connections": 8, "max_body_bytes": "64KiB"}
    with running(config={"listen": limits}) as stage:
        yield stage


@RETRYING
def test_a_body_beyond_the_limit_is_too_large(family: Family, small: Stage) -> None:
    sdks = clients(small.url, small.keys["open"])
    error = family.fails(413, lambda: family.ask(sdks, {"metadata": {"k": "x" * 100_000}}))
    assert family.code(error) == "body_too_large"
    assert len(sdks.wire.exchanges) == 1


@RETRYING
def test_a_full_proxy_is_a_server_error_that_says_when_to_come_back(family: Family, small: Stage) -> None:
    held = [socket.create_connection(("127.0.0.1", small.port)) for _ in range(9)]
    try:
        sdks = clients(small.url, small.keys["open"])
        error = family.fails(503, lambda: family.ask(sdks, None))
        assert family.code(error) == "overloaded"
        assert int(sdks.wire.last.answer["retry-after"]) > 0
    finally:
        for each in held:
            each.close()
