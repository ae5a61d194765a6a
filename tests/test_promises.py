"""The promises that only the whole path can keep, as properties over generated traffic.

Each run puts the real parts together, lets requests, reloads and faults of disk and gateway overlap as
drawn, and holds log and gateway against each other afterwards. A property that hardly ever sees an allowed
request would prove little, so a fifth of the generated requests at least must be allowed; and each is shown
to catch a variant of the code that breaks it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from proxy.core.dialects import routing
from proxy.core.record_rows import Names, decision_fields
from proxy.core.values import Call, Caller, Decision, RawRequest, Receipt
from proxy.evidence import Evidence
from proxy.journal import load_pseudonyms
from proxy.pipeline import READ_INLINE, Pipeline
from proxy.revision import Revision
from proxy.simulator import Fault
from proxy.stores.base import StoreFault
from proxy.visit import Visit
from tests.assembled import ATLAS, TRAINS, Answer, Stand, assembled, chat
from tests.journal import kit
from tests.running import POLICIES

# -- generated traffic -----------------------------------------------------------------------------

CHOICES = [ATLAS, ATLAS, "atlas-1", "example-us/solo-1", TRAINS, "nobody/knows"]
PROJECTS = ["open", "open", "mission", "mission", "confirmed", "alone"]
STRICTER = POLICIES["open"].replace("features:", "prefer: [example-eu/*]\nfeatures:")
VERSIONS = [POLICIES["open"], STRICTER, POLICIES["open"].replace("training: forbidden", "dpa: signed")]
FAULTS = ["reset", "served", "unserved", "redirect"]


@dataclass(frozen=True)
class Request:
    """One request, drawn. `size` is that of its prompt: above 64 KiB a body is read beside the loop."""

    number: int
    project: str
    model: str
    responses: bool
    size: int
    stream: bool

    def raw(self, stand: Stand) -> RawRequest:
        text = f"{self.number} " + "x" * self.size
        if self.responses:
            return stand.raw({"model": self.model, "input": text}, project=self.project, path="/v1/responses")
        return stand.raw(chat(self.model, text, stream=self.stream), project=self.project)


@dataclass(frozen=True)
class Reload:
    """An operator writes one version of a policy."""

    version: int


@dataclass(frozen=True)
class Disk:
    """The next write to the log fails."""


Event = Request | Reload | Disk | Fault


@st.composite
def requests(draw: st.DrawFn) -> Request:
    return Request(
        draw(st.integers(0, 10**9)),
        draw(st.sampled_from(PROJECTS)),
        draw(st.sampled_from(CHOICES)),
        draw(st.booleans()),
        draw(st.sampled_from([0, 0, READ_INLINE])),
        draw(st.booleans()),
    )


def events(*others: st.SearchStrategy[Event], requests_each: int = 3) -> st.SearchStrategy[list[Event]]:
    """Requests, so many for each of what else may happen between them."""
    asked = [requests() for _ in range(requests_each * len(others))]
    one: st.SearchStrategy[Event] = st.one_of(*asked, *others)
    return st.lists(one, min_size=2, max_size=10)


RELOADS: st.SearchStrategy[Event] = st.builds(Reload, st.integers(0, len(VERSIONS) - 1))
DISKS: st.SearchStrategy[Event] = st.just(Disk())
UPSTREAM: st.SearchStrategy[Event] = st.sampled_from(FAULTS).map(
    lambda kind: Fault(kind, provider="example-open", model="meadow-1")
)


# -- a run -----------------------------------------------------------------------------------------

Record = dict[str, Any]


@dataclass
class Run:
    """What happened: each request with its answer, what was in force, and when receipts were given.

    `judges` are the revisions that one request, by its task, was opened and judged with.
    """

    stand: Stand
    disk: kit.FaultyDisk
    answers: list[tuple[RawRequest, Answer, Any]] = field(default_factory=list)
    revisions: dict[str, Revision] = field(default_factory=dict)
    receipts: dict[str, int] = field(default_factory=dict)
    judges: dict[Any, list[Revision]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def about(self, answer: Answer) -> list[Record]:
        """The records about one request."""
        return [record for record in self.records if record.get("rid") == answer.rid]

    @property
    def intents(self) -> list[Record]:
        return [record for record in self.records if record["kind"] == "intent"]


async def happen(run: Run, event: Event) -> None:
    """Let one drawn thing happen."""
    stand = run.stand
    if isinstance(event, Request):
        raw = event.raw(stand)
        run.answers.append((raw, await stand.serve(raw), asyncio.current_task()))
    elif isinstance(event, Reload):
        await asyncio.sleep(0)
        stand.write("policies/open.yaml", VERSIONS[event.version])
    elif isinstance(event, Disk):
        run.disk.before.append(StoreFault("the disk is gone"))
    else:
        stand.simulator.faults.add(event)


async def play(run: Run, drawn: Sequence[Event]) -> None:
    """Let everything happen at once, then wait until the log has taken all of it."""
    stand, revisions = run.stand, run.stand.assembly.revisions
    stand.simulator.faults.clear()
    stand.simulator.witness.clear()
    stand.assembly.quarantine.clear()
    revisions.look(again=True)
    run.revisions = {revisions.current.digest: revisions.current}
    run.answers, run.receipts, run.judges = [], {}, {}
    before = len(kit.records(stand.folder / "data"))
    await asyncio.gather(*(happen(run, event) for event in drawn))
    run.disk.before.clear()
    journal = stand.assembly.journal
    await kit.until(lambda: journal.healthy and journal.pending == 0)
    run.records = kit.records(stand.folder / "data")[before:]


def watch(run: Run, patch: pytest.MonkeyPatch) -> None:
    """Note what cannot be seen from outside: receipts as they are given, and who judges what."""
    journal, revisions = run.stand.assembly.journal, run.stand.assembly.revisions
    append, report = journal.append, revisions._report
    opened, decide = Pipeline._open, Revision.decide

    async def appended(draft: Any) -> Receipt:
        receipt = await append(draft)
        run.receipts[str(draft["rid"])] = time.monotonic_ns()
        return receipt

    def reported(reload: Any) -> None:
        run.revisions[reload.revision.digest] = reload.revision
        report(reload)

    def began(self: Pipeline, raw: RawRequest) -> Visit:
        visit = opened(self, raw)
        run.judges[asyncio.current_task()] = [visit.revision]
        return visit

    def decided(self: Revision, *rest: Any) -> Decision:
        run.judges.get(asyncio.current_task(), []).append(self)
        return decide(self, *rest)

    patch.setattr(journal, "append", appended)
    patch.setattr(revisions, "_report", reported)
    patch.setattr(Pipeline, "_open", began)
    patch.setattr(Revision, "decide", decided)


Check = Callable[[Run], None]
Breaking = Callable[[Run, pytest.MonkeyPatch], None]


def held(folder: Path, name: str, *, broken: bool = False, examples: int = 60) -> float:
    """Hold a promise over generated traffic; the share of requests that were allowed."""
    promise, seen = PROMISES[name], Counter[bool]()

    async def one(run: Run, drawn: Sequence[Event]) -> None:
        await play(run, drawn)
        promise.check(run)
        for _, answer, _ in run.answers:
            seen[any(record["kind"] == "intent" for record in run.about(answer))] += 1

    async def all_of_them() -> None:
        config = {"audit": {**kit.QUICK, "retry_interval": "1ms"}}
        with kit.faulty_disk() as disk, pytest.MonkeyPatch.context() as patch:
            async with assembled(folder, config=config) as stand:
                run = Run(stand, disk)
                if broken:
                    promise.breaking(run, patch)
                watch(run, patch)
                for drawn in generated(promise.events, examples):
                    await one(run, drawn)

    asyncio.run(all_of_them())
    return seen[True] / seen.total()


def generated(events: st.SearchStrategy[list[Event]], examples: int) -> list[list[Event]]:
    """So many lists of events. What overlaps comes out differently each time, so nothing is shrunk."""
    found: list[list[Event]] = []

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(events)
    def draw(drawn: list[Event]) -> None:
        found.append(drawn)

    draw()
    return found


# -- the promises ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Promise:
    """Traffic, what must be true of it, and a variant of the code that breaks it."""

    events: st.SearchStrategy[list[Event]]
    check: Check
    breaking: Breaking


def no_byte_leaves_before_its_receipt(run: Run) -> None:
    """Every request that the gateway saw has a receipt of its own, given before its first byte came."""
    stand = run.stand
    pseudonyms = load_pseudonyms(stand.folder / "data" / "audit" / "pseudonym.key")
    heads, receipts = defaultdict(list), defaultdict(list)
    for seen in stand.seen:
        heads[pseudonyms.body(seen.body)].append(seen.head_ns)
    for intent in run.intents:
        if intent["rid"] in run.receipts:
            receipts[intent["out_mac"]].append(run.receipts[intent["rid"]])
    for mac, came in heads.items():
        given = sorted(receipts[mac])
        assert len(given) >= len(came)
        assert all(receipt < head for receipt, head in zip(given, sorted(came), strict=False))


def every_request_ends_exactly_once(run: Run) -> None:
    """One refusal, or one intent and its outcome; nothing at all only where the log took nothing."""
    stand = run.stand
    sent = sum(record["kind"] == "outcome" and record["end"] != "not_sent" for record in run.records)
    assert sent == len(stand.seen)
    for _, answer, _ in run.answers:
        about = run.about(answer)
        kinds = [record["kind"] for record in about]
        if answer.code == "audit_unavailable":
            assert kinds in ([], ["refusal"]) or (kinds, about[-1]["end"]) == (FORWARDED, "not_sent")
        else:
            assert kinds in (["refusal"], FORWARDED)
            assert answer.relayed <= (kinds == FORWARDED)


def the_same_inputs_give_the_same_decision(run: Run) -> None:
    """What a record says was decided is decided again from the record's revision and the request alone."""
    pseudonyms = load_pseudonyms(run.stand.folder / "data" / "audit" / "pseudonym.key")
    for raw, answer, _ in run.answers:
        for record in run.about(answer):
            if "rules" in record:
                # A copy remembers nothing.
                anew = replace(run.revisions[record["revision"]])
                call, decision = decided_again(anew, raw, record)
                fields = decision_fields(decision, call, Names(anew.grounds.known, pseudonyms))
                expected = orjson.loads(orjson.dumps(fields))
                if record["kind"] == "refusal" and decision.allowed:
                    expected = {name: expected[name] for name in ("policy", "rules")}
                assert {name: record[name] for name in expected} == expected


