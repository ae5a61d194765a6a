"""a request's header fields by name, found once for everybody who asks

Names compare without case (RFC 9110 section 5.1). What stands more than once is kept apart, so that a
reader who looks only at `first` has to ask whether there is more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Pairs = tuple[tuple[bytes, bytes], ...]

# Names are chosen by strangers: what is remembered must not grow with what they invent.
MOST_NAMES: Final = 512
LONGEST_NAME: Final = 64
_NOTHING: Final[Mapping[bytes, tuple[bytes, ...]]] = {}


class Lowered(dict[bytes, bytes]):
    """Names as they came -> in lower case; remembers the short ones, up to a bound."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if len(self) < MOST_NAMES and len(name) <= LONGEST_NAME:
            self[name] = lower
        return lower


_LOWERED: Final = Lowered()


class Fields:
    """Header fields in their order, and by lower-case name: `first` of each, `repeated` with all values."""

    __slots__ = ("first", "pairs", "repeated")

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.first: Mapping[bytes, bytes] = {_LOWERED[name]: value for name, value in pairs}
        self.repeated = _NOTHING
        if len(self.first) < len(pairs):
            self._tell_apart()

    def _tell_apart(self) -> None:
        values: dict[bytes, tuple[bytes, ...]] = {}
        for name, value in self.pairs:
            lower = _LOWERED[name]
            values[lower] = (*values.get(lower, ()), value)
        self.first = {name: found[0] for name, found in values.items()}
        self.repeated = {name: found for name, found in values.items() if len(found) > 1}
