from typing import Any

import openai
import pytest

US = "example-us/atlas-1"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


def user(text: Any) -> Any:
    return {"role": "user", "content": text}


async def test_a_plain_completion_has_text_usage_and_cost(openai_client):
    raw = await openai_client.chat.completions.with_raw_response.create(
        model=US, messages=[user("[[say:Hej]]")]
    )
    completion = raw.parse()
    assert completion.choices[0].message.content == "Hej"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + 1
    assert float(raw.headers["x-opper-cost"]) == completion.usage.cost > 0
    assert raw.headers["x-opper-served-model"] == "atlas-1"
    assert raw.headers["x-opper-served-provider"] == "example-us"


async def test_a_stream_ends_with_usage_only_when_asked(openai_client):
    async def chunks(**more: Any) -> Any:
        stream = await openai_client.chat.completions.create(
            model=US, messages=[user("[[words:5]]")], stream=True, **more
        )
        return [chunk async for chunk in stream]

    with_usage = await chunks(stream_options={"include_usage": True})
    without = await chunks()
    text = "".join(each.choices[0].delta.content or "" for each in without)
    assert text == "word1 word2 word3 word4 word5"
    assert with_usage[-1].choices == []
    assert with_usage[-1].usage.completion_tokens == 5
    assert all(each.usage is None for each in without)


async def test_a_streamed_call_of_a_tool_adds_up(openai_client):
    prompt = '[[tool:weather {"city": "Stockholm", "days": 3}]]'
    async with openai_client.chat.completions.stream(
        model=US, messages=[user(prompt)], tools=[TOOL]
    ) as stream:
        completion = await stream.get_final_completion()
    call = completion.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Stockholm","days":3}')
    assert completion.choices[0].finish_reason == "tool_calls"


async def test_a_replayed_assistant_turn_with_its_tool_results_is_answered(openai_client):
    messages = [user("[[tool]] [[tool]]")]
    first = await openai_client.chat.completions.create(model=US, messages=messages, tools=[TOOL])
    message = first.choices[0].message
    messages.append(message)
    for call in message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "sun"})
    second = await openai_client.chat.completions.create(model=US, messages=messages, tools=[TOOL])
    assert [call.function.arguments for call in message.tool_calls] == ['{"city":"example","days":1}'] * 2
    assert second.choices[0].message.content == "Done, with 2 tool results."


async def test_a_tool_choice_of_none_is_obeyed(openai_client):
    answer = await openai_client.chat.completions.create(
        model=US, messages=[user("[[tool]]")], tools=[TOOL], tool_choice="none"
    )
    assert answer.choices[0].message.tool_calls is None


async def test_embeddings_are_the_same_numbers_in_both_encodings(openai_client):
    coded = await openai_client.embeddings.create(model="example-us/quill-embed-1", input=["a", "b"])
    plain = await openai_client.embeddings.create(
        model="example-us/quill-embed-1", input=["a", "b"], encoding_format="float"
    )
    assert [each.embedding for each in coded.data] == [each.embedding for each in plain.data]
    assert len({tuple(each.embedding) for each in plain.data}) == 2


async def test_embeddings_have_the_dimensions_asked_for(openai_client):
    answer = await openai_client.embeddings.create(model="example-us/quill-embed-1", input="a", dimensions=32)
    assert len(answer.data[0].embedding) == 32


async def test_models_are_listed_without_media(openai_client):
    ids = [each.id async for each in openai_client.models.list()]
    assert ids == sorted(ids)
    assert {"example-us/atlas-1", "example-us/quill-embed-1", "azure/gpt-5.5"} <= set(ids)
    assert "openai/gpt-image-1" not in ids


async def test_errors_come_as_the_sdks_own_types(openai_client):
    create = openai_client.chat.completions.create
    with pytest.raises(openai.NotFoundError):
        await create(model="no-such-model", messages=[user("hi")])
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await create(model="example-us/vault-1", messages=[user("hi")])
    assert refused.value.code == "entitlement_required"
    with pytest.raises(openai.BadRequestError):
        await create(model=US, messages=[])
    with pytest.raises(openai.AuthenticationError):
        await openai_client.with_options(api_key="wrong").models.list()
