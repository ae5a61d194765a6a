"""What is sent carries the right key, and nothing comes back that was not held against the approval."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.simulator import Fault
from tests.assembled import ATLAS, MISSION_KEY, Stand, assembled, chat
from tests.journal.kit import until
from tests.running import UPSTREAM_KEY
from tests.scripted import HOLD, Scripted, scripted

OWN_KEY = {"gateway": {"projects": {"mission": {"api_key_file": "mission.key"}}}}
OTHER = Fault("served", provider="example-open", model="meadow-1")


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with assembled(tmp_path, config=OWN_KEY) as stand:
        yield stand


async def test_each_project_goes_upstream_with_its_own_key_and_never_with_the_callers(stand: Stand) -> None:
    for project in ("open", "mission"):
        await stand.ask(project=project, headers={"x-api-key": stand.keys[project]})
    sent = [seen.header("authorization") for seen in stand.seen]
    assert sent == [f"Bearer {UPSTREAM_KEY}", f"Bearer {MISSION_KEY}"]
    for seen in stand.seen:
        assert not any(key.encode() in value for key in stand.keys.values() for _, value in seen.headers)


async def test_the_answer_names_decision_policies_route_and_each_change(stand: Stand) -> None:
    plain = await stand.ask()
    changed = await stand.ask(chat("atlas-1"), project="mission")
    assert plain.headers["x-ringfence-policy"] == "open"
    assert plain.headers["x-ringfence-route"] == ATLAS
    assert "x-ringfence-rewrites" not in plain.headers
    assert changed.headers["x-ringfence-rewrites"] == f"pin={ATLAS}"
    assert plain.rid != changed.rid
    intents = {record["rid"]: record for record in await stand.records("intent")}
    assert intents[changed.rid]["changes"] == ["set /model"]


async def test_the_outcome_says_who_served_what_it_cost_and_how_long_it_took(stand: Stand) -> None:
    answer = await stand.ask()
    outcome = await stand.last("outcome")
    assert outcome["rid"] == answer.rid
    assert (outcome["served"], outcome["model_srv"], outcome["prov_srv"]) == (
        "confirmed", "atlas-1", "example-us",
    )  # fmt: skip
    assert outcome["cost_microusd"] == round(float(answer.headers["x-opper-cost"]) * 1_000_000)
    assert (outcome["status"], outcome["up_status"]) == (200, 200)
    assert outcome["bytes"] == len(answer.body)
    assert 0 < outcome["ttfb_us"] <= outcome["dur_us"]
    assert outcome["tok_in"] > 0 < outcome["tok_out"]


# -- who served ------------------------------------------------------------------------------------


async def test_an_answer_of_another_route_is_withheld_and_the_route_rests_until_the_next_sync(
    stand: Stand,
) -> None:
    stand.simulator.faults.add(OTHER)
    first = await stand.ask()
    assert (first.status, first.code, first.relayed) == (403, "served_mismatch", False)
    assert first.headers["x-should-retry"] == "false"
    again = await stand.ask()
    assert (again.status, again.code) == (403, "route_quarantined")
    assert len(stand.seen) == 1
    assert ATLAS in stand.assembly.revisions.current.quarantined
    await stand.sync()
    assert (await stand.ask()).status == 200


async def test_a_route_at_rest_can_be_released_by_hand(stand: Stand) -> None:
    stand.simulator.faults.add(OTHER)
    await stand.ask()
    stand.assembly.quarantine.clear()
    stand.assembly.revisions.look()
    assert (await stand.ask()).status == 200


async def test_a_pool_goes_on_with_its_next_member_while_one_rests(stand: Stand) -> None:
    stand.simulator.faults.add(OTHER)
    assert (await stand.ask(chat("atlas-1"))).code == "served_mismatch"
    second = await stand.ask(chat("atlas-1"))
    assert second.status == 200
    (resting,) = stand.assembly.revisions.current.quarantined
    assert resting == stand.seen[0].json()["model"] != second.headers["x-ringfence-route"]


async def test_who_served_has_to_be_said_only_where_a_policy_asks(stand: Stand) -> None:
    stand.simulator.faults.add(Fault("unserved", times=2))
    relayed, withheld = await stand.ask(), await stand.ask(project="confirmed")
    assert (relayed.status, withheld.status, withheld.code) == (200, 403, "not_confirmed")
    assert [r["served"] for r in await stand.records("outcome")] == ["unconfirmed", "unconfirmed"]


async def test_an_error_of_the_gateway_is_relayed_though_nobody_is_named_for_it(stand: Stand) -> None:
    stand.simulator.faults.add(Fault("status", status=429, retry_after="7"))
    answer = await stand.ask(project="confirmed")
    assert (answer.status, answer.relayed, answer.headers["retry-after"]) == (429, True, "7")


async def test_a_redirect_is_neither_followed_nor_passed_on(stand: Stand) -> None:
    stand.simulator.faults.add(Fault("redirect", location=f"{stand.simulator.base_url}/v3/compat/elsewhere"))
    answer = await stand.ask()
    assert (answer.status, answer.code) == (502, "upstream_broke_off")
    assert "location" not in answer.headers
    assert len(stand.seen) == 1


# -- what a gateway can do -------------------------------------------------------------------------


async def _answered(folder: Path, script: list[Any], **settings: object) -> tuple[Scripted, Any, list[Any]]:
    """The answer and the outcomes when the gateway plays a script instead."""
    async with scripted(script) as upstream, assembled(folder, config=OWN_KEY) as stand:
        stand.assembly.gateway._port = upstream.port
        for name, value in settings.items():
            setattr(stand.assembly.settings.gateway, name, value)
        answer = await stand.ask()
        return upstream, answer, await stand.records("outcome")


async def test_a_gateway_that_quotes_the_key_in_a_header_does_not_get_it_through(tmp_path: Path) -> None:
    head = (
        f"HTTP/1.1 401 No\r\nContent-Length: 2\r\nX-Opper-Trace-Id: {UPSTREAM_KEY}\r\nRetry-After: 1\r\n\r\n"
    )
    _, answer, _ = await _answered(tmp_path, [head.encode() + b"{}"])
    assert answer.status == 401
    assert answer.headers["retry-after"] == "1"
    assert "x-opper-trace-id" not in answer.headers
    assert UPSTREAM_KEY not in str(answer)


async def test_a_gateway_that_never_answers_is_a_timeout(tmp_path: Path) -> None:
    _, answer, outcomes = await _answered(tmp_path, [HOLD], first_byte_timeout=0.05)
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    assert [outcome["end"] for outcome in outcomes] == ["timeout"]


async def test_an_answer_of_known_length_keeps_it_and_one_without_gets_none(stand: Stand) -> None:
    plain, streamed = await stand.ask(), await stand.ask(chat(stream=True))
    assert plain.headers["content-length"] == str(len(plain.body))
    assert "content-length" not in streamed.headers


async def test_a_gateway_that_cannot_be_reached_was_sent_nothing_and_is_left_alone_for_a_while(
    stand: Stand,
) -> None:
    await stand.simulator.stop()
    while not stand.assembly.breaker.is_open:
        answer = await stand.ask()
        assert (answer.status, answer.code) == (502, "upstream_unreachable")
    assert {outcome["end"] for outcome in await stand.records("outcome")} == {"not_sent"}
    held = await stand.ask()
    assert (held.status, held.code) == (502, "upstream_unreachable")
    assert await stand.about(held) == ["refusal"]


async def test_many_that_fail_at_once_keep_nobody_else_from_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.wiring.BREAKER_SPAN", 3600.0)
    async with assembled(tmp_path) as stand:
        stand.simulator.faults.add(Fault("reset", after=-1, times=15))
        answers = await asyncio.gather(*(stand.ask() for _ in range(15)))
        assert {(answer.status, answer.code) for answer in answers} == {(502, "upstream_broke_off")}
        assert (await stand.ask()).status == 200


async def test_requests_that_their_clients_give_up_let_nobody_through_an_open_breaker(stand: Stand) -> None:
    breaker, long_ago = stand.assembly.breaker, time.monotonic() - 1000
    stand.simulator.faults.add(Fault("stall", after=-1, times=4))
    asked = [asyncio.ensure_future(stand.ask()) for _ in range(3)]
    await until(lambda: len(stand.seen) == 3)
    while not breaker.is_open:
        long_ago += 1
        breaker.failed(long_ago)
    asked.append(asyncio.ensure_future(stand.ask()))
    await until(lambda: len(stand.seen) == 4)
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    assert (await stand.ask()).code == "upstream_unreachable"
    assert len(stand.seen) == 4


async def test_a_probe_that_was_not_sent_lets_another_one_through(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker, long_ago = stand.assembly.breaker, time.monotonic() - 1000
    while not breaker.is_open:
        long_ago += 1
        breaker.failed(long_ago)
    with monkeypatch.context() as patched:
        patched.setattr(stand.assembly.gateway._settings, "max_connections", 0)
        assert (await stand.ask()).code == "overloaded"
    assert (await stand.ask()).status == 200
    assert not breaker.is_open


async def test_many_at_once_each_have_their_own_outcome(stand: Stand) -> None:
    answers = await asyncio.gather(*(stand.ask(chat(stream=bool(n % 2))) for n in range(40)))
    assert {answer.status for answer in answers} == {200}
    outcomes = await stand.records("outcome")
    assert sorted(outcome["rid"] for outcome in outcomes) == sorted(answer.rid for answer in answers)


async def test_a_full_pool_is_our_own_limit_and_does_not_count_against_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.wiring.BREAKER_SPAN", 0.0)
    async with assembled(tmp_path, config={"gateway": {"max_connections": 1}}) as stand:
        stand.simulator.faults.add(Fault("stall", after=-1))
        held = asyncio.ensure_future(stand.ask())
        await until(lambda: len(stand.seen) == 1)
        for _ in range(15):
            answer = await stand.ask()
            assert (answer.status, answer.code) == (503, "overloaded")
        assert not stand.assembly.breaker.is_open
        stand.simulator.faults.release()
        assert (await held).status == 200
        assert (await stand.ask()).status == 200
