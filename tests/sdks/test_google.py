"""The `google-genai` package through the proxy: tools, chats, interactions, versions, lists."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from tests.running import Stage
from tests.sdks.uses import CHAT, PROMPT, SAID, Clients, clients
from tests.sdks.wire import Wire

MODEL = f"example-us/{CHAT}"
WEATHER = types.FunctionDeclaration(
    name="weather",
    description="The weather of a city.",
    parameters_json_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
TOOLS = [types.Tool(function_declarations=[WEATHER])]
ASK = '[[tool:weather {"city": "Malmö"}]] How is the weather?'


@pytest.fixture
def sdks(stage: Stage) -> Clients:
    return clients(stage.url, stage.keys["open"])


def unchanged(sdks: Clients, stage: Stage) -> bool:
    """Whether the gateway got, request by request, what the SDK sent."""
    return [each.body for each in stage.seen] == [each.body for each in sdks.wire.exchanges]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_a_model_turn_with_function_calls_can_be_replayed_as_it_came(
    streamed: bool, sdks: Clients, stage: Stage
) -> None:
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=ASK)])]
    sdk, config = sdks.google.models, types.GenerateContentConfig(tools=list(TOOLS))
    if streamed:
        replies = list(sdk.generate_content_stream(model=MODEL, contents=contents, config=config))
    else:
        replies = [sdk.generate_content(model=MODEL, contents=contents, config=config)]
    calls = [call for reply in replies for call in reply.function_calls or ()]
    assert [(call.name, call.args) for call in calls] == [("weather", {"city": "Malmö"})]
    candidates = [reply.candidates for reply in replies if reply.function_calls]
    assert candidates[0] is not None
    contents.append(candidates[0][0].content)
    answer = types.Part.from_function_response(name="weather", response={"result": "rain, as ever"})
    contents.append(types.Content(role="user", parts=[answer]))
    last = sdk.generate_content(model=MODEL, contents=contents, config=config)
    assert last.text == "Done, with 1 tool result."
    assert b"rain, as ever" in stage.seen[1].body
    assert unchanged(sdks, stage)


def test_functions_that_the_sdk_calls_by_itself_work(sdks: Clients, stage: Stage) -> None:
    asked = []

    def weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "rain, as ever"

    config = types.GenerateContentConfig(tools=[weather])
    got = sdks.google.models.generate_content(model=MODEL, contents=ASK, config=config)
    assert asked == ["Malmö"]
    assert got.text == "Done, with 1 tool result."
    assert unchanged(sdks, stage)


def test_a_chat_replays_its_history(sdks: Clients, stage: Stage) -> None:
    chat = sdks.google.chats.create(model=MODEL)
    chat.send_message("first")
    assert chat.send_message(PROMPT).text == SAID
    assert [len(each.json()["contents"]) for each in stage.seen] == [1, 3]
    assert unchanged(sdks, stage)


def test_an_interaction_with_a_function_can_be_carried_on_with_its_steps(
    sdks: Clients, stage: Stage
) -> None:
    tool: Any = {
        "type": "function",
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    sdk: Any = sdks.google.interactions
    first = sdk.create(model=MODEL, input=ASK, tools=[tool], store=False)
    (call,) = [step for step in first.steps if step.type == "function_call"]
    assert (call.name, call.arguments) == ("weather", {"city": "Malmö"})
    steps: list[Any] = [{"type": "user_input", "content": [{"type": "text", "text": ASK}]}]
    steps += [step.model_dump(exclude_none=True) for step in first.steps]
    steps.append(
        {"type": "function_result", "call_id": call.id, "name": "weather", "result": {"sky": "grey"}}
    )
    last = sdk.create(model=MODEL, input=steps, tools=[tool], store=False)
    assert last.output_text == "Done, with 1 tool result."
    assert unchanged(sdks, stage)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("base", ["", "/v3/compat"])
def test_every_version_and_base_url_leads_to_the_one_documented_target(
    version: str, base: str, stage: Stage
) -> None:
    wire = Wire()
    options = types.HttpOptions(base_url=stage.url + base, api_version=version, httpx_client=wire.client())
    sdk = genai.Client(api_key=stage.keys["open"], http_options=options)
    assert sdk.models.generate_content(model=MODEL, contents=PROMPT).text == SAID
    assert wire.last.target == f"{base}/{version}/models/{MODEL}:generateContent"
    assert [each.target for each in stage.seen] == [f"/v3/compat/v1beta/models/{MODEL}:generateContent"]


def test_a_pool_is_pinned_in_the_path_and_the_body_only_gets_what_the_policy_orders(stage: Stage) -> None:
    sdks = clients(stage.url, stage.keys["mission"])
    assert sdks.google.models.generate_content(model=CHAT, contents=PROMPT).text == SAID
    (seen,) = stage.seen
    assert seen.target.endswith(f"/models/{MODEL}:generateContent")
    assert seen.body == sdks.wire.last.body[:-1] + b',"store":false}'
    assert sdks.wire.last.answer["x-ringfence-rewrites"].startswith(f"pin={MODEL},undo=")


def test_a_key_in_the_query_stays_here(sdks: Clients, stage: Stage) -> None:
    reply = httpx2.post(
        f"{stage.url}/v1beta/models/{MODEL}:streamGenerateContent?alt=sse&key={stage.keys['open']}",
        json={"contents": [{"parts": [{"text": "hi"}]}]},
    )
    assert reply.status_code == 200
    assert [each.target for each in stage.seen] == [
        f"/v3/compat/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
    ]


async def test_the_asynchronous_client_reads_answers_and_streams(stage: Stage) -> None:
    wire = Wire()
    options = types.HttpOptions(base_url=stage.url, httpx_async_client=wire.async_client())
    sdk = genai.Client(api_key=stage.keys["open"], http_options=options).aio
    plain = await sdk.models.generate_content(model=MODEL, contents=PROMPT)
    stream = await sdk.models.generate_content_stream(model=MODEL, contents=PROMPT)
    words = [each.text or "" async for each in stream]
    with pytest.raises(errors.ClientError):
        await sdk.models.generate_content(model="example-open/atlas-1", contents=PROMPT)
    assert plain.text == "".join(words) == SAID
    assert [each.body for each in stage.seen] == [each.body for each in wire.exchanges[:2]]


async def test_the_clients_default_transport_works_too(stage: Stage) -> None:
    """Without an injected client the SDK picks aiohttp where it is installed."""
    sdk = genai.Client(api_key=stage.keys["open"], http_options=types.HttpOptions(base_url=stage.url))
    async with asyncio.timeout(30):
        got = await sdk.aio.models.generate_content(model=MODEL, contents=PROMPT)
        await sdk.aio.aclose()
    assert got.text == SAID