def decided_again(revision: Revision, raw: RawRequest, record: Record) -> tuple[Call, Decision]:
    """The decision on a request, made anew."""
    match = routing.match(raw)
    assert match is not None
    call = routing.dialect_of(match.endpoint).read(raw, match, revision.tables)
    caller = next(c for c in revision.callers.entries.values() if c.key_id == record["key_id"])
    return call, revision.decide(call, caller, datetime.fromisoformat(record["t"]))


def every_decision_uses_exactly_one_revision(run: Run) -> None:
    """The one that the request was opened with is the one that judged it, each time, and that is recorded."""
    for _, answer, task in run.answers:
        first, *judges = run.judges[task]
        assert all(judge is first for judge in judges)
        for record in run.about(answer):
            if record["kind"] != "outcome":
                assert record["revision"] == first.digest
                assert record["catalog"]["digest"] == first.catalogue.digest
                in_force = {policy.id: policy.digest for policy in first.policies}
                assert all(in_force[each["id"]] == each["digest"] for each in record.get("policy", ()))


FORWARDED = ["intent", "outcome"]

# -- variants of the code that break them ----------------------------------------------------------


def sends_without_waiting(run: Run, patch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Evidence, visit: Visit, request: Any, *, model: str, **more: Any) -> Receipt:
        asyncio.get_running_loop().call_later(0.05, lambda: writing.append(write(visit, request, model)))
        return Receipt("nowhere/r0/w0/000001", 0, "0" * 64)

    def write(visit: Visit, request: Any, model: str) -> Any:
        return asyncio.ensure_future(real(run.stand.pipeline._parts.evidence, visit, request, model=model))

    writing: list[Any] = []
    real = Evidence.intent
    patch.setattr(Evidence, "intent", at_once)


