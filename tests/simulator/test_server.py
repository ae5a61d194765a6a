from typing import Any

import pytest

from proxy.simulator import Fault, Options, Simulator

CHAT = "/v3/compat/chat/completions"
BODY = {"model": "example-us/atlas-1", "messages": [{"role": "user", "content": "hi"}]}


async def status_with(client: Any, options: Any, headers: Any, query: Any = "") -> Any:
    async with Simulator(options) as simulator:
        url = simulator.base_url + CHAT + query
        async with client.post(url, json=BODY, headers={"Authorization": "", **headers}) as reply:
            return reply.status, await reply.json()


async def test_the_answers_to_no_key_and_a_bad_key_are_the_observed_ones(client):
    none = await status_with(client, Options(), {})
    bad = await status_with(client, Options(), {"Authorization": "Bearer sk-1"})
    assert none[0] == bad[0] == 401
    assert none[1]["error"].startswith("No API key was sent.")
    assert bad[1]["error"].startswith("invalid bearer token.")
    assert set(none[1]) == set(bad[1]) == {"error", "docs_url"}


@pytest.mark.parametrize(
    ("options", "key", "status"),
    [
        (Options(), "op-anything", 200),
        (Options(), "op-mak-management", 401),
        (Options(keys=frozenset({"mine"})), "mine", 200),
        (Options(keys=frozenset({"mine"}), only_these_keys=True), "op-anything", 401),
        (Options(keys=frozenset({"mine"}), only_these_keys=True), "mine", 200),
    ],
)
async def test_which_keys_are_good(client, options, key, status):
    assert (await status_with(client, options, {"Authorization": f"Bearer {key}"}))[0] == status


@pytest.mark.parametrize("headers", [{"x-api-key": "op-1"}, {"x-goog-api-key": "op-1"}, {}])
async def test_other_key_forms_count_only_when_asked_for(client, headers):
    query = "" if headers else "?key=op-1"
    assert (await status_with(client, Options(), headers, query))[0] == 401
    assert (await status_with(client, Options(sdk_key_forms=True), headers, query))[0] == 200


async def test_a_redirect_a_refusal_and_an_echo_can_be_ordered(simulator, client):
    async def answer(fault: Any) -> Any:
        simulator.faults.add(fault)
        async with client.post(simulator.base_url + CHAT, json=BODY, allow_redirects=False) as reply:
            return reply.status, reply.headers.get("Location"), await reply.text()

    assert (await answer(Fault("redirect", location="https://evil.example/")))[:2] == (
        307,
        "https://evil.example/",
    )
    status, _, text = await answer(Fault("refused"))
    assert status == 403
    assert "has no allowed members under the current model allowlist" in text
    status, _, text = await answer(Fault("echo", status=401))
    assert status == 401
    assert "Bearer op-test" in text


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (CHAT, {"error": {"message", "type", "param", "code"}}),
        ("/v3/compat/v1/messages", {"type": str, "error": {"type", "message"}}),
        ("/v3/compat/v1beta/models/a/b:generateContent", {"error": {"code", "message", "status"}}),
        ("/v3/images", {"error": {"code", "message"}}),
        ("/v3/session/sess_1/v1/messages", {"type": str, "error": {"type", "message"}}),
    ],
)
async def test_an_ordered_failure_has_the_shape_of_its_dialect(simulator, client, path, shape):
    simulator.faults.add(Fault("status", status=429, retry_after="1"))
    async with client.post(simulator.base_url + path, json={}) as reply:
        body = await reply.json()
    assert reply.status == 429
    assert set(body) == set(shape)
    assert set(body["error"]) == shape["error"]


async def test_a_prompt_can_order_its_own_fault(simulator, client):
    body = {**BODY, "messages": [{"role": "user", "content": "please [[fault:status status=500]]"}]}
    async with client.post(simulator.base_url + CHAT, json=body) as reply:
        assert reply.status == 500
    async with client.post(simulator.base_url + CHAT, json=BODY) as reply:
        assert reply.status == 200


async def test_every_answer_has_its_own_trace_id(simulator, client):
    traces = set()
    for _ in range(3):
        async with client.post(simulator.base_url + CHAT, json=BODY) as reply:
            traces.add(reply.headers["x-opper-trace-id"])
    assert len(traces) == 3


async def test_it_stops_while_an_answer_is_stalled(client):
    async with Simulator() as simulator:
        simulator.faults.add(Fault("stall", after=5))
        reply = await client.post(simulator.base_url + CHAT, json=BODY)
        await reply.content.readexactly(5)
    reply.close()
