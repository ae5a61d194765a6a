"""which records a reader wants, and where they cannot be"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from proxy.core.values import Json
from proxy.stores.stretch import Held, Words, words_of

Value = str | int | bytes
_COLUMNS = ("effect", "reason", "model", "project", "end", "rid")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: every given word has to be equal; times are RFC 3339 in UTC, `until` excluded."""

    kinds: tuple[str, ...] = ()
    effect: str | None = None
    reason: str | None = None
    model: str | None = None
    project: str | None = None
    end: str | None = None
    rid: str | None = None
    since: str | None = None
    until: str | None = None

    def fits(self, record: Mapping[str, Json]) -> bool:
        """Whether a decoded record is wanted."""
        t = str(record.get("t", ""))
        return (
            self._fit(words_of(record))
            and self.rid in (None, record.get("rid"))
            and (self.since is None or t >= self.since)
            and (self.until is None or t < self.until)
        )

    def _fit(self, words: Words) -> bool:
        kind, *others = words
        wanted = (self.effect, self.reason, self.project, self.end, self.model)
        return (not self.kinds or kind in self.kinds) and all(
            want is None or want == word for want, word in zip(wanted, others, strict=True)
        )

    def may_be_in(self, held: Held) -> bool:
        """Whether a stretch can hold a record that is wanted."""
        return (
            (self.since is None or held.until >= self.since)
            and (self.until is None or held.since < self.until)
            and (self.rid is None or held.first_rid <= self.rid <= held.last_rid)
            and (held.words is None or any(map(self._fit, held.words)))
        )

    def clause(self, layout: int) -> tuple[str, list[Value]]:
        """A condition in SQL that every wanted record meets, and its parameters."""
        equal = {name: getattr(self, name) for name in _COLUMNS}
        given = {name: value for name, value in equal.items() if value is not None}
        return _by_bytes(given) if layout > 1 else self._by_columns(given)

    def _by_columns(self, given: Mapping[str, str]) -> tuple[str, list[Value]]:
        """Layout 1 has a column and an index for each word."""
        terms = [f'"{name}" = ?' for name in given]
        bounds = {"t >= ?": self.since, "t < ?": self.until}
        terms += [term for term, bound in bounds.items() if bound is not None]
        values = [*given.values(), *(bound for bound in bounds.values() if bound is not None), *self.kinds]
        if self.kinds:
            terms.append(f"kind IN ({','.join('?' * len(self.kinds))})")
        return " AND ".join(terms) or "1", [*values]


EVERYTHING = Wanted()


def _by_bytes(given: Mapping[str, str]) -> tuple[str, list[Value]]:
    """The canonical form writes a word in one way only, so most records need not be decoded."""
    needles: list[Value] = [orjson.dumps(value) for value in given.values()]
    return " AND ".join(["instr(body, ?)"] * len(needles)) or "1", needles
