"""on what legal basis content may cross a border"""

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
    one_of,
    words_of,
)
from proxy.core.places import Countries
from proxy.core.rows import Row, catalogued, plain, said, spoken, unstated
from proxy.core.values import Claim, Json, Outcome

_BASES = ("adequacy", "dpf", "scc", "none")
_SPELLINGS = {
    "sccs": "scc", "scc": "scc", "standard contractual clauses": "scc",
    "adequacy": "adequacy", "adequacy decision": "adequacy",
    "dpf": "dpf", "data privacy framework": "dpf", "eu-us dpf": "dpf", "eu-us data privacy framework": "dpf",
    "none": "none", "no transfer": "none", "not applicable": "none", "not required": "none", "n/a": "none",
}  # fmt: skip
_PATHS = ("compliance.transfer_mechanism", "route.gdpr.transfer_mechanism")


@dataclass(frozen=True, slots=True)
class AnyOf(Requirement):
    """The bases of which one must be there."""

    bases: frozenset[str]


class TransferBasis(Dimension):
    """The transfer basis, kept apart from places: data at rest inside a region may still be transferred."""

    name = "transfer_basis"
    title = "the transfer basis"
    asks = "Which legal bases for a transfer to another country are good enough."
    examples = ({"any_of": ["adequacy"]}, {"any_of": ["scc", "adequacy"]}, "any")
    attestable = (
        Assertable("scc_signed", "standard contractual clauses are signed", ["scc"]),
        Assertable("adequacy", "an adequacy decision covers the transfer", ["adequacy"]),
        Assertable("dpf_certified", "the recipient is certified under the DPF", ["dpf"]),
        Assertable("no_transfer", "content does not leave the area", ["none"]),
    )

    @override
    def parse(self, value: Json, countries: Countries) -> Requirement:
        """Parse `{any_of: [bases]}` or `any`."""
        if value == "any":
            return NO_DEMAND
        bases = value.get("any_of") if isinstance(value, dict) and set(value) == {"any_of"} else None
        if not isinstance(bases, list) or not bases:
            raise Misread(((), f"write {{any_of: [{', '.join(_BASES)}]}}, or any"))
        wrongs = []
        for i, base in enumerate(bases):
            try:
                one_of(base, _BASES)
            except Misread as error:
                wrongs.append((("any_of", i), str(error)))
        if wrongs:
            raise Misread(*wrongs)
        ordered = sorted({str(base) for base in bases})
        return AnyOf(f"any of {', '.join(ordered)}", frozenset(ordered))

    @override
    def schema(self) -> dict[str, Json]:
        """Return the schema of `any_of`."""
        any_of: dict[str, Json] = {
            "type": "object",
            "properties": {"any_of": {"type": "array", "items": {"enum": list(_BASES)}, "minItems": 1}},
            "required": ["any_of"],
            "additionalProperties": False,
        }
        return {"oneOf": [any_of, {"const": "any"}]}

    @override
    def rank(self, claim: Claim) -> int:
        """Rank by the strongest basis: none needed, adequacy, clauses, DPF."""
        bases = claim.value if isinstance(claim.value, list) else []
        order = ("none", "adequacy", "scc", "dpf")
        return min((order.index(base) for base in bases if base in order), default=UNKNOWN_RANK)

    @override
    def read(self, row: Row) -> Claim:
        """Read the bases named; one that is not understood, or denied by another, makes all unknown."""
        found = said(row, *_PATHS)
        named = [word for _, value in found for word in _split(value)]
        bases = {_SPELLINGS.get(word) for word in named}
        # Clauses for a transfer that does not happen: one of the two statements is wrong.
        contradictory = "none" in bases and len(bases) > 1
        if not bases or None in bases or contradictory:
            return unstated(spoken(found))
        return catalogued(sorted(base for base in bases if base), spoken(found), found)

    @override
    def _hold(self, requirement: Requirement, claim: Claim, at: datetime) -> Judgement:
        assert isinstance(requirement, AnyOf)
        bases = claim.value if isinstance(claim.value, list) else []
        if requirement.bases.intersection(str(base) for base in bases):
            return Judgement(Outcome.MET, requirement.asked, words_of(claim), until=claim.valid_until)
        remedy = self._unmet(requirement)
        return Judgement(Outcome.UNMET, requirement.asked, words_of(claim), remedy)


def _split(value: Json) -> list[str]:
    if isinstance(value, list):
        return [word for item in value for word in _split(item)]
    if not isinstance(value, str):
        return ["?"]
    text = value.replace(" and ", ",").replace(";", ",").replace("+", ",")
    return [plain(part) for part in text.split(",") if part.strip()]
