"""What was observed, held against what the case demands: every fault, in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.bypass.attempt import Answered
from tests.bypass.cases import Case, Fixture
from tests.bypass.http1 import Message
from tests.bypass.oracle import forbidden_in, unapproved
from tests.bypass.upstream import Wire

LEAK, STATUS, AUDIT, SECRET, SERVICE, NOTE = "leak", "status", "audit", "secret", "service", "note"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a case is not safe. `kind` is one of the words above."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that an attempt left behind.

    `records` is None for a subject that keeps none; `counted` is how many unrecorded rejects its
    counters show; `said` is what it wrote to logs and store; `after` the answers to a plain request
    sent next, for cases in which the upstream misbehaves.
    """

    answered: Answered
    wires: tuple[Wire, ...]
    records: tuple[dict[str, Any], ...] | None
    counted: int
    said: bytes
    secrets: tuple[str, ...]
    records_before: int = 0
    after: bytes = b""

    @property
    def requests(self) -> tuple[Message, ...]:
        """Whole requests that reached the upstream."""
        held = (received.message for wire in self.wires for received in wire.requests)
        return tuple(message for message in held if message is not None)

    @property
    def raw(self) -> bytes:
        """Every byte that reached the upstream."""
        return b"".join(bytes(wire.raw) for wire in self.wires)

    @property
    def statuses(self) -> tuple[int, ...]:
        """The final statuses in the order in which they came."""
        return tuple(answer.status for answer in self.answered.answers)

    def kinds(self) -> Counter[str]:
        """How many records there are of each kind."""
        return Counter(record["kind"] for record in self.records or ())


def faults(case: Case, seen: Observation, fixture: Fixture) -> list[Fault]:
    """Every fault of one attempt; empty when the case is safe."""
    found = list(_VERDICTS[case.expected.verdict](case, seen, fixture))
    if 500 in seen.statuses:
        found.append(Fault(STATUS, "answered 500"))
    found += _secrets(seen, fixture)
    if seen.records is not None:
        found += _records(seen)
        found += _expected_kind(case, seen)
    return found


def _serve(case: Case, seen: Observation, fixture: Fixture) -> Iterator[Fault]:
    if set(seen.statuses) != {200} or len(seen.statuses) != case.expected.upstream:
        yield Fault(SERVICE, f"answered {seen.statuses}, not 200 each time")
    if len(seen.requests) != case.expected.upstream:
        yield Fault(SERVICE, f"{len(seen.requests)} requests upstream, not {case.expected.upstream}")
    yield from _judged(case, seen, fixture)


def _refuse(case: Case, seen: Observation, _: Fixture) -> Iterator[Fault]:
    if seen.raw:
        yield Fault(LEAK, f"{len(seen.raw)} bytes reached the upstream: {seen.raw[:60]!r}")
    yield from _status(case, seen)
    if any(status < 400 for status in seen.statuses):
        yield Fault(STATUS, f"answered {seen.statuses} to what has to be refused")


def _refuse_or_canonicalise(case: Case, seen: Observation, fixture: Fixture) -> Iterator[Fault]:
    yield from _judged(case, seen, fixture)
    yield from _status(case, seen)


def _serve_or_refuse(case: Case, seen: Observation, fixture: Fixture) -> Iterator[Fault]:
    yield from _judged(case, seen, fixture)
    yield from _status(case, seen)
    for message in seen.requests:
        try:
            json.loads(message.body)
        except ValueError:
            yield Fault(LEAK, "encoded bytes were passed through")
        if message.all(b"content-encoding"):
            yield Fault(LEAK, "a content coding was passed through")


def _per_request(case: Case, seen: Observation, fixture: Fixture) -> Iterator[Fault]:
    if seen.statuses != case.expected.status:
        yield Fault(STATUS, f"answered {seen.statuses}, not {case.expected.status}")
    if len(seen.requests) != case.expected.upstream:
        yield Fault(LEAK, f"{len(seen.requests)} requests upstream, not {case.expected.upstream}")
    yield from _judged(case, seen, fixture)


def _contain(case: Case, seen: Observation, fixture: Fixture) -> Iterator[Fault]:
    yield from _judged(case, seen, fixture)
    yield from _status(case, seen)
    if len(seen.wires) > 1 or len(seen.requests) != 1:
        yield Fault(LEAK, f"{len(seen.requests)} requests on {len(seen.wires)} connections, not one")


