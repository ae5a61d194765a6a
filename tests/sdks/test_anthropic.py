"""The `anthropic` package through the proxy: tools, replayed turns, thinking, beta namespace, lists."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from tests.running import Stage
from tests.sdks.uses import CHAT, PROMPT, SAID, Clients, clients, user
from tests.sdks.wire import Wire

MODEL = f"example-us/{CHAT}"
TOOL: Any = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK = '[[tool:weather {"city": "Malmö"}]] How is the weather?'


@pytest.fixture
def sdks(stage: Stage) -> Clients:
    return clients(stage.url, stage.keys["open"])


def unchanged(sdks: Clients, stage: Stage) -> bool:
    """Whether the gateway got, request by request, what the SDK sent."""
    return [each.body for each in stage.seen] == [each.body for each in sdks.wire.exchanges]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_an_assistant_turn_with_tool_use_can_be_replayed_as_it_came(
    streamed: bool, sdks: Clients, stage: Stage
) -> None:
    messages: list[Any] = user(ASK)
    sdk: Any = sdks.anthropic.messages
    common = {"model": MODEL, "max_tokens": 64, "tools": [TOOL]}
    if streamed:
        with sdk.stream(messages=messages, **common) as stream:
            first = stream.get_final_message()
    else:
        first = sdk.create(messages=messages, **common)
    assert first.stop_reason == "tool_use"
    use = next(block for block in first.content if block.type == "tool_use")
    assert (use.name, use.input) == ("weather", {"city": "Malmö"})
    messages.append({"role": "assistant", "content": first.content})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "rain, as ever"}
    messages.append({"role": "user", "content": [result]})
    last = sdk.create(messages=messages, **common)
    assert last.content[0].text == "Done, with 1 tool result."
    assert b"rain, as ever" in stage.seen[1].body
    assert unchanged(sdks, stage)


@pytest.mark.parametrize("form", ["model_dump", "to_dict"])
def test_a_dumped_assistant_turn_with_thinking_can_be_replayed(
    form: str, sdks: Clients, stage: Stage
) -> None:
    first = sdks.anthropic.messages.create(model=MODEL, max_tokens=64, messages=user())
    thoughts: list[Any] = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    ]
    turn: Any = {"role": "assistant", "content": thoughts + [getattr(b, form)() for b in first.content]}
    got = sdks.anthropic.messages.create(model=MODEL, max_tokens=64, messages=[*user(), turn, *user()])
    assert got.content[0].type == "text"
    assert unchanged(sdks, stage)


def test_the_beta_namespace_works_and_its_opt_ins_are_judged(sdks: Clients, stage: Stage) -> None:
    common: Any = {"model": MODEL, "max_tokens": 64, "messages": user()}
    got = sdks.anthropic.beta.messages.create(betas=["context-1m-2025-08-07"], **common)
    assert got.content[0].type == "text"
    assert got.content[0].text == SAID
    assert stage.seen[0].target == "/v3/compat" + sdks.wire.last.target
    assert stage.seen[0].header("anthropic-beta") == "context-1m-2025-08-07"
    with pytest.raises(anthropic.PermissionDeniedError) as refused:
        sdks.anthropic.beta.messages.create(betas=["server-side-fallback-2026-07-01"], **common)
    assert refused.value.error_code == "feature_refused"
    with pytest.raises(anthropic.BadRequestError) as unknown:
        sdks.anthropic.beta.messages.create(betas=["nobody-knows-2026-01-01"], **common)
    assert "nobody-knows-2026-01-01" in str(unknown.value)
    assert len(stage.seen) == 1


def test_a_bearer_token_serves_as_well_as_an_api_key(stage: Stage) -> None:
    wire = Wire()
    sdk = anthropic.Anthropic(
        base_url=stage.url, auth_token=stage.keys["open"], api_key=None, http_client=wire.client()
    )
    got = sdk.messages.create(model=MODEL, max_tokens=64, messages=user())
    assert got.content[0].type == "text"
    assert wire.last.header("authorization") == f"Bearer {stage.keys['open']}"
    assert stage.seen[0].header("x-api-key") is None


def test_counting_tokens_is_judged_and_the_gateways_not_found_is_relayed(
    sdks: Clients, stage: Stage
) -> None:
    with pytest.raises(anthropic.NotFoundError) as relayed:
        sdks.anthropic.messages.count_tokens(model=MODEL, messages=user())
    assert "x-ringfence-refusal" not in relayed.value.response.headers
    with pytest.raises(anthropic.PermissionDeniedError):
        sdks.anthropic.messages.count_tokens(model="example-open/atlas-1", messages=user())
    assert len(stage.seen) == 1


def test_a_pool_is_pinned_and_nothing_else_of_the_body_changes(stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["mission"])
    got = sdks.anthropic.messages.create(model="claude-opus-4-8", max_tokens=64, messages=user())
    assert got.content[0].type == "text"
    (seen,) = stage.seen
    assert seen.body == sdks.wire.last.body.replace(b'"claude-opus-4-8"', b'"example-us/claude-opus-4-8"')
    assert sdks.wire.last.answer["x-ringfence-rewrites"] == "pin=example-us/claude-opus-4-8"


async def test_the_asynchronous_client_reads_answers_and_streams(stage: Stage) -> None:
    wire = Wire()
    async with anthropic.AsyncAnthropic(
        base_url=stage.url, api_key=stage.keys["open"], http_client=wire.async_client()
    ) as sdk:
        plain = await sdk.messages.create(model=MODEL, max_tokens=64, messages=user())
        async with sdk.messages.stream(model=MODEL, max_tokens=64, messages=user(PROMPT)) as stream:
            words = [text async for text in stream.text_stream]
        with pytest.raises(anthropic.PermissionDeniedError):
            await sdk.messages.create(model="example-open/atlas-1", max_tokens=64, messages=user())
    assert plain.content[0].type == "text"
    assert plain.content[0].text == "".join(words) == SAID
    assert [each.body for each in stage.seen] == [each.body for each in wire.exchanges[:2]]
