"""what could not be written, and what is too much to write one by one: counted, then recorded"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from proxy.core.record import Draft, gap, rejects
from proxy.journal.clock import Clock


@dataclass(slots=True)
class Span:
    """A count and the instants of its first and last."""

    first: datetime
    last: datetime
    count: int = 1


@dataclass(slots=True)
class Gap:
    """Records that were wanted while the log could not take them. Safe between threads."""

    _counts: Counter[str] = field(default_factory=Counter)
    _span: Span | None = None
    _lock: Lock = field(default_factory=Lock)

    def count(self, kind: str, at: datetime) -> None:
        """One more record of this kind was lost."""
        with self._lock:
            self._counts[kind] += 1
            if self._span is None:
                self._span = Span(at, at)
            else:
                self._span.last = at

    def taken(self, clock: Clock, reason: str) -> Draft | None:
        """The record of the gap so far, which starts anew; None when nothing was lost."""
        with self._lock:
            counts, span = self._counts, self._span
            self._counts, self._span = Counter(), None
        if span is None:
            return None
        return gap(clock.stamp(), counts, first=span.first, last=span.last, reason=reason)

    def given_back(self, draft: Draft, at: datetime) -> None:
        """The record of a gap could not be written either: its counts stand again."""
        counts = draft["counts"]
        assert isinstance(counts, dict)
        with self._lock:
            self._counts.update(counts)
            first = datetime.fromisoformat(str(draft["from"]))
            last = self._span.last if self._span is not None else at
            self._span = Span(first, last)


@dataclass(slots=True)
class Rejects:
    """Lets so many `reject` records through per second and counts the rest by reason."""

    per_second: int
    _spans: dict[str, Span] = field(default_factory=dict)
    _second: int = -1
    _used: int = 0
    _lock: Lock = field(default_factory=Lock)

    def admit(self, second: int) -> bool:
        """Whether one more record may be written in this second of the monotonic clock."""
        with self._lock:
            if second != self._second:
                self._second, self._used = second, 0
            self._used += 1
            return self._used <= self.per_second

    def count(self, reason: str, at: datetime, amount: int = 1) -> None:
        """So many more that are not written by themselves."""
        with self._lock:
            span = self._spans.get(reason)
            if span is None:
                self._spans[reason] = Span(at, at, amount)
            else:
                span.count += amount
                span.last = at

    def taken(self, clock: Clock) -> list[Draft]:
        """One record per reason for what was counted; counting starts anew."""
        with self._lock:
            spans, self._spans = self._spans, {}
        return [
            rejects(clock.stamp(), reason, span.count, first=span.first, last=span.last)
            for reason, span in spans.items()
        ]
