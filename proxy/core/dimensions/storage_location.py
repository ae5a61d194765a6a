"""where what is kept rests, as a set of countries; met when nothing is kept"""

from __future__ import annotations

from typing_extensions import override

from proxy.core.dimensions.base import Assertable, PlaceDimension
from proxy.core.keeping import kept_anywhere
from proxy.core.rows import Row, catalogued, place_words, said, spoken, unstated
from proxy.core.values import Claim

_PATHS = (
    "compliance.storage_location",
    "storage_location",
    "route.data_handling.storage_location",
    "route.data_handling.logging.storage_location",
    "route.data_handling.moderation.storage_location",
    "route.data_handling.caching.storage_location",
)


class StorageLocation(PlaceDimension):
    """Where content rests.

    A row that keeps content and names no place counts as GLOBAL, as the gateway itself counts it
    (https://docs.opper.ai/control-plane/eu-data-residency).
    """

    name = "storage_location"
    title = "the storage location"
    asks = "In which countries kept content may rest; a route that keeps nothing passes."
    attestable = (
        Assertable("storage_location", "the contract fixes the countries of storage", takes="places"),
        Assertable(
            "nothing_stored", "the provider stores nothing of a request", {"places": [], "beside": []}
        ),
    )

    @override
    def read(self, row: Row) -> Claim:
        """Read every storage place stated; without one, whether there is anything to place."""
        kept = kept_anywhere(row)
        if kept is False:
            return catalogued({"places": [], "beside": []}, "nothing is kept", ("retention facts",))
        found = said(row, *_PATHS)
        places = place_words(found)
        if places:
            return catalogued({"places": list(places), "beside": []}, ", ".join(places), found)
        if found or kept is None:
            return unstated(spoken(found))
        words = "content is kept and no place is recorded, which counts as GLOBAL"
        return catalogued({"places": ["GLOBAL"], "beside": []}, words, ("retention facts",))
