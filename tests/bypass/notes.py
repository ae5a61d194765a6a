"""What the notes of single cases ask beyond their verdict, as checks.

A check looks at one observation and yields what is wrong in words. The header check holds for every
request that reached the upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.bypass.cases import Case
from tests.bypass.readers import SIX, Unread
from tests.bypass.verdicts import NOTE, Fault, Observation

NEVER_UPSTREAM = (
    b"upgrade", b"http2-settings", b"te", b"trailer", b"cookie", b"expect", b"proxy-authorization",
    b"x-api-key", b"x-goog-api-key", b"forwarded", b"x-forwarded-for", b"x-forwarded-uri",
    b"x-original-url", b"x-rewrite-url",
)  # fmt: skip


def noted(case: Case, seen: Observation) -> list[Fault]:
    """Every way in which an observation departs from the notes of its case."""
    check = _CHECKS.get(case.id)
    words = [*_headers(seen), *(check(seen) if check else ())]
    if seen.records is None:
        return []
    return [Fault(NOTE, word) for word in words]


def _headers(seen: Observation) -> Iterator[str]:
    for message in seen.requests:
        for name in NEVER_UPSTREAM:
            if message.all(name):
                yield f"the header {name.decode()} reached the upstream"
        if len(message.all(b"authorization")) != 1:
            yield "not exactly one Authorization reached the upstream"


def _outcomes(seen: Observation) -> list[dict[str, Any]]:
    return [record for record in seen.records or () if record["kind"] == "outcome"]


def _says(member: str, value: Any) -> Callable[[Observation], Iterator[str]]:
    """Every reader of the forwarded body sees this value."""

    def check(seen: Observation) -> Iterator[str]:
        for message in seen.requests:
            for reader in SIX:
                try:
                    body = reader(message.body)
                except Unread:
                    continue
                if body.get(member) is not value:
                    yield f"{reader.__name__} sees {member}={body.get(member)!r}"

    return check


def _unsaid(*words: str) -> Callable[[Observation], Iterator[str]]:
    """Logs and records hold none of the words."""

    def check(seen: Observation) -> Iterator[str]:
        yield from (
            f"{word!r} stands in logs or records" for word in words if word.encode("utf-8") in seen.said
        )

    return check


def _nothing_upstream(seen: Observation) -> Iterator[str]:
    if seen.raw:
        yield "bytes reached the upstream"


def _trace_replaced(seen: Observation) -> Iterator[str]:
    if b"00-00000000000000000000000000000000" in seen.raw:
        yield "the all-zero trace id reached the upstream"
    yield from _unsaid("\x1b[31m", "FAKE allow")(seen)


def _peer_recorded(seen: Observation) -> Iterator[str]:
    judged = [record for record in seen.records or () if record["kind"] in ("intent", "refusal")]
    if not judged or not all(record.get("peer") for record in judged):
        yield "the record holds no peer"
    yield from _unsaid("10.0.0.1")(seen)


def _not_confirmed(seen: Observation) -> Iterator[str]:
    if any(record.get("served") == "confirmed" for record in _outcomes(seen)):
        yield "the outcome says confirmed although nothing confirmed it"


def _served_mismatch(seen: Observation) -> Iterator[str]:
    for record in _outcomes(seen):
        if record.get("served") != "mismatch" or record.get("end") != "served_mismatch":
            yield f"the outcome says {record.get('served')}, {record.get('end')}"
        if not record.get("model_srv"):
            yield "the outcome does not carry what served"
    if seen.statuses != (403,) or b'"choices":[]' in seen.answered.raw:
        yield "the answer of the wrong model was relayed"


def _not_poisoned(seen: Observation) -> Iterator[str]:
    if b"POISONED" in seen.answered.raw + seen.after:
        yield "the second, unasked answer was relayed"


def _cut_short(seen: Observation) -> Iterator[str]:
    if not seen.answered.answers or seen.answered.answers[-1].whole:
        yield "the client takes the broken stream for whole"
    if any(record.get("end") != "upstream_reset" for record in _outcomes(seen)):
        yield f"the outcome says {[record.get('end') for record in _outcomes(seen)]}"


_CHECKS: dict[str, Callable[[Observation], Iterator[str]]] = {
    "HDR-008": _peer_recorded,
    "HDR-014": _trace_replaced,
    "HDR-017": _unsaid('"},{"effect":"allow"', '\\"},{\\"effect\\"'),
    "JSN-034": _unsaid("\u0430zure"),
    "PTH-032": _unsaid("jane@example.com"),
    "RSP-001": _not_confirmed,
    "RSP-004": _not_poisoned,
    "RSP-007": _cut_short,
    "RSP-008": _served_mismatch,
    "RTE-013": _says("store", False),
    "SMG-026": _nothing_upstream,
}
