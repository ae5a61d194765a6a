"""the gateway's own posture: where it sits and what it keeps

The gateway is judged apart from the provider behind it. No catalogue row speaks of it: facts come
from a table and from attestations, so `read` takes the table's row for the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from proxy.core.dimensions.base import Assertable, KeepingDimension, PlaceDimension, Requirement
from proxy.core.keeping import keeping, period_words, read_keeping
from proxy.core.rows import Row, catalogued, place_words, said, spoken, unstated
from proxy.core.values import Claim


class GatewayLocation(PlaceDimension):
    """Where the gateway decrypts and forwards a request."""

    name = "location"
    title = "the gateway's location"
    asks = "In which countries the gateway itself may stand; the hop is stated, not hidden."
    attestable = (Assertable("gateway_location", "the gateway stands in these countries", takes="places"),)

    @override
    def read(self, row: Row) -> Claim:
        """Read `location` of the gateway's table row."""
        found = said(row, "location")
        places = place_words(found)
        if not places:
            return unstated(spoken(found))
        return catalogued({"places": list(places), "beside": []}, ", ".join(places), ("gateway.location",))

    @override
    def _unmet(self, requirement: Requirement) -> str:
        return f"have the policy permit the gateway's location, or use a gateway {requirement.asked}"


class GatewayRetention(KeepingDimension):
    """How long the gateway keeps content: its own retention rule, which no catalogue shows."""

    name = "content_retention"
    title = "the gateway's content retention"
    asks = "What the gateway itself may keep of content, and how long."
    words: ClassVar[Mapping[str, frozenset[str]]] = {"none": frozenset(["none"])}
    examples = ("none", {"at_most": "7d"}, "any")
    attestable = (
        Assertable(
            "gateway_zero_content_retention",
            "our retention rule at the gateway is 0 days",
            {"kept": "none"},
        ),
    )

    @override
    def read(self, row: Row) -> Claim:
        """Read `content_retention` of the gateway's table row."""
        kept = read_keeping(row, "content_retention")
        if kept.kept is None:
            return unstated()
        value = keeping(kept.kept, kept.seconds, until_deleted=kept.until_deleted)
        return catalogued(value, period_words(kept, "content is kept"), ("gateway.content_retention",))

    @override
    def _unmet(self, requirement: Requirement) -> str:
        return "shorten the gateway's retention rule, and attest gateway_zero_content_retention at 0 days"
