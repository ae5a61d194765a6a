"""Whoever was judged and asked for may serve, nobody else may; what contradicts itself proves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.simulator import Fault
from tests.assembled import ATLAS, Answer, Stand, assembled, chat
from tests.running import POLICIES

SPARE = "example-eu/borealis-1"
POOL = "gpt-6.1-sol"
SPARE_SERVED = Fault("served", provider="example-eu", model="borealis-1")
STRANGER_SERVED = Fault("served", provider="example-open", model="meadow-1")
OWN: Mapping[str, str] = {
    "spare": """\
policy: spare
because: Another model or provider may answer when it is as good.
applies_to: {projects: [alone]}
require: {training: forbidden}
features: {model_override: allow}
unsafe_forward_pools: true
""",
    "confirmed": POLICIES["confirmed"] + "features: {model_override: allow}\n",
}


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with assembled(tmp_path, policies={**POLICIES, **OWN}) as stand:
        # What is left of the pool complies as a whole.
        stand.simulator.rows.patch(f"example-open/{POOL}", None)
        await stand.sync()
        yield stand


def resting(stand: Stand) -> frozenset[str]:
    return frozenset(map(str, stand.assembly.revisions.current.quarantined))


async def with_spare(stand: Stand, project: str = "alone", **more: Any) -> Answer:
    return await stand.ask(chat(fallback_models=[SPARE]), project=project, **more)


def raw(*served: tuple[str, str]) -> Fault:
    """An answer with these served-by fields, in this order."""
    fields = "".join(f"X-Opper-Served-{name}: {value}\r\n" for name, value in served)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{fields}Content-Length: 2\r\n\r\n"
    return Fault("raw", data=head + "{}")


# -- what was judged may serve ---------------------------------------------------------------------


async def test_a_fallback_that_was_judged_may_serve_and_nobody_loses_the_main_route(stand: Stand) -> None:
    stand.simulator.faults.add(SPARE_SERVED)
    answer = await with_spare(stand)
    assert (answer.status, answer.relayed) == (200, True)
    assert stand.seen[-1].json()["fallback_models"] == [SPARE]
    assert resting(stand) == frozenset()
    assert (await stand.ask(project="mission")).status == 200


async def test_the_outcome_and_the_answer_name_the_fallback_that_served(stand: Stand) -> None:
    stand.simulator.faults.add(SPARE_SERVED)
    answer = await with_spare(stand)
    outcome = await stand.last("outcome")
    assert (outcome["served"], outcome["model_srv"], outcome["prov_srv"], outcome["end"]) == (
        "confirmed", "borealis-1", "example-eu", "complete",
    )  # fmt: skip
    assert answer.headers["x-ringfence-route"] == SPARE


async def test_a_policy_that_wants_to_be_told_is_content_with_a_judged_fallback(stand: Stand) -> None:
    stand.simulator.faults.add(SPARE_SERVED)
    assert (await with_spare(stand, "confirmed")).status == 200
    stand.simulator.faults.add(Fault("unserved"))
    silent = await with_spare(stand, "confirmed")
    assert (silent.status, silent.code) == (403, "not_confirmed")


async def test_every_member_of_a_pool_that_stays_a_pool_may_serve(stand: Stand) -> None:
    answers = [await stand.ask(chat(POOL), project="alone") for _ in range(4)]
    assert {(answer.status, answer.code) for answer in answers} == {(200, "")}
    assert {seen.json()["model"] for seen in stand.seen} == {POOL}
    outcomes = await stand.records("outcome")
    assert {outcome["served"] for outcome in outcomes} == {"confirmed"}
    assert len({outcome["prov_srv"] for outcome in outcomes}) > 1
    assert {answer.headers["x-ringfence-route"] for answer in answers} == {
        f"{outcome['prov_srv']}/{outcome['model_srv']}" for outcome in outcomes
    }
    assert resting(stand) == frozenset()


# -- what was not may not --------------------------------------------------------------------------


async def test_a_route_that_nobody_approved_is_withheld_and_the_one_asked_for_rests(stand: Stand) -> None:
    stand.simulator.faults.add(STRANGER_SERVED)
    answer = await with_spare(stand)
    assert (answer.status, answer.code) == (403, "served_mismatch")
    assert resting(stand) == {ATLAS}


async def test_a_stranger_to_a_pool_that_stays_a_pool_is_withheld(stand: Stand) -> None:
    stand.simulator.faults.add(STRANGER_SERVED)
    answer = await stand.ask(chat(POOL), project="alone")
    assert (answer.status, answer.code) == (403, "served_mismatch")
    assert len(resting(stand)) == 1


async def test_a_fallback_that_was_taken_out_of_the_request_may_not_serve(stand: Stand) -> None:
    stand.simulator.faults.add(SPARE_SERVED)
    answer = await with_spare(stand, "open")
    assert "fallback_models" not in stand.seen[-1].json()
    assert (answer.status, answer.code) == (403, "served_mismatch")
    assert "routes_also" not in await stand.last("intent")


async def test_a_fallback_that_does_not_comply_keeps_the_request_from_leaving(stand: Stand) -> None:
    body = chat(fallback_models=[SPARE, "example-open/meadow-1"])
    assert (await stand.ask(body, project="alone")).status == 403
    assert not stand.seen


# -- what the records say --------------------------------------------------------------------------


async def test_an_intent_names_every_route_that_may_serve_besides_the_one_asked_for(stand: Stand) -> None:
    await with_spare(stand)
    intent = await stand.last("intent")
    assert (intent["route_row"]["id"], intent["routes_also"]) == (ATLAS, [SPARE])
    await stand.ask(chat(POOL), project="alone")
    pooled = await stand.last("intent")
    members = {row["id"] for row in stand.simulator.rows.rows if row.get("model") == POOL}
    assert {pooled["route_row"]["id"], *pooled["routes_also"]} == members
    await stand.ask()
    assert "routes_also" not in await stand.last("intent")


# -- evidence that contradicts itself --------------------------------------------------------------

OURS = (("Provider", "example-us"), ("Model", "atlas-1"))
THEIRS = (("Provider", "example-open"), ("Model", "meadow-1"))


@pytest.mark.parametrize(
    "served",
    [(*OURS, *THEIRS), (*THEIRS, *OURS), (*OURS, THEIRS[0]), (*OURS, THEIRS[1])],
    ids=["ours first", "theirs first", "two providers", "two models"],
)
@pytest.mark.parametrize("project", ["open", "confirmed"])
async def test_two_answers_to_who_served_are_a_mismatch_whichever_comes_first(
    stand: Stand, project: str, served: tuple[tuple[str, str], ...]
) -> None:
    stand.simulator.faults.add(raw(*served))
    answer = await stand.ask(project=project)
    assert (answer.status, answer.code, answer.relayed) == (403, "served_mismatch", False)
    outcome = await stand.last("outcome")
    assert (outcome["served"], outcome["end"]) == ("mismatch", "served_mismatch")
    told = [", ".join(value for name, value in served if name == which) for which in ("Model", "Provider")]
    assert [outcome["model_srv"], outcome["prov_srv"]] == told


async def test_the_same_answer_twice_is_one_answer(stand: Stand) -> None:
    stand.simulator.faults.add(raw(*OURS, *OURS))
    assert (await stand.ask(project="confirmed")).status == 200
    assert (await stand.last("outcome"))["served"] == "confirmed"


async def test_two_judged_routes_at_once_are_a_mismatch_too(stand: Stand) -> None:
    stand.simulator.faults.add(raw(*OURS, ("Provider", "example-eu"), ("Model", "borealis-1")))
    assert (await with_spare(stand)).code == "served_mismatch"


async def test_other_fields_may_stand_twice(stand: Stand) -> None:
    head = "HTTP/1.1 200 OK\r\nVary: a\r\nVary: b\r\nX-Opper-Served-Provider: example-us\r\n"
    data = head + "X-Opper-Served-Model: atlas-1\r\nContent-Length: 2\r\n\r\n{}"
    stand.simulator.faults.add(Fault("raw", data=data))
    assert (await stand.ask(project="confirmed")).status == 200
