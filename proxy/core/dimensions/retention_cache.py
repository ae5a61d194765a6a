"""what caches keep: prompt caches in memory, on disk, or as named objects"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from proxy.core.dimensions.base import Assertable, Keep, KeepingDimension
from proxy.core.keeping import CACHING, keeping, period_words, read_keeping
from proxy.core.rows import Row, catalogued, unstated
from proxy.core.values import Claim, Json

# The longest that any vendor's memory-only cache is documented to last (the Gemini implicit cache).
_LONGEST_VOLATILE = 86_400


class RetentionCache(KeepingDimension):
    """How long caches keep content. Memory that forgets by itself is a sort of its own."""

    name = "retention.cache"
    title = "retention in caches"
    asks = "What caches may keep, and how long; a cache in memory is a sort of its own."
    words: ClassVar[Mapping[str, frozenset[str]]] = {
        "none": frozenset(["none"]),
        "volatile_only": frozenset(["none", "volatile"]),
    }
    examples = ("none", "volatile_only", {"at_most": "24h"}, "any")
    attestable = (
        Assertable("no_cache", "the provider caches nothing for this route", {"kept": "none"}),
        Assertable("volatile_cache_only", "the provider caches in memory only", {"kept": "volatile"}),
    )

    @override
    def read(self, row: Row) -> Claim:
        """Read the caching statements and the tri-state fact."""
        cache = read_keeping(row, *CACHING, fact="caching")
        if cache.kept is None:
            return unstated()
        value = keeping(cache.kept, cache.seconds, until_deleted=cache.until_deleted)
        return catalogued(value, period_words(cache, "cache"), cache.found)

    @override
    def _passes(self, requirement: Keep, value: Mapping[str, Json]) -> bool:
        if value.get("kept") == "volatile" and value.get("seconds") is None:
            value = {**value, "seconds": _LONGEST_VOLATILE}
        return super()._passes(requirement, value)