_VERDICTS: dict[str, Callable[[Case, Observation, Fixture], Iterator[Fault]]] = {
    "serve": _serve,
    "refuse": _refuse,
    "refuse_or_canonicalise": _refuse_or_canonicalise,
    "serve_or_refuse": _serve_or_refuse,
    "per_request": _per_request,
    "contain": _contain,
}


def _judged(case: Case, seen: Observation, fixture: Fixture) -> Iterator[Fault]:
    """Whatever was forwarded has to name approved models only, by every reading."""
    for message in seen.requests:
        if models := unapproved(message, fixture):
            yield Fault(LEAK, f"a reader would see {sorted(models)} in {message.method} {message.target}")
    if words := forbidden_in(seen.raw, case.expected.forbidden):
        yield Fault(LEAK, f"{words} reached the upstream")
    if any(wire.unframed for wire in seen.wires):
        yield Fault(LEAK, "the upstream got bytes that are not one request after the other")
    if any(received.message is None for wire in seen.wires for received in wire.requests):
        yield Fault(LEAK, "the upstream got a request that does not end")


def _status(case: Case, seen: Observation) -> Iterator[Fault]:
    if not seen.statuses or not case.expected.status:
        return
    first, *others = seen.statuses
    if first not in case.expected.status:
        yield Fault(STATUS, f"answered {first}, not one of {case.expected.status}")
    if any(status >= 500 and status not in case.expected.status for status in others):
        yield Fault(STATUS, f"answered {seen.statuses}")


def _secrets(seen: Observation, fixture: Fixture) -> Iterator[Fault]:
    """No key and no prompt in logs, records or errors; the client's key goes nowhere."""
    places = {"logs and records": seen.said}
    errors = [answer for answer in seen.answered.answers if answer.status >= 400]
    places["an error"] = b"".join(part for answer in errors for part in _parts(answer))
    places["the answer"] = seen.answered.raw + seen.after
    for place, held in places.items():
        words = seen.secrets if place == "the answer" else (*seen.secrets, fixture.client_key, fixture.canary)
        for word in words:
            if word.encode("ascii") in held:
                yield Fault(SECRET, f"{_name(word, fixture)} stands in {place}")
    if fixture.client_key.encode("ascii") in seen.raw:
        yield Fault(SECRET, "the client's key reached the upstream")


def _parts(answer: Message) -> tuple[bytes, ...]:
    return (answer.first, answer.body, *(value for _, value in answer.headers))


def _name(word: str, fixture: Fixture) -> str:
    names = {fixture.client_key: "the client's key", fixture.canary: "the prompt"}
    return names.get(word, "the upstream's key")


def _records(seen: Observation) -> Iterator[Fault]:
    """One intent per upstream request, durable before its first byte; one outcome per intent."""
    records = seen.records or ()
    intents = [record for record in records if record["kind"] == "intent"]
    outcomes = Counter(record["rid"] for record in records if record["kind"] == "outcome")
    received = sorted((each for wire in seen.wires for each in wire.requests), key=lambda each: each.first_at)
    if len(intents) != len(received):
        yield Fault(AUDIT, f"{len(intents)} intents for {len(received)} upstream requests")
    if outcomes != Counter(record["rid"] for record in intents):
        yield Fault(AUDIT, f"{sum(outcomes.values())} outcomes for {len(intents)} intents")
    for number, each in enumerate(received, start=1):
        if each.witnessed - seen.records_before < number:
            yield Fault(AUDIT, f"request {number} reached the upstream before its intent was durable")
    for intent, each in zip(sorted(intents, key=lambda record: record["mono"]), received, strict=False):
        if intent["mono"] > each.first_at:
            yield Fault(AUDIT, "the intent was made after the first byte upstream")


def _expected_kind(case: Case, seen: Observation) -> Iterator[Fault]:
    kinds, wanted = seen.kinds(), case.expected.audit
    refused = kinds["refusal"] + kinds["reject"] + seen.counted
    if wanted in ("allow", "allow+deny") and not kinds["intent"]:
        yield Fault(AUDIT, "no intent was recorded")
    if wanted in ("deny", "allow+deny") and not kinds["refusal"]:
        yield Fault(AUDIT, f"no refusal was recorded, only {dict(kinds)} and {seen.counted} counted")
    if wanted == "reject" and not refused:
        yield Fault(AUDIT, "neither a record nor a counter shows the attempt")
    # `none` is for what is answered here from what is known: nothing leaves, nothing is judged.
    if wanted == "any" and not (kinds["intent"] or refused or 200 in seen.statuses):
        yield Fault(AUDIT, "neither a record nor a counter shows the attempt")