def tells_twice(run: Run, patch: pytest.MonkeyPatch) -> None:
    real = Evidence.outcome

    def twice(self: Evidence, visit: Visit, served: Any) -> None:
        real(self, visit, served)
        real(self, visit, served)

    patch.setattr(Evidence, "outcome", twice)


def remembers_by_caller_alone(run: Run, patch: pytest.MonkeyPatch) -> None:
    real, memory = Revision._judge, dict[Any, Decision]()

    def judge(self: Revision, view: Any, call: Call, caller: Caller, at: datetime) -> Decision:
        return memory.setdefault((id(view), caller), real(self, view, call, caller, at))

    patch.setattr(Revision, "_judge", judge)


def judges_by_whatever_is_in_force(run: Run, patch: pytest.MonkeyPatch) -> None:
    class Restless(Visit):
        @property
        def revision(self) -> Revision:
            return run.stand.assembly.revisions.current

        @revision.setter
        def revision(self, _: Revision) -> None:
            return

    patch.setattr("proxy.pipeline.Visit", Restless)


PROMISES = {
    promise.check.__name__: promise
    for promise in (
        # While the disk is gone nothing is allowed, so it goes rarely.
        Promise(events(DISKS, requests_each=40), no_byte_leaves_before_its_receipt, sends_without_waiting),
        Promise(
            events(DISKS, UPSTREAM, RELOADS, requests_each=6), every_request_ends_exactly_once, tells_twice
        ),
        Promise(events(RELOADS, UPSTREAM), the_same_inputs_give_the_same_decision, remembers_by_caller_alone),
        Promise(events(RELOADS), every_decision_uses_exactly_one_revision, judges_by_whatever_is_in_force),
    )
}


@pytest.mark.parametrize("name", PROMISES)
def test_the_promise_holds_and_enough_requests_are_allowed(name: str, tmp_path: Path) -> None:
    assert held(tmp_path, name) >= 0.2


@pytest.mark.parametrize("name", PROMISES)
def test_a_variant_that_breaks_the_promise_is_caught(name: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        held(tmp_path, name, broken=True, examples=200)
