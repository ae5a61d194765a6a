from proxy.simulator import CreateFile, Say, Scenario

US = "example-us/atlas-1"
SHELL = {
    "type": "function",
    "name": "shell",
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "array", "items": {"type": "string"}}},
    },
}


async def test_a_plain_response_has_text_and_usage(openai_client):
    response = await openai_client.responses.create(model=US, input="[[say:Hej hej]]", store=False)
    assert (response.output_text, response.status, response.store) == ("Hej hej", "completed", False)
    assert response.usage.output_tokens == 2
    assert response.usage.cost > 0


async def test_a_stream_is_numbered_and_ends_completed(openai_client):
    stream = await openai_client.responses.create(model=US, input="[[say:one two]]", stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[-1].response.output_text == "one two"


async def test_output_items_can_be_replayed_with_their_results(openai_client):
    history = [{"role": "user", "content": "[[tool]]"}]
    first = await openai_client.responses.create(model=US, input=history, tools=[SHELL])
    history += first.output
    history.append({"type": "function_call_output", "call_id": first.output[0].call_id, "output": "ok"})
    second = await openai_client.responses.create(model=US, input=history, tools=[SHELL])
    assert second.output_text == "Done, with 1 tool result."


async def test_a_shell_that_takes_a_list_gets_one(simulator, openai_client):
    simulator.scenarios.append(Scenario((CreateFile("a b.txt", "it's\n"), Say("written"))))
    response = await openai_client.responses.create(model=US, input="go", tools=[SHELL])
    assert response.output[0].arguments.startswith('{"command":["bash","-lc","printf %s ')


async def test_tools_of_an_input_item_and_of_a_namespace_are_offered(simulator, openai_client):
    simulator.scenarios.append(Scenario((CreateFile("a.txt", "x\n"), Say("written"))))
    code = {
        "type": "custom",
        "name": "exec",
        "description": "declare const tools: { apply_patch(input: string)",
    }
    tools = [{"type": "namespace", "name": "functions", "tools": [code]}]
    history = [
        {"type": "additional_tools", "role": "developer", "tools": tools},
        {"role": "user", "content": "go"},
    ]
    stream = await openai_client.responses.create(model=US, input=history, stream=True)
    events = [event async for event in stream]
    call = events[-1].response.output[0].to_dict()
    assert (call["type"], call["name"], call["namespace"]) == ("custom_tool_call", "exec", "functions")
    assert call["input"].startswith('text(await tools.apply_patch("*** Begin Patch')


async def test_several_outputs_of_one_call_are_one_result(simulator, openai_client):
    simulator.scenarios.append(Scenario((CreateFile("a.txt", "x"), Say("second"), Say("third"))))
    output = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
    history = [{"role": "user", "content": "go"}, output, output]
    response = await openai_client.responses.create(model=US, input=history, tools=[SHELL])
    assert response.output_text == "second"
