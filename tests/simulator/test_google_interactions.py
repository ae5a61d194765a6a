US = "example-us/atlas-1"
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


async def test_a_plain_interaction_has_text_and_usage(google_client):
    done = await google_client.aio.interactions.create(model=US, input="[[say:Hej]]", store=False)
    assert done.status == "completed"
    assert done.steps[-1].content[0].text == "Hej"
    assert done.usage.total_output_tokens == 1


async def test_a_stream_ends_completed(google_client):
    stream = await google_client.aio.interactions.create(model=US, input="[[words:3]]", stream=True)
    events = [event async for event in stream]
    text = "".join(event.delta.text for event in events if event.event_type == "step.delta")
    assert text == "word1 word2 word3"
    assert events[0].event_type == "interaction.created"
    assert events[-1].event_type == "interaction.completed"
    assert events[-1].interaction.status == "completed"


async def test_a_function_is_called_and_its_result_taken(google_client):
    create = google_client.aio.interactions.create
    history = [{"type": "user_input", "content": [{"type": "text", "text": "[[tool]]"}]}]
    first = await create(model=US, input=history, tools=[TOOL])
    call = first.steps[0]
    assert (first.status, call.type, call.name) == ("requires_action", "function_call", "weather")
    result = {"type": "function_result", "call_id": call.id, "name": "weather", "result": {"sky": "blue"}}
    second = await create(model=US, input=[*history, call, result], tools=[TOOL])
    assert second.steps[-1].content[0].text == "Done, with 1 tool result."
