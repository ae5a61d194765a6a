from typing import Any

import anthropic
import pytest

from proxy.simulator import create_file

WRITE = {
    "name": "Write",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["file_path", "content"],
    },
}


def ask(text: Any, **more: Any) -> Any:
    return {
        "model": "claude-opus-4-8",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


async def test_a_plain_message_has_text_and_cost(anthropic_client):
    message = await anthropic_client.messages.create(**ask("[[say:Hej]]"))
    assert (message.content[0].text, message.stop_reason) == ("Hej", "end_turn")
    assert message.model == "claude-opus-4-8"
    assert message.usage.cost > 0


async def test_a_stream_adds_up_and_tells_its_cost_at_the_end(anthropic_client):
    async with anthropic_client.messages.stream(**ask("[[words:4]]")) as stream:
        events = [event async for event in stream]
        message = await stream.get_final_message()
    assert message.content[0].text == "word1 word2 word3 word4"
    assert (events[0].type, events[-1].type) == ("message_start", "message_stop")
    assert next(event for event in events if event.type == "message_delta").usage.cost > 0


async def test_a_scripted_file_is_written_with_the_tool_that_writes(simulator, anthropic_client):
    simulator.scenarios.append(create_file("/tmp/x.txt", "hello\n", say="All done."))
    request = ask("please", tools=[WRITE])
    async with anthropic_client.messages.stream(**request) as stream:
        first = await stream.get_final_message()
    use = first.content[0]
    assert (use.name, use.input) == ("Write", {"file_path": "/tmp/x.txt", "content": "hello\n"})
    assert first.stop_reason == "tool_use"
    request["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": use.id, "content": "ok"},
            {"type": "text", "text": "a reminder beside the result"},
        ]},
    ]  # fmt: skip
    second = await anthropic_client.messages.create(**request)
    assert second.content[0].text == "All done."


async def test_a_background_call_without_tools_is_not_scripted(simulator, anthropic_client):
    simulator.scenarios.append(create_file("/tmp/x.txt", "hello\n"))
    message = await anthropic_client.messages.create(**ask("a title, please"))
    assert message.content[0].type == "text"


async def test_server_tools_are_not_called(anthropic_client):
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    message = await anthropic_client.messages.create(**ask("[[tool]]", tools=tools))
    assert [block.type for block in message.content] == ["text"]


async def test_counting_tokens_is_not_there(anthropic_client):
    with pytest.raises(anthropic.NotFoundError):
        await anthropic_client.messages.count_tokens(
            model="claude-opus-4-8", messages=[{"role": "user", "content": "hi"}]
        )


async def test_an_unknown_model_is_worded_as_anthropic_does(anthropic_client):
    with pytest.raises(anthropic.NotFoundError) as error:
        await anthropic_client.messages.create(**ask("hi") | {"model": "no-such-model"})
    assert error.value.type == "not_found_error"


async def test_models_are_listed(anthropic_client):
    page = await anthropic_client.models.list()
    assert "example-us/claude-opus-4-8" in [each.id for each in page.data]
