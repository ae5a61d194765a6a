from typing import Any

import aiohttp
import pytest

from proxy.simulator import Options, Simulator

CHAT = "/v3/compat/chat/completions"
BODY = {"model": "example-us/atlas-1", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def control(simulator: Any) -> Any:
    async def send(method: Any, path: Any, body: Any = None) -> Any:
        async with aiohttp.request(method, f"{simulator.control_url}/{path}", json=body) as reply:
            return reply.status, await reply.json()

    return send


async def test_the_witness_can_be_read_and_emptied(simulator, client, control):
    for _ in range(2):
        await client.post(simulator.base_url + CHAT, json=BODY)
    _, all_of_them = await control("GET", "requests?wait=2")
    _, newer = await control("GET", "requests?since=1")
    assert [each["seq"] for each in all_of_them["requests"]] == [1, 2]
    assert [each["seq"] for each in newer["requests"]] == [2]
    assert ["Authorization", "Bearer op-test"] in newer["requests"][0]["headers"]
    await control("DELETE", "requests")
    assert (await control("GET", "requests"))[1] == {"requests": []}


async def test_faults_can_be_planned_and_cleared(simulator, client, control):
    await control("POST", "faults", {"kind": "status", "status": 529, "retry_after": "3", "times": -1})
    async with client.post(simulator.base_url + CHAT, json=BODY) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (529, "3")
    await control("DELETE", "faults")
    async with client.post(simulator.base_url + CHAT, json=BODY) as reply:
        assert reply.status == 200


async def test_lockstep_can_be_driven_from_another_program(simulator, client, control):
    await control("POST", "lockstep", {"on": True})
    async with client.post(simulator.base_url + CHAT, json={**BODY, "stream": True}) as reply:
        number = 0
        async for line in reply.content:
            if line.startswith(b"data:"):
                number += 1
                assert (await control("GET", "lockstep"))[1] == {"on": True, "sent": number}
                await control("POST", "confirm", {"event": number})
    assert line == b"\n"
    assert number > 3


async def test_rows_can_be_changed_and_reset(simulator, client, control):
    await control("POST", "rows", {"example-us/atlas-1": None, "example-us/solo-1": {"country": "Norway"}})
    ids = {row["id"]: row for row in simulator.rows.rows}
    assert "example-us/atlas-1" not in ids
    assert ids["example-us/solo-1"]["country"] == "Norway"
    await control("DELETE", "rows")
    assert "example-us/atlas-1" in {row["id"] for row in simulator.rows.rows}


async def test_scenarios_and_pace_can_be_set(simulator, control):
    await control("POST", "scenarios", {"steps": [{"say": {"text": "x"}}]})
    await control("POST", "pace", {"ms": 7})
    assert (len(simulator.scenarios), simulator.pace_ms) == (1, 7)
    await control("DELETE", "scenarios")
    assert simulator.scenarios == []


@pytest.mark.parametrize(
    ("path", "body"), [("faults", {"kind": "no"}), ("scenarios", {}), ("confirm", {}), ("pace", {"ms": "x"})]
)
async def test_what_is_not_understood_is_400_with_a_sentence(control, path, body):
    status, answer = await control("POST", path, body)
    assert (status, list(answer)) == (400, ["error"])


async def test_an_unknown_control_request_names_the_known_ones(control):
    status, answer = await control("GET", "nothing")
    assert status == 404
    assert "POST /_simulator/faults" in answer["known"]


async def test_the_control_api_is_not_on_the_apis_port_unless_asked_for(simulator, client):
    async with client.get(f"{simulator.base_url}/_simulator/health") as reply:
        assert reply.status == 404
    async with Simulator(Options(control_path=True)) as other:
        async with client.get(f"{other.base_url}/_simulator/health") as reply:
            assert await reply.json() == {"ok": True, "base_url": other.base_url}
        assert other.witness.seen == ()
