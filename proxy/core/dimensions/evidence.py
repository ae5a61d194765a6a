"""how fresh the evidence behind a row is"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from typing_extensions import override

from proxy.core.dimensions.base import (
    NO_DEMAND,
    UNKNOWN_RANK,
    Assertable,
    Dimension,
    Judgement,
    Misread,
    Requirement,
    words_of,
)
from proxy.core.places import Countries
from proxy.core.rows import Row, catalogued, plain, said, spoken, unstated
from proxy.core.spans import SPAN_PATTERN, parse_span
from proxy.core.values import Claim, Json, Outcome

_DATES = (
    "route.last_verified_at", "route.verification.last_verified_at", "route.verification.verified_at",
    "compliance.last_verified_at", "last_verified_at",
)  # fmt: skip
_STATUS = ("route.verification.status", "compliance.verification.status")
_GOOD = frozenset(["verified", "confirmed", "current", "complete", "ok"])
# A verification stamped later than this after the decision is no evidence: some clock is wrong.
_SKEW = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Fresh(Requirement):
    """How old the last verification may be."""

    age: timedelta


class Evidence(Dimension):
    """When somebody last verified what the row says."""

    name = "evidence"
    title = "fresh evidence"
    asks = "How long ago the facts about a route may have been verified."
    examples = ({"not_older_than": "30d"}, {"not_older_than": "90d"}, "any")
    attestable = (
        Assertable(
            "evidence_reviewed", "we checked the facts about this route ourselves", takes="verified_at"
        ),
    )

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse `{not_older_than: 90d}` or `any`."""
        if value == "any":
            return NO_DEMAND
        text = value.get("not_older_than") if isinstance(value, dict) and len(value) == 1 else None
        age = parse_span(text) if isinstance(text, str) else None
        if age is None:
            raise Misread(((), "write {not_older_than: a duration such as 90d}, or any"))
        return Fresh(f"not older than {text}", age)

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of `not_older_than`."""
        span: dict[str, Json] = {"type": "string", "pattern": SPAN_PATTERN}
        fresh: dict[str, Json] = {
            "type": "object",
            "properties": {"not_older_than": span},
            "required": ["not_older_than"],
            "additionalProperties": False,
        }
        return {"oneOf": [fresh, {"const": "any"}]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank the later verification first, by days before the year 2500."""
        day = _instant(claim.value)
        return UNKNOWN_RANK if day is None else max(0, (date(2500, 1, 1) - day.date()).days)

    @override
    def read(self, row: Row) -> Claim:
        """Read the oldest verification stamp, unless the row calls itself unverified."""
        status = said(row, *_STATUS)
        found = said(row, *_DATES)
        stamps = [_instant(value) for _, value in found]
        unsure = any(not isinstance(value, str) or plain(value) not in _GOOD for _, value in status)
        days = [day for day in stamps if day is not None]
        if not days or unsure or len(days) != len(stamps):
            return unstated(spoken((*status, *found)))
        oldest = min(days)
        return catalogued(oldest.isoformat(), f"verified {oldest:%Y-%m-%d}", found)

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, Fresh)
        verified = _instant(claim.value)
        if verified is None or verified > at + _SKEW:
            remedy = self._missing(requirement, at)
            return Judgement(Outcome.UNKNOWN, requirement.asked, words_of(claim), remedy)
        ends = verified + requirement.age
        if at < ends:
            until = min(ends, claim.valid_until) if claim.valid_until else ends
            return Judgement(Outcome.MET, requirement.asked, words_of(claim), until=until)
        remedy = "have the row verified again at the gateway, or attest evidence_reviewed"
        return Judgement(Outcome.UNMET, requirement.asked, words_of(claim), remedy)


def _instant(value: Json) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if found.tzinfo is None:
        # A bare date stands for its first instant, the older reading.
        return datetime.combine(found.date(), time(tzinfo=UTC)) if len(value.strip()) == 10 else None
    try:
        return found.astimezone(UTC)
    except OverflowError:
        # An offset can push the first or last day of the calendar out of it.
        return None
