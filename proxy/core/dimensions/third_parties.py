"""who else may see content, besides the provider and the gateway"""

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
    Misread,
    Requirement,
    words_of,
)
from proxy.core.places import Countries
from proxy.core.rows import Row, catalogued, plain, said, spoken, unstated
from proxy.core.values import Claim, Json, Outcome

_NONE = frozenset(["none", "no", "never", "false", "no third parties", "no third-party access"])
_PATHS = (
    "compliance.third_party_access",
    "compliance.zdr.subprocessors",
    "route.zdr.subprocessors",
    "route.data_handling.third_party_access",
    "route.data_handling.subprocessors_read_content",
)


@dataclass(frozen=True, slots=True)
class Only(Requirement):
    """The third parties that pass, folded; none when empty."""

    names: frozenset[str]


class ThirdParties(Dimension):
    """Third parties that content reaches. "None disclosed" is no disclosure, so it is unknown."""

    name = "third_parties"
    title = "third-party access"
    asks = "Which third parties may see content; the gateway and its sub-processors are not counted."
    examples = ("none", {"only": ["Example Search Ltd"]}, "any")
    attestable = (Assertable("no_third_parties", "no third party sees our content, by contract", []),)

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse `none`, `{only: [names]}`, or `any`."""
        if value == "any":
            return NO_DEMAND
        if value == "none":
            return Only("none", frozenset())
        names = value.get("only") if isinstance(value, dict) and set(value) == {"only"} else None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise Misread(((), "write none, {only: [names]}, or any"))
        return Only(f"only {', '.join(map(str, names))}", frozenset(plain(str(name)) for name in names))

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of the words and of `only`."""
        only: dict[str, Json] = {
            "type": "object",
            "properties": {"only": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
            "required": ["only"],
            "additionalProperties": False,
        }
        return {"oneOf": [{"enum": ["none", "any"]}, only]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank by the number of third parties; unnamed ones rank last of the known."""
        if isinstance(claim.value, list):
            return len(claim.value)
        return UNKNOWN_RANK - 1 if claim.value == "unnamed" else UNKNOWN_RANK

    @override
    def read(self, row: Row) -> Claim:
        """Read every statement; named parties add up, and one that is not understood is unknown."""
        found = said(row, *_PATHS)
        readings = [_reading(value) for _, value in found]
        if "unnamed" in readings:
            return catalogued("unnamed", spoken(found), found)
        if not found or None in readings:
            return unstated(spoken(found))
        names = sorted({name for reading in readings if isinstance(reading, list) for name in reading})
        return catalogued(list(names), spoken(found), found)

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, Only)
        named = claim.value if isinstance(claim.value, list) else None
        if named is not None and {plain(str(name)) for name in named} <= requirement.names:
            return Judgement(Outcome.MET, requirement.asked, words_of(claim), until=claim.valid_until)
        remedy = self._unmet(requirement)
        return Judgement(Outcome.UNMET, requirement.asked, words_of(claim), remedy)


def _reading(value: Json) -> list[str] | str | None:
    if isinstance(value, bool):
        return "unnamed" if value else []
    if isinstance(value, list):
        return [str(name) for name in value] if all(isinstance(name, str) for name in value) else None
    if not isinstance(value, str):
        return None
    text = plain(value)
    if text in _NONE:
        return []
    if text in ("yes", "true"):
        return "unnamed"
    # A sentence is not a list of names: what it says of anybody is not established.
    return None
