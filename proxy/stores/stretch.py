"""what a stretch of records holds: readers pass over it, and a restart knows which requests were open

A log has no index, because an index makes every commit write more pages. A stretch is written once, with the
signed head after its last record; what came after the last stretch has to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

MOST = 256
Words = tuple[object, ...]
Attempt = tuple[str, int]


def words_of(record: Mapping[str, object]) -> Words:
    """What records are searched by: kind, effect, reason, project, end, and the model."""
    get = record.get
    model = get("model_fwd") or get("model_req")
    return get("kind"), get("effect"), get("reason"), get("project"), get("end"), model


@dataclass(slots=True)
class Stretch:
    """The records since the last signed head, as they are added, and every attempt without an outcome."""

    first: int = 0
    open: dict[Attempt, int] = field(default_factory=dict)
    _words: set[Words] = field(default_factory=set)
    _since: str = "~"
    _until: str = ""
    _first_rid: str = "~"
    _last_rid: str = ""

    def add(self, record: Mapping[str, object], seq: int) -> None:
        """Counts one more durable record in."""
        words = words_of(record)
        try:
            self._words.add(words)
        except TypeError:
            # A model that the log only commits to is no word that anybody searches for.
            self._words.add(tuple(word if isinstance(word, str) else None for word in words))
        t, rid = str(record["t"]), record.get("rid")
        # A comparison costs a third of a call of min or max.
        if t < self._since:
            self._since = t
        if t > self._until:
            self._until = t
        if isinstance(rid, str):
            if rid < self._first_rid:
                self._first_rid = rid
            if rid > self._last_rid:
                self._last_rid = rid
        settle(self.open, record, seq)

    def text(self) -> bytes:
        """The form in which it is kept."""
        return orjson.dumps(
            {
                "first": self.first,
                "t": [self._since, self._until],
                "rid": [self._first_rid, self._last_rid],
                # A stretch with very many different words is one that no search passes over.
                "words": list(self._words) if len(self._words) <= MOST else None,
                "open": list(self.open.values()),
            }
        )

    def next(self, first: int) -> Stretch:
        """The stretch that begins after this one."""
        return Stretch(first, self.open)


def settle(still_open: dict[Attempt, int], record: Mapping[str, object], seq: int) -> None:
    """Opens the attempt that an intent begins, and closes that of an outcome."""
    kind, rid, attempt = record.get("kind"), record.get("rid"), record.get("attempt")
    if not isinstance(rid, str) or not isinstance(attempt, int):
        return
    if kind == "intent":
        still_open[rid, attempt] = seq
    elif kind == "outcome":
        still_open.pop((rid, attempt), None)


@dataclass(frozen=True, slots=True)
class Held:
    """A stretch as it was kept; `size` counts the records of the log up to its end."""

    size: int
    first: int
    since: str
    until: str
    first_rid: str
    last_rid: str
    words: tuple[Words, ...] | None
    open: tuple[int, ...]

    @staticmethod
    def parse(size: int, text: bytes) -> Held | None:
        """What was kept with the head over `size` records; None when it cannot be read."""
        try:
            held = orjson.loads(text)
            (since, until), (first_rid, last_rid) = map(str, held["t"]), map(str, held["rid"])
            words = None if held["words"] is None else tuple(map(tuple, held["words"]))
            still_open = tuple(map(int, held["open"]))
            return Held(size, int(held["first"]), since, until, first_rid, last_rid, words, still_open)
        except (ValueError, KeyError, TypeError):
            return None
