"""where the model runs, as a set of countries"""

from __future__ import annotations

from typing_extensions import override

from proxy.core.dimensions.base import Assertable, PlaceDimension
from proxy.core.rows import Row, catalogued, place_words, said, spoken, unstated
from proxy.core.values import Claim

# The most precise statement first: what a later one says is kept beside it and must not contradict.
_TIERS = (
    ("compliance.inference_location", "route.data_handling.inference_location", "inference_location"),
    ("compliance.country", "country"),
    ("compliance.residency", "route.gdpr.residency", "region"),
)


class InferenceLocation(PlaceDimension):
    """Where inference runs. GLOBAL lies within nothing."""

    name = "inference_location"
    title = "the inference location"
    asks = "In which countries the model may run."
    attestable = (
        Assertable("inference_location", "the contract fixes the countries of inference", takes="places"),
    )

    @override
    def read(self, row: Row) -> Claim:
        """Read the most precise place stated, with the wider words beside it."""
        tiers = [said(row, *paths) for paths in _TIERS]
        stated = [tier for tier in tiers if tier]
        if not stated:
            return unstated()
        words = [place_words(tier) for tier in stated]
        found = tuple(item for tier in stated for item in tier)
        if not words[0]:
            return unstated(spoken(found))
        beside = [word for wider in words[1:] for word in wider]
        value = {"places": list(words[0]), "beside": list(dict.fromkeys(beside))}
        return catalogued(value, ", ".join(dict.fromkeys((*words[0], *beside))), found)
