"""whether a data processing agreement is offered, and whether it is signed"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from typing_extensions import override

from proxy.core.dimensions.base import (
    NO_DEMAND,
    UNKNOWN_RANK,
    Assertable,
    Dimension,
    Judgement,
    Requirement,
    one_of,
    word_in,
    words_of,
)
from proxy.core.places import Countries
from proxy.core.rows import Row, catalogued, plain, said, spoken, unstated
from proxy.core.values import Claim, Json, Outcome

_ORDER = ("signed", "available", "none")
_AVAILABLE = frozenset(["dpa available", "available", "yes", "true", "gdpr dpa available"])
_NONE = frozenset(["no dpa", "none", "no", "false", "not available"])
_PATHS = ("compliance.dpa_available", "route.gdpr.dpa_available", "compliance.dpa", "route.gdpr.dpa")


@dataclass(frozen=True, slots=True)
class Agreement(Requirement):
    """The states that pass."""

    states: frozenset[str]


class Dpa(Dimension):
    """The data processing agreement. "Available" is an offer: only an attestation says it is signed."""

    name = "dpa"
    title = "the data processing agreement"
    asks = "Whether a data processing agreement is signed, or at least offered."
    examples = ("signed", "available", "any")
    attestable = (Assertable("dpa_signed", "our data processing agreement is signed", "signed"),)

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse `signed`, `available`, or `any`."""
        word = one_of(value, ("signed", "available", "any"))
        if word == "any":
            return NO_DEMAND
        return Agreement(word, frozenset(_ORDER[:1] if word == "signed" else _ORDER[:2]))

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of the three words."""
        return {"enum": ["signed", "available", "any"]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank signed, available, none."""
        return _ORDER.index(word_in(claim)) if word_in(claim) in _ORDER else UNKNOWN_RANK

    @override
    def read(self, row: Row) -> Claim:
        """Read whether one is offered; where sources disagree, it is not."""
        found = said(row, *_PATHS)
        readings = {_reading(value) for _, value in found}
        if not found or None in readings:
            return unstated(spoken(found))
        return catalogued("none" if "none" in readings else "available", spoken(found), found)

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, Agreement)
        if word_in(claim) in requirement.states:
            return Judgement(Outcome.MET, requirement.asked, words_of(claim), until=claim.valid_until)
        remedy = "sign the agreement and attest dpa_signed"
        if claim.value == "none":
            remedy = f"use a route whose provider offers an agreement, or {remedy}"
        return Judgement(Outcome.UNMET, requirement.asked, words_of(claim), remedy)


def _reading(value: Json) -> str | None:
    if isinstance(value, bool):
        return "available" if value else "none"
    text = plain(value) if isinstance(value, str) else ""
    if text in _AVAILABLE:
        return "available"
    return "none" if text in _NONE else None
