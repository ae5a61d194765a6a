"""whether people may read content"""

from __future__ import annotations

import re
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

_ORDER = ("none", "safety_hits", "allowed")
_NONE = frozenset(["none", "no", "never", "false", "forbidden", "no human review"])
_ALLOWED = frozenset(["yes", "true", "allowed", "possible"])
_FLAGGED = re.compile(r"safety[_ ]hits[_ ]only|((abuse|safety)-)?flagged only|only flagged( [a-z]+)?")
_PATHS = (
    "compliance.human_review",
    "route.data_handling.human_review",
    "route.data_handling.logging.human_review",
    "route.data_handling.moderation.human_review",
)


@dataclass(frozen=True, slots=True)
class Reviewed(Requirement):
    """The readings that pass."""

    readings: frozenset[str]


class HumanReview(Dimension):
    """Whether people at the provider may read content. That nothing is kept does not settle it."""

    name = "human_review"
    title = "human review"
    asks = "Whether people at the provider may read content."
    examples = ("forbidden", "safety_hits_only", "allowed")
    attestable = (
        Assertable("no_human_review", "nobody at the provider reads our content", "none"),
        Assertable(
            "human_review_safety_hits_only", "people read only what a safety check flagged", "safety_hits"
        ),
    )

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse `forbidden`, `safety_hits_only`, or `allowed` (the same as `any`)."""
        word = one_of(value, ("forbidden", "safety_hits_only", "allowed", "any"))
        if word in ("allowed", "any"):
            return NO_DEMAND
        return Reviewed(word, frozenset(_ORDER[:1] if word == "forbidden" else _ORDER[:2]))

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of the four words."""
        return {"enum": ["forbidden", "safety_hits_only", "allowed", "any"]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank none, safety hits, allowed."""
        return _ORDER.index(word_in(claim)) if word_in(claim) in _ORDER else UNKNOWN_RANK

    @override
    def read(self, row: Row) -> Claim:
        """Read every statement; the laxest counts, and one that is not understood makes it unknown."""
        found = said(row, *_PATHS)
        readings = {_reading(value) for _, value in found}
        if "allowed" in readings:
            return catalogued("allowed", spoken(found), found)
        if not found or None in readings:
            return unstated(spoken(found))
        value = "safety_hits" if "safety_hits" in readings else "none"
        return catalogued(value, spoken(found), found)

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, Reviewed)
        if word_in(claim) in requirement.readings:
            return Judgement(Outcome.MET, requirement.asked, words_of(claim), until=claim.valid_until)
        remedy = self._unmet(requirement)
        return Judgement(Outcome.UNMET, requirement.asked, words_of(claim), remedy)


def _reading(value: Json) -> str | None:
    if isinstance(value, bool):
        return "allowed" if value else "none"
    if not isinstance(value, str):
        return None
    text = plain(value)
    if text in _NONE:
        return "none"
    if text in _ALLOWED:
        return "allowed"
    return "safety_hits" if _FLAGGED.fullmatch(text) else None
