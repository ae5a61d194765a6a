"""The `openai` package through the proxy: tools, helpers, replayed turns, lists, other base URLs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest

from tests.running import Stage
from tests.sdks.uses import CHAT, PROMPT, SAID, Clients, clients, user
from tests.sdks.wire import Wire

MODEL = f"example-us/{CHAT}"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
RESPONSES_TOOL: Any = {"type": "function", **TOOL["function"]}
ASK = '[[tool:weather {"city": "Malmö"}]] How is the weather?'


@pytest.fixture
def sdks(stage: Stage) -> Clients:
    return clients(stage.url, stage.keys["open"])


def unchanged(sdks: Clients, stage: Stage) -> bool:
    """Whether the gateway got, request by request, what the SDK sent."""
    return [each.body for each in stage.seen] == [each.body for each in sdks.wire.exchanges]


REPLAYS: dict[str, Callable[[Any], Any]] = {
    "as it came": lambda message: message,
    "dumped": lambda message: message.model_dump(),
    "as a dictionary": lambda message: message.to_dict(),
}


@pytest.mark.parametrize("form", REPLAYS.values(), ids=REPLAYS)
def test_an_assistant_turn_with_tool_calls_can_be_replayed(
    form: Callable[[Any], Any], sdks: Clients, stage: Stage
) -> None:
    messages: list[Any] = user(ASK)
    first = sdks.openai.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    message = first.choices[0].message
    messages.append(form(message))
    assert message.tool_calls is not None
    for call in message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "rain, as ever"})
    last = sdks.openai.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    assert last.choices[0].message.content == "Done, with 1 tool result."
    assert b"rain, as ever" in stage.seen[1].body
    assert unchanged(sdks, stage)


def test_streamed_tool_calls_add_up_and_can_be_replayed(sdks: Clients, stage: Stage) -> None:
    messages: list[Any] = user(ASK)
    with sdks.openai.chat.completions.stream(model=MODEL, messages=messages, tools=[TOOL]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    call = message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Malmö"}')
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "sun"}]
    last = sdks.openai.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    assert last.choices[0].message.content == "Done, with 1 tool result."
    assert unchanged(sdks, stage)


class Weather(pydantic.BaseModel):
    """An answer with a shape."""

    city: str


def test_a_parsed_message_can_be_replayed_as_it_came(sdks: Clients, stage: Stage) -> None:
    messages: list[Any] = user('[[say:{"city": "Malmö"}]]')
    first = sdks.openai.chat.completions.parse(model=MODEL, messages=messages, response_format=Weather)
    assert first.choices[0].message.parsed == Weather(city="Malmö")
    messages += [first.choices[0].message, *user()]
    last = sdks.openai.chat.completions.create(model=MODEL, messages=messages)
    assert last.choices[0].message.content == SAID
    assert unchanged(sdks, stage)


def test_a_parsed_response_can_be_replayed_as_it_came(sdks: Clients, stage: Stage) -> None:
    items: list[Any] = user('[[say:{"city": "Malmö"}]]')
    first = sdks.openai.responses.parse(model=MODEL, input=items, text_format=Weather)
    assert first.output_parsed == Weather(city="Malmö")
    items += [*first.output, *user()]
    assert sdks.openai.responses.create(model=MODEL, input=items).output_text == SAID
    assert unchanged(sdks, stage)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_output_items_of_a_response_can_be_replayed_as_they_came(
    streamed: bool, sdks: Clients, stage: Stage
) -> None:
    items: list[Any] = [{"role": "user", "content": ASK}]
    sdk: Any = sdks.openai.responses
    if streamed:
        with sdk.stream(model=MODEL, input=items, tools=[RESPONSES_TOOL]) as stream:
            first = stream.get_final_response()
    else:
        first = sdk.create(model=MODEL, input=items, tools=[RESPONSES_TOOL])
    items += first.output
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["weather"]
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "snow"} for call in calls]
    last = sdk.create(model=MODEL, input=items, tools=[RESPONSES_TOOL])
    assert last.output_text == "Done, with 1 tool result."
    assert unchanged(sdks, stage)


def test_a_response_without_store_leaves_with_store_false_and_says_so(stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["mission"])
    sdks.openai.responses.create(model=CHAT, input=PROMPT)
    (seen,) = stage.seen
    body = seen.json()
    assert (body["model"], body["store"], body["input"]) == (MODEL, False, PROMPT)
    told = sdks.wire.last.answer["x-ringfence-rewrites"]
    assert f"pin={MODEL}" in told
    assert "undo=" in told
    intent = stage.record(sdks.wire.last.answer["x-ringfence-decision-id"], "intent")
    assert intent["changes"]


def test_a_pool_is_pinned_and_nothing_else_of_the_body_changes(stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["mission"])
    sdks.openai.chat.completions.create(model=CHAT, messages=user(), store=False)
    (seen,) = stage.seen
    assert seen.body == sdks.wire.last.body.replace(b'"atlas-1"', b'"example-us/atlas-1"')


@pytest.mark.parametrize(
    "base", ["/v3/compat", "/v3/session/sess_0123abcd", "/v3/session/sess_0123abcd/team:web/step:2"]
)
def test_a_base_url_that_points_at_opper_works_with_the_host_swapped(base: str, stage: Stage) -> None:
    wire = Wire()
    sdk = openai.OpenAI(base_url=stage.url + base, api_key=stage.keys["open"], http_client=wire.client())
    got = sdk.chat.completions.create(model=MODEL, messages=user())
    assert got.choices[0].message.content == SAID
    assert [each.target for each in stage.seen] == ["/v3/compat/chat/completions"]
    assert stage.seen[0].body == wire.last.body


def test_headers_that_steer_a_gateway_or_pose_as_ours_stay_here(sdks: Clients, stage: Stage) -> None:
    sdk = sdks.openai.with_options(
        default_headers={
            "x-ringfence-route": "example-open/atlas-1",
            "x-ringfence-policy": "none",
            "X-Opper-Guard": "off",
            "OpenAI-Organization": "org-1",
            "Cookie": "a=b",
            "X-Forwarded-For": "10.0.0.1",
            "Idempotency-Key": "k",
        }
    )
    sdk.chat.completions.create(model=MODEL, messages=user())
    names = {name.decode().lower() for name, _ in stage.seen[0].headers}
    assert not {name for name in names if name.startswith(("x-ringfence", "x-opper", "openai-"))}
    assert not names & {"cookie", "x-forwarded-for", "idempotency-key"}
    assert sdks.wire.last.answer["x-ringfence-route"] == MODEL


async def test_the_asynchronous_client_reads_answers_and_streams(stage: Stage) -> None:
    wire = Wire()
    async with openai.AsyncOpenAI(
        base_url=f"{stage.url}/v1", api_key=stage.keys["open"], http_client=wire.async_client()
    ) as sdk:
        plain = await sdk.chat.completions.create(model=MODEL, messages=user())
        stream = await sdk.responses.create(model=MODEL, input=PROMPT, stream=True)
        deltas = [each.delta async for each in stream if each.type == "response.output_text.delta"]
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await sdk.embeddings.create(model="example-open/quill-embed-1", input="x")
    assert plain.choices[0].message.content == SAID
    assert "".join(deltas) == SAID
    assert raised.value.code == "requirement_unmet"
    assert [each.body for each in stage.seen] == [each.body for each in wire.exchanges[:2]]
