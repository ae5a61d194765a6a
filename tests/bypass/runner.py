"""One attempt from start to end: set the upstream up, send, wait until all is said, hold it to the case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.bypass.attempt import attempt
from tests.bypass.cases import Case, Fixture
from tests.bypass.notes import noted
from tests.bypass.upstream import DEFAULT, Upstream, whole_answer
from tests.bypass.verdicts import Fault, Observation, faults


@dataclass(frozen=True, slots=True)
class Trace:
    """What a subject wrote during one attempt; `records` is None when it keeps none."""

    records: tuple[dict[str, Any], ...] | None
    counted: int
    said: bytes


class Subject(Protocol):
    """A proxy under test. `mark` and `since` bracket an attempt."""

    port: int
    upstream_key: str

    @property
    def intents(self) -> int:
        """How many intents are durable now."""

    async def mark(self) -> object:
        """Where its logs, records and counters stand."""

    async def since(self, mark: object) -> Trace:
        """What was written since then, once it has nothing left to write."""


@dataclass(frozen=True, slots=True)
class Result:
    """A case and what was wrong with it."""

    case: Case
    faults: tuple[Fault, ...]
    seen: Observation

    @property
    def safe(self) -> bool:
        """Whether nothing was wrong."""
        return not self.faults

    def leaks(self) -> bool:
        """Whether something reached the upstream that must not."""
        return any(fault.kind == "leak" for fault in self.faults)

    def __str__(self) -> str:
        words = "; ".join(f"{fault.kind}: {fault.words}" for fault in self.faults)
        return f"{self.case.id} {self.case.title}: {words or 'safe'}"


async def run(case: Case, subject: Subject, upstream: Upstream, *, fixture: Fixture, plain: Case) -> Result:
    """Make one attempt. `plain` is a request that has to be served, sent after a misbehaving upstream."""
    upstream.wires = []
    upstream.answer = _answer(case, subject.upstream_key)
    mark, before = await subject.mark(), subject.intents
    answered = await attempt(subject.port, case.steps)
    trace = await subject.since(mark)
    wires = tuple(upstream.wires)
    after = b""
    if case.answer:
        upstream.answer = whole_answer(DEFAULT)
        after = (await attempt(subject.port, plain.steps)).raw
        await subject.since(mark)
    seen = Observation(
        answered=answered,
        wires=wires,
        records=trace.records,
        counted=trace.counted,
        said=trace.said,
        secrets=(subject.upstream_key,),
        records_before=before,
        after=after,
    )
    return Result(case, (*faults(case, seen, fixture), *noted(case, seen)), seen)


def _answer(case: Case, key: str) -> bytes:
    if not case.answer:
        return whole_answer(DEFAULT)
    return case.answer.replace("${UPSTREAM_KEY}", key).encode("utf-8")


async def run_all(
    cases: Sequence[Case], subject: Subject, upstream: Upstream, *, fixture: Fixture
) -> list[Result]:
    """Every case in turn, on one subject."""
    plain = next(case for case in cases if case.id == "CTL-001")
    return [await run(case, subject, upstream, fixture=fixture, plain=plain) for case in cases]
