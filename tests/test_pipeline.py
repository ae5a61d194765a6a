"""A request's life in order: judged, recorded, then sent; and whatever goes wrong before is a refusal."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proxy.core import rewrite
from proxy.core.dialects import DIALECTS
from proxy.core.values import Endpoint, RawRequest
from proxy.evidence import Evidence
from proxy.pipeline import READ_INLINE
from proxy.relay import Relay
from proxy.simulator import Fault
from proxy.stores.base import StoreFault
from tests.assembled import ATLAS, TRAINS, Stand, assembled, chat
from tests.journal import kit
from tests.poured import poured

ANSWER = {"model": "atlas-1", "input": "hello"}
"""A pool, and an answer that is kept unless it is asked not to be: two rewrites under `mission`."""


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    limits = {
        "project:limited": {"requests_per_minute": 1},
        "project:confirmed": {"concurrent_streams": 1},
    }
    async with assembled(tmp_path, config={"limits": limits}) as stand:
        yield stand


# -- how requests end ------------------------------------------------------------------------------

FORWARDED, REFUSED = ["intent", "outcome"], ["refusal"]


@dataclass(frozen=True)
class Case:
    """A request by a known key, how it is answered, and how its outcome is recorded."""

    name: str
    status: int
    code: str = ""
    end: str = ""
    body: Any = None
    ask: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None


CASES = [
    Case("allowed", 200, end="complete"),
    Case("streamed", 200, end="complete", body=chat(stream=True)),
    Case("rewritten", 200, end="complete", body=ANSWER, ask={"project": "mission", "path": "/v1/responses"}),
    Case("large", 200, end="complete", body=chat(text="a" * READ_INLINE)),
    Case("refused by policy", 403, "requirement_unmet", body=chat(TRAINS)),
    Case("without a policy", 403, "no_matching_policy", ask={"project": "alone"}),
    Case("unknown model", 403, "unknown_model", body=chat("nobody/knows")),
    Case("not JSON", 400, "unreadable_json", body=b"{"),
    Case("not JSON and large", 400, "unreadable_json", body=b"[" + b" " * READ_INLINE),
    Case("two readings", 400, "duplicate_key", body=b'{"model":"a","model":"b"}'),
    Case("not a JSON type", 415, "unsupported_media_type", ask={"headers": {"content-type": "text/plain"}}),
    Case("nowhere", 404, "unknown_endpoint", ask={"path": "/v1/nothing"}),
    Case("wrong method", 405, "method_not_allowed", ask={"method": "DELETE"}),
    Case("crooked path", 400, "bad_request_target", ask={"path": "/v1/../v1/chat/completions"}),
    Case("another route", 403, "served_mismatch", "served_mismatch",
         fault=Fault("served", provider="example-open", model="meadow-1")),
    Case("redirected", 502, "upstream_broke_off", "upstream_reset", fault=Fault("redirect")),
    Case("reset", 502, "upstream_broke_off", "upstream_reset", fault=Fault("reset", after=-1)),
    Case("broken off", 200, end="upstream_reset", fault=Fault("reset", after=20)),
    Case("failed there", 500, end="complete", fault=Fault("status", status=500)),
    Case("refused there", 403, end="refused_by_upstream", fault=Fault("refused")),
    Case("not vouched for", 403, "not_confirmed", "not_confirmed", ask={"project": "confirmed"},
         fault=Fault("unserved")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_known_callers_request_ends_in_one_refusal_or_in_one_intent_and_its_outcome(
    case: Case, stand: Stand
) -> None:
    if case.fault:
        stand.simulator.faults.add(case.fault)
    answer = await stand.ask(case.body, **case.ask)
    assert (answer.status, answer.code) == (case.status, case.code)
    assert await stand.about(answer) == (FORWARDED if case.end else REFUSED)
    if case.end:
        assert (await stand.last("outcome"))["end"] == case.end
    assert len(stand.seen) == bool(case.end)


async def test_what_is_forwarded_unchanged_is_the_very_bytes_received(stand: Stand) -> None:
    body = b'{ "messages":[{"content":"\\u00e9 \xc3\xa9","role":"user"}],\n "model":"%s" }' % ATLAS.encode()
    assert (await stand.ask(body)).status == 200
    assert stand.seen[0].body == body


@pytest.mark.parametrize(
    ("size", "edits", "inline"), [(1, 64, True), (READ_INLINE, 64, False), (1, 0, False)]
)
async def test_a_large_body_and_many_edits_keep_nobody_else_waiting(
    size: int, edits: int, inline: bool, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: dict[str, set[int]] = {}

    def watched(name: str, work: Any) -> Any:
        def run(*args: Any, **more: Any) -> Any:
            where.setdefault(name, set()).add(threading.get_ident())
            return work(*args, **more)

        return run

    monkeypatch.setattr("proxy.pipeline.EDITED_INLINE", edits)
    monkeypatch.setattr("proxy.pipeline.rewrite.apply", watched("apply", rewrite.apply))
    commit = watched("commit", Evidence.commit_to)
    monkeypatch.setattr(Evidence, "commit_to", lambda self, body: commit(self, body))
    answer = await stand.ask({**ANSWER, "input": "a" * size}, **MISSION)
    assert answer.status == 200
    here = threading.get_ident()
    assert (where["apply"] == {here}) is inline
    if size == READ_INLINE:
        assert here not in where["apply"] | where["commit"]


async def test_input_by_nobody_is_counted_and_goes_nowhere(stand: Stand) -> None:
    for project, code in (("", "no_credential"), ("rf-nobody-0123456789abcdef", "unknown_key")):
        answer = await stand.ask(project=project)
        assert (answer.status, answer.code) == (401, code)
    assert [record["reason"] for record in await stand.records("reject")] == ["no_credential", "unknown_key"]
    assert await stand.records("intent", "refusal") == []
    assert not stand.seen


async def test_a_path_that_cannot_be_read_is_refused_under_its_senders_name(stand: Stand) -> None:
    await stand.ask(path="/v1//chat/completions")
    assert (await stand.last("refusal"))["project"] == "open"


async def test_a_request_turned_away_by_its_head_is_recorded_when_its_key_is_known(stand: Stand) -> None:
    known = await stand.pipeline.turn_away(stand.raw(), "body_too_large")
    unknown = await stand.pipeline.turn_away(stand.raw(project=""), "body_too_large")
    crooked = await stand.pipeline.turn_away(stand.raw(path="/../"), "overloaded")
    assert [known.status, unknown.status, crooked.status] == [413, 413, 503]
    records = await stand.records("refusal", "reject")
    assert sorted((r["kind"], r["reason"]) for r in records) == [
        ("refusal", "body_too_large"), ("refusal", "overloaded"), ("reject", "body_too_large"),
    ]  # fmt: skip


# -- what needs no record --------------------------------------------------------------------------


PROBES = [endpoint for dialect in DIALECTS for endpoint in dialect.endpoints if endpoint.operation == "probe"]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.method} {probe.template}")
async def test_a_probe_needs_no_key_and_leaves_no_record(probe: Endpoint, stand: Stand) -> None:
    before = len(await stand.records())
    answer = await stand.ask(b"", project="", path=probe.template, method=probe.method)
    assert answer.status == 200
    assert len(await stand.records()) == before


async def test_a_model_list_shows_what_the_callers_policies_allow_and_nobody_elses(stand: Stand) -> None:
    listed = {p: await stand.ask(path="/v1/models", method="GET", project=p) for p in ("open", "alone")}
    assert ATLAS.encode() in listed["open"].body
    assert TRAINS.encode() not in listed["open"].body
    assert b"example-" not in listed["alone"].body
    assert (await stand.ask(path="/v1/models", method="GET", project="")).code == "no_credential"
    assert await stand.records("intent", "refusal") == []


# -- no record, no byte ----------------------------------------------------------------------------


async def test_no_byte_leaves_when_the_intent_cannot_be_written(tmp_path: Path) -> None:
    with kit.faulty_disk() as disk:
        async with assembled(tmp_path, config={"audit": {**kit.QUICK, "retry_interval": "1h"}}) as stand:
            connections = stand.assembly.gateway.open_connections
            await stand.records()
            disk.before.append(StoreFault("the disk is gone"))
            first = await stand.ask()
            second = await stand.ask(chat(TRAINS))
            assert [(a.status, a.code) for a in (first, second)] == [(503, "audit_unavailable")] * 2
            assert stand.pipeline.overload() == "audit_unavailable"
            assert not stand.seen
            assert stand.assembly.gateway.open_connections == connections
            assert await stand.records("intent", "refusal", "outcome") == []


async def test_the_gateway_is_not_even_dialled_while_the_intent_is_being_written(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, goes_on = asyncio.Event(), asyncio.Event()
    append, gateway = stand.assembly.journal.append, stand.assembly.gateway

    async def slow(draft: Any) -> Any:
        reached.set()
        await goes_on.wait()
        return await append(draft)

    monkeypatch.setattr(stand.assembly.journal, "append", slow)
    asking = asyncio.create_task(stand.ask())
    await reached.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert gateway.open_connections == 0
    assert not stand.seen
    goes_on.set()
    assert (await asking).status == 200
    assert gateway.open_connections == 1


async def test_a_log_that_lags_behind_takes_no_more_requests(tmp_path: Path) -> None:
    async with assembled(tmp_path, config={"audit": {**kit.QUICK, "max_queue": 16}}) as stand:
        assert stand.pipeline.overload() is None
        for _ in range(16):
            stand.assembly.journal.submit(kit.reject())
        assert stand.pipeline.overload() == "overloaded"


# -- rewrites --------------------------------------------------------------------------------------

MISSION: dict[str, Any] = {"project": "mission", "path": "/v1/responses"}


async def test_a_rewritten_request_is_judged_again_and_refused_when_it_no_longer_complies(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = b'{"model":"%s","input":"hello","store":false}' % TRAINS.encode()
    monkeypatch.setattr("proxy.pipeline.rewrite.apply", lambda body, edits: other)
    answer = await stand.ask(ANSWER, **MISSION)
    assert (answer.status, answer.code) == (403, "requirement_unmet")
    assert await stand.about(answer) == REFUSED
    assert not stand.seen


@pytest.mark.parametrize(
    "left",
    [
        b'{"model":"atlas-1","input":"hello"}',
        b'{"model":"example-us/solo-1","input":"x","store":false}',
    ],
    ids=["nothing was rewritten", "another route"],
)
async def test_a_rewrite_that_did_not_do_what_was_ordered_sends_nothing(
    left: bytes, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.pipeline.rewrite.apply", lambda body, edits: left)
    answer = await stand.ask(ANSWER, **MISSION)
    assert (answer.status, answer.code) == (503, "proxy_fault")
    assert await stand.about(answer) == REFUSED
    assert not stand.seen


async def test_a_rewrite_that_cannot_be_read_sends_nothing(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.pipeline.rewrite.apply", lambda body, edits: b"{")
    answer = await stand.ask(ANSWER, **MISSION)
    assert answer.status >= 400
    assert await stand.about(answer) == REFUSED
    assert not stand.seen


# -- limits ----------------------------------------------------------------------------------------


async def test_a_limit_that_is_used_up_is_a_429_that_says_when_to_come_back(stand: Stand) -> None:
    assert (await stand.ask(project="limited")).status == 200
    answer = await stand.ask(project="limited")
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.headers["x-ratelimit-limit-requests"] == "1"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert await stand.about(answer) == REFUSED
    assert len(stand.seen) == 1


STREAM = chat(stream=True, text="[[lockstep:s]][[words:3]]")


async def _read_on(stand: Stand, relay: Relay) -> None:
    for event in range(1, 20):
        await stand.simulator.lockstep.confirm(event, "s")
    await poured(relay)


async def test_a_stream_takes_its_place_until_it_ends_or_its_client_leaves(stand: Stand) -> None:
    raw = stand.raw(STREAM, project="confirmed")
    for ends in (_read_on, _leave):
        relay = await stand.pipeline.serve(raw)
        assert isinstance(relay, Relay)
        refused = await stand.ask(STREAM, project="confirmed")
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert refused.headers["x-ratelimit-limit-streams"] == "1"
        await ends(stand, relay)
    after = await stand.ask(chat(stream=True), project="confirmed")
    assert after.status == 200
    ends_told = [record["end"] for record in await stand.records("outcome")]
    assert ends_told == ["complete", "client_gone", "complete"]


async def _leave(stand: Stand, relay: Relay) -> None:
    relay.abandon("client_gone")


async def _held(stand: Stand, monkeypatch: pytest.MonkeyPatch, raw: RawRequest) -> asyncio.Task[Any]:
    """A request that waits for its intent to become durable, and will for ever."""
    reached = asyncio.Event()

    async def never(draft: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(stand.assembly.journal, "append", never)
        asking = asyncio.create_task(stand.pipeline.serve(raw))
        await reached.wait()
    return asking


async def test_a_client_that_leaves_before_anything_was_sent_gives_its_place_back(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = await _held(stand, monkeypatch, stand.raw(chat(stream=True), project="confirmed"))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not stand.seen
    assert (await stand.ask(chat(stream=True), project="confirmed")).status == 200


# -- clients that leave ----------------------------------------------------------------------------


async def test_a_client_that_leaves_before_the_answer_begins_is_recorded_as_gone(stand: Stand) -> None:
    stand.simulator.faults.add(Fault("stall", after=-1))
    asking = asyncio.create_task(stand.pipeline.serve(stand.raw()))
    await stand.simulator.witness.wait(2)  # the catalogue's fetch is one of them
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [record["end"] for record in await stand.records("outcome")] == ["client_gone"]
    await stand.simulator.witness.wait(1, moment="gone_ns")
    assert stand.assembly.gateway.open_connections == 0


async def test_a_client_that_leaves_while_its_intent_is_being_written_has_an_outcome_of_its_own(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, append = asyncio.Event(), stand.assembly.journal.append

    async def told(draft: Any) -> Any:
        reached.set()
        return await append(draft)

    monkeypatch.setattr(stand.assembly.journal, "append", told)
    asking = asyncio.create_task(stand.pipeline.serve(stand.raw()))
    await reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    intents, outcomes = await stand.records("intent"), await stand.records("outcome")
    # Given up before the writer began it, there is no intent; after that, there is one that was not sent.
    assert [r["rid"] for r in outcomes] == [r["rid"] for r in intents]
    assert all(record["end"] == "not_sent" for record in outcomes)
    assert not stand.seen


# -- our own faults --------------------------------------------------------------------------------


class Kanarie(Exception):
    """A fault of our own, with a text that must not get anywhere."""


def _break(*_: Any, **__: Any) -> Any:
    raise Kanarie("kanarie")


CALLER_KNOWN = [
    "proxy.pipeline.routing.match",
    "proxy.pipeline.routing.dialect_of",
    "proxy.pipeline.rewrite.apply",
    "proxy.pipeline.approve",
    "proxy.pipeline._forwarded",
    "proxy.pipeline.Pipeline._read",
    "proxy.pipeline.Pipeline._admit",
    "proxy.pipeline.order",
    "proxy.pipeline.Pipeline._begin",
    "proxy.limits.Limits.admit",
    "proxy.limits.Lease.begin_stream",
    "proxy.core.dialects.openai.OpenAI.read",
    "proxy.revision.Revision.decide",
    "proxy.revision.Revision.view",
    "proxy.evidence.Evidence.commit_to",
    "proxy.evidence.Evidence.intent",
    "proxy.core.record.Recorder.intent",
    "proxy.breaker.Breaker.admits",
]
"""Each is a step before the send. The request that meets them needs two rewrites and is a stream."""


@pytest.mark.parametrize("step", CALLER_KNOWN)
async def test_a_fault_at_any_step_before_the_send_is_a_refusal_and_sends_nothing(
    step: str, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, _break)
        answer = await stand.ask({**ANSWER, "stream": True}, **MISSION)
    assert (answer.status, answer.code) == (503, "proxy_fault")
    assert b"kanarie" not in answer.body
    assert not stand.seen
    assert await stand.about(answer) == REFUSED
    assert (await stand.last("refusal"))["project"] == "mission"
    assert (await stand.ask({**ANSWER, "stream": True}, **MISSION)).status == 200


@pytest.mark.parametrize(
    "step", ["proxy.pipeline.credential", "proxy.pipeline.fingerprint", "proxy.core.callers.CallerTable.find"]
)
async def test_a_fault_while_the_caller_is_looked_up_is_a_refusal_of_nobody(
    step: str, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, _break)
        answer = await stand.ask()
    assert (answer.status, answer.code) == (503, "proxy_fault")
    assert (await stand.last("reject"))["reason"] == "proxy_fault"
    assert not stand.seen


@pytest.mark.parametrize("step", ["proxy.pipeline.refusal", "proxy.core.explain.sentences"])
async def test_a_refusal_that_cannot_be_worded_is_still_a_refusal(
    step: str, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, _break)
        answer = await stand.ask(chat(TRAINS))
    assert (answer.status, answer.code) == (503, "proxy_fault")
    assert await stand.about(answer) == REFUSED


AFTER_INTENT = [
    ("proxy.gateway.Gateway.send", 0),
    ("proxy.gateway.Gateway._head", 0),
    ("proxy.gateway.Gateway._dial", 0),
    ("proxy.forward.confirm", 1),
    ("proxy.forward.Forward._headers", 1),
    ("proxy.forward._tap", 1),
    ("proxy.forward.Scrubber", 1),
]
"""A step after the intent, and whether the gateway has the request by then."""


@pytest.mark.parametrize(("step", "sent"), AFTER_INTENT)
async def test_a_fault_after_the_intent_relays_nothing_and_is_its_outcome(
    step: str, sent: int, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, _break)
        answer = await stand.ask()
    assert (answer.status, answer.code, answer.relayed) == (503, "proxy_fault", False)
    assert await stand.about(answer) == FORWARDED
    assert (await stand.last("outcome"))["end"] == "proxy_fault"
    assert len(stand.seen) == sent


async def test_the_breaker_takes_back_a_probe_that_was_never_sent(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker = stand.assembly.breaker
    for now in range(-100, -90):
        breaker.failed(now)
    with monkeypatch.context() as patch:
        patch.setattr("proxy.pipeline.approve", _break)
        await stand.ask()
    assert breaker.is_open
    assert (await stand.ask()).status == 200
    assert not breaker.is_open


async def test_a_gateway_that_is_down_is_not_asked_and_the_refusal_says_so(stand: Stand) -> None:
    breaker, later = stand.assembly.breaker, int(time.monotonic()) + 3600
    for now in range(later, later + 10):
        breaker.failed(now)
    answer = await stand.ask()
    assert (answer.status, answer.code) == (502, "upstream_unreachable")
    assert await stand.about(answer) == REFUSED
    assert not stand.seen
