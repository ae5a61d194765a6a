import pytest
from google.genai import errors, types

XL = "example-us:central/nova/Atlas-1-XL"
TOOL = types.Tool(function_declarations=[
    types.FunctionDeclaration(name="weather", parameters=types.Schema(
        type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}, required=["city"],
    )),
])  # fmt: skip
WITH_TOOL = types.GenerateContentConfig(
    tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
)


async def test_a_model_id_with_slashes_and_colons_stands_in_the_path(simulator, google_client):
    answer = await google_client.aio.models.generate_content(model=XL, contents="[[say:Hej]]")
    assert answer.text == "Hej"
    assert answer.usage_metadata.candidates_token_count == 1
    assert f"/models/{XL}:generateContent" in simulator.witness.seen[-1].target


async def test_a_stream_adds_up(google_client):
    stream = await google_client.aio.models.generate_content_stream(model=XL, contents="[[words:3]]")
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text for chunk in chunks) == "word1 word2 word3"
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.total_token_count > 3


async def test_without_sse_a_stream_is_one_array(simulator, client):
    url = f"{simulator.base_url}/v3/compat/v1beta/models/{XL}:streamGenerateContent"
    async with client.post(url, json={"contents": [{"parts": [{"text": "[[words:3]]"}]}]}) as reply:
        assert len(await reply.json()) == 3


async def test_a_function_is_called_and_its_response_taken(google_client):
    history = [types.Content(role="user", parts=[types.Part(text="[[tool]]")])]
    first = await google_client.aio.models.generate_content(model=XL, contents=history, config=WITH_TOOL)
    assert [(call.name, call.args) for call in first.function_calls] == [("weather", {"city": "example"})]
    result = types.Part.from_function_response(name="weather", response={"sky": "blue"})
    history += [first.candidates[0].content, types.Content(role="user", parts=[result])]
    second = await google_client.aio.models.generate_content(model=XL, contents=history, config=WITH_TOOL)
    assert second.text == "Done, with 1 tool result."


async def test_embeddings_of_one_and_of_several(google_client):
    embed = google_client.aio.models.embed_content
    one = await embed(model="example-us/quill-embed-1", contents="a")
    two = await embed(model="example-us/quill-embed-1", contents=["a", "b"])
    assert (len(one.embeddings), len(two.embeddings)) == (1, 2)


async def test_errors_come_as_the_sdks_own_type(google_client):
    with pytest.raises(errors.ClientError) as error:
        await google_client.aio.models.generate_content(model="no/such", contents="hi")
    assert (error.value.code, error.value.status) == (404, "NOT_FOUND")
